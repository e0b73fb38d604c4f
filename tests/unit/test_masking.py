from __future__ import annotations

import html
import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from airflow_oauth_provider import masking
from airflow_oauth_provider.echoes import base64_forms, echoed_forms
from airflow_oauth_provider.masking import Redactor, escape_control_characters, mask_in_airflow

AWKWARD = 'p@ss:word/+ %&="<é\\'


@pytest.fixture
def handed_over(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return what Airflow's masker is given."""
    calls: list[Any] = []
    monkeypatch.setattr("airflow.providers.common.compat.sdk.mask_secret", calls.append, raising=False)
    monkeypatch.setattr(masking, "_handed_over", {})
    return calls


@pytest.mark.parametrize(
    "form",
    [
        AWKWARD,
        quote(AWKWARD, safe=""),
        quote(AWKWARD),
        quote_plus(AWKWARD),
        quote(AWKWARD, safe="").replace("%2F", "%2f").replace("%2B", "%2b").lower().replace("p%40", "p%40"),
        json.dumps(AWKWARD)[1:-1],
        json.dumps(AWKWARD, ensure_ascii=False)[1:-1],
        html.escape(AWKWARD),
    ],
)
def test_a_secret_is_masked_in_every_form_in_which_servers_echo_it(form: str) -> None:
    assert Redactor([AWKWARD])(f"<{form}>") == "<***>"


def test_a_secret_that_a_lax_server_decoded_is_masked() -> None:
    assert "abc+def/ghi/==" in echoed_forms("abc+def%2Fghi/==")
    assert Redactor(["abc+def%2Fghi/=="])("got abc+def/ghi/==") == "got ***"


def test_a_short_secret_does_not_mask_single_letters() -> None:
    assert Redactor(["%41"])("A CAPITAL") == "A CAPITAL"


def test_a_secret_that_is_part_of_another_leaves_nothing_of_it() -> None:
    assert Redactor(["secret", "secret-and-more"])("secret-and-more, secret") == "***, ***"


def test_empty_secrets_mask_nothing() -> None:
    assert Redactor(["", ""])("text") == "text"
    assert Redactor([])("text") == "text"


def test_special_characters_of_patterns_are_taken_literally() -> None:
    assert Redactor(["a.*b"])("a.*b axxb") == "*** axxb"


def test_a_servers_text_is_masked_before_it_is_cut() -> None:
    secret = "s3cret" * 20
    assert Redactor([secret]).server_text("x" * 195 + secret, 200) == "x" * 195 + "***"
    assert "s3c" not in Redactor([secret]).server_text("x" * 198 + secret, 200)


def test_a_long_secret_is_not_cut_before_it_is_masked() -> None:
    token = "eyJ" + "a" * 5000
    for limit in (60, 100, 200):
        shown = Redactor([token]).server_text(f"you sent {token} to us", limit)
        assert "eyJ" not in shown
        assert "aaa" not in shown


def test_a_secret_that_is_echoed_often_is_masked_to_the_last_time() -> None:
    secret = "made-up-secret-of-forty-characters-abcdef"
    assert "made-up" not in Redactor([secret]).server_text(f"{secret} " * 200, 200)


def test_a_servers_text_stands_on_one_line_and_ends_with_an_ellipsis_where_it_is_cut() -> None:
    assert Redactor([]).server_text("  a\nb  ") == "a\\nb"
    assert Redactor([]).server_text("x" * 201) == "x" * 199 + "…"
    assert Redactor([]).server_text("x" * 200) == "x" * 200


@pytest.mark.parametrize(
    "character", ["\n", "\r", "\x1b", "\x00", "\x7f", "\x85", "\u2028", "\u202e", "\ufeff", "\ud800"]
)
def test_control_characters_are_escaped(character: str) -> None:
    escaped = escape_control_characters(f"a{character}b")
    assert escaped.isprintable()
    assert escaped.startswith("a\\")
    assert escaped.endswith("b")


def test_printable_text_is_left_as_it_is() -> None:
    assert escape_control_characters("Grüße, 世界 ☃") == "Grüße, 世界 ☃"


def plain_forms(secret: str) -> set[str]:
    return echoed_forms(secret) - base64_forms(secret)


def test_airflow_gets_all_forms_of_all_secrets_in_one_call(handed_over: list[Any]) -> None:
    mask_in_airflow([AWKWARD, "", "another secret"])
    assert len(handed_over) == 1
    # Without their base64: a secret travels so together with its client id alone, and that pair is handed over itself.
    assert set(handed_over[0]) == plain_forms(AWKWARD) | plain_forms("another secret")


def test_a_secret_is_handed_over_once_a_process(handed_over: list[Any]) -> None:
    mask_in_airflow(["one secret"])
    mask_in_airflow(["one secret"])
    mask_in_airflow(["", "one secret", "a new one"])
    assert [sorted(call) for call in handed_over] == [
        sorted(plain_forms("one secret")),
        sorted(plain_forms("a new one")),
    ]


def test_what_airflow_has_to_mask_is_bounded_and_the_newest_stays_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.common.compat.sdk import redact

    monkeypatch.setattr(masking, "_MAX_MASKED_CHARACTERS", 1_000)
    mask_in_airflow(["the first made-up secret"])
    patterns = masking._masked_by_airflow()
    assert patterns
    for number in range(50):
        mask_in_airflow([f"made-up secret {number}", f"made-up token {number}", "used again and again"])
        assert "made-up" not in str(redact(f"x made-up secret {number} made-up token {number} used again and again"))
    assert sum(map(len, map(masking._unescaped, patterns))) <= 1_000
    assert str(redact("the first made-up secret")) == "the first made-up secret"
    assert str(redact("used again and again")) == "***"


def test_one_value_that_is_longer_than_all_that_may_be_masked_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.common.compat.sdk import redact

    monkeypatch.setattr(masking, "_MAX_MASKED_CHARACTERS", 100)
    for number in range(3):
        mask_in_airflow([f"made-up {number} " + "x" * 200])
        assert str(redact(f"made-up {number} " + "x" * 200)) == "***"
    assert len(masking._handed_over) == 1


def test_values_that_came_together_stay_masked_together(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.common.compat.sdk import redact

    monkeypatch.setattr(masking, "_MAX_MASKED_CHARACTERS", 500)
    for number in range(30):
        mask_in_airflow(["made-up client secret", "made-up header"] if number == 0 else ["made-up client secret"])
        mask_in_airflow([f"made-up token {number}"])
        assert "made-up" not in str(redact("made-up client secret, made-up header"))


def test_many_private_keys_in_one_process_are_a_short_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.common.compat.sdk import redact

    monkeypatch.setattr(masking, "_MAX_MASKED_CHARACTERS", 10_000)
    for number in range(12):
        key = "-----BEGIN PRIVATE KEY-----\n" + f"{number:064}\n" * 26 + "-----END PRIVATE KEY-----\n"
        mask_in_airflow([key])
        assert str(redact(key)) == "***"
        assert f"{number:064}" not in str(redact(json.dumps({"private_key": key})))
    patterns = masking._masked_by_airflow()
    assert patterns
    assert sum(map(len, map(masking._unescaped, patterns))) <= masking._MAX_MASKED_CHARACTERS


def test_what_airflow_masks_itself_stays_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.common.compat.sdk import mask_secret, redact

    monkeypatch.setattr(masking, "_MAX_MASKED_CHARACTERS", 50)
    mask_secret("a made-up password of Airflow's")
    for secret in ("a made-up password of Airflow's", "made-up one", "made-up two", "made-up three"):
        mask_in_airflow([secret])
    assert str(redact("a made-up password of Airflow's")) == "***"


def test_where_nothing_can_be_taken_out_no_more_goes_in(
    handed_over: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masking, "_MAX_MASKED_CHARACTERS", 500)
    monkeypatch.setattr(masking, "_masked_by_airflow", lambda: None)
    for number in range(50):
        mask_in_airflow([f"secret number {number}"])
    assert 0 < sum(len(form) for call in handed_over for form in call) <= 500


def test_what_is_remembered_is_not_the_secret(handed_over: list[Any]) -> None:
    mask_in_airflow(["a made-up secret"])
    assert handed_over
    assert "a made-up secret" not in repr(masking._handed_over)


def test_airflow_really_masks_what_it_was_given() -> None:
    import importlib

    try:
        secrets_masker = importlib.import_module("airflow.sdk._shared.secrets_masker")
    except ImportError:
        secrets_masker = importlib.import_module("airflow.utils.log.secrets_masker")
    secret = "a made-up secret/+ %&= that is only used here"
    mask_in_airflow([secret])
    shown = secrets_masker.redact(f"{secret} {quote(secret, safe='')} {quote_plus(secret)} {json.dumps(secret)}")
    assert "only" not in shown
    assert shown.count("***") == 4
