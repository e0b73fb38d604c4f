from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_oauth_provider.exceptions import AssertionUnavailableError, SettingsError, TransientError
from airflow_oauth_provider.oauth2.jwk import private_jwk
from airflow_oauth_provider.oauth2.settings import AssertionSource
from airflow_oauth_provider.tokens.assertions import read_assertion
from tests.support.keys import made_key, pem

NAME = "MADE_UP_ASSERTION"


@pytest.mark.statement(31)
def test_a_file_is_read_anew_each_time(tmp_path: Path) -> None:
    path = tmp_path / "assertion"
    source = AssertionSource(file=str(path), folders=(str(tmp_path),))
    for content in ("made.up.one\n", "  made.up.two  "):
        path.write_text(content)
        assert read_assertion(source) == content.strip()


@pytest.mark.statement(31)
def test_a_variable_is_read_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for content in ("made.up.one", "made.up.two"):
        monkeypatch.setenv(NAME, content)
        assert read_assertion(AssertionSource(variable=NAME)) == content


def test_a_variable_whose_name_ends_in_file_names_one_that_no_folder_has_to_allow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "assertion").write_text("made.up.assertion")
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "assertion"))
    assert read_assertion(AssertionSource(variable=f"{NAME}_FILE")) == "made.up.assertion"


@pytest.mark.statement(31)
@pytest.mark.parametrize("content", [None, "", " \n", "made up", "made\x00up", "mäde.up", "x" * 65_537])
def test_one_that_is_missing_or_broken_is_an_error_that_can_pass_and_does_not_show_it(
    tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "assertion"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(AssertionUnavailableError) as refused:
        read_assertion(AssertionSource(file=str(path), folders=(str(tmp_path),)))
    assert isinstance(refused.value, TransientError)
    assert str(path) in str(refused.value)
    assert "made" not in str(refused.value).replace(str(path), "")


@pytest.mark.statement(31)
@pytest.mark.parametrize("value", [None, "", "  ", "made up"])
def test_a_variable_without_an_assertion_is_an_error_that_can_pass(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv(NAME, raising=False)
    if value is not None:
        monkeypatch.setenv(NAME, value)
    with pytest.raises(AssertionUnavailableError, match=NAME):
        read_assertion(AssertionSource(variable=NAME))


def test_a_file_elsewhere_is_no_matter_of_time(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "assertion").write_text("made.up.assertion")
    with pytest.raises(SettingsError, match="key_folders"):
        read_assertion(AssertionSource(file=str(tmp_path / "assertion"), folders=(str(tmp_path / "keys"),)))


@pytest.mark.parametrize("form", ["JWK", "PEM", "half a PEM"])
def test_a_private_key_is_sent_to_nobody_as_an_assertion(tmp_path: Path, form: str) -> None:
    key = made_key("P-256")
    jwk = json.dumps(private_jwk(key), separators=(",", ":"))
    content = {"JWK": jwk, "PEM": pem(key), "half a PEM": pem(key).replace("-----END", "")}[form]
    (tmp_path / "key").write_text(content)
    with pytest.raises(SettingsError, match="holds a private key, which is sent to nobody") as refused:
        read_assertion(AssertionSource(file=str(tmp_path / "key"), folders=(str(tmp_path),)))
    assert private_jwk(key)["d"] not in str(refused.value)
