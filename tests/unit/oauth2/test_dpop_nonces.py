from __future__ import annotations

import os

import pytest
from requests.structures import CaseInsensitiveDict

from airflow_oauth_provider.oauth2.dpop import Nonces, demands_nonce, nonce_in


def headers(nonce: str | None) -> CaseInsensitiveDict[str]:
    return CaseInsensitiveDict({} if nonce is None else {"dpop-nonce": nonce})


@pytest.mark.statement(44)
@pytest.mark.statement(45)
def test_nonces_are_kept_by_origin() -> None:
    nonces = Nonces()
    assert nonces.of("https://a.example/x") is None

    assert nonces.adopt("https://a.example/x?y", headers("one"))
    assert nonces.adopt("https://a.example:8443/x", headers("two"))
    assert nonces.adopt("http://a.example/x", headers("three"))
    assert not nonces.adopt("https://a.example/z", headers(None))

    assert nonces.of("HTTPS://A.example:443/other") == "one"
    assert nonces.of("https://a.example:8443") == "two"
    assert nonces.of("http://a.example:80/") == "three"
    assert nonces.of("https://b.example/x") is None


@pytest.mark.statement(45)
def test_a_newer_nonce_replaces_the_one_before_and_says_so_once() -> None:
    changes: list[dict[str, str]] = []
    nonces = Nonces(on_change=lambda: changes.append(nonces.snapshot()))

    for nonce in ("one", "one", "two"):
        nonces.adopt("https://a.example/x", headers(nonce))

    assert changes == [{"https://a.example": "one"}, {"https://a.example": "two"}]


def test_another_process_goes_on_with_what_was_known() -> None:
    nonces = Nonces()
    nonces.adopt("https://a.example/x", headers("one"))
    assert Nonces(nonces.snapshot()).of("https://a.example/y") == "one"


@pytest.mark.parametrize(
    "nonce", ["", " ", "a b", "one, two", 'a"b', "a\\b", "a\x7f", "a\x00", "é", "a\r\nX: y", "x" * 2049]
)
def test_what_is_no_nonce_is_not_adopted(nonce: str) -> None:
    nonces = Nonces({"https://a.example": nonce})
    assert not nonces.adopt("https://a.example/x", headers(nonce))
    assert nonces.of("https://a.example/x") is None
    assert nonce_in(headers(nonce)) is None


@pytest.mark.parametrize("nonce", ["a", "!", "~", "eyJ7S_zG.eyJH0-Z.HX4w-7v", "a,b;c=d'e", "x" * 2048])
def test_every_character_that_the_rfc_lets_through_is_taken(nonce: str) -> None:
    assert nonce_in(headers(nonce)) == nonce


def test_the_number_of_origins_is_bounded_and_the_newest_stay() -> None:
    nonces = Nonces({f"https://{number}.example": "old" for number in range(100)})
    for number in range(100, 150):
        nonces.adopt(f"https://{number}.example/x", headers("new"))
    assert len(nonces.snapshot()) == 32
    assert nonces.of("https://149.example/") == "new"


def test_a_forked_child_can_go_on() -> None:
    nonces = Nonces()
    nonces.adopt("https://a.example", headers("one"))
    child = os.fork()
    if not child:
        nonces.adopt("https://a.example", headers("two"))
        os._exit(0 if nonces.of("https://a.example") == "two" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert nonces.of("https://a.example") == "one"


@pytest.mark.statement(43)
@pytest.mark.parametrize(
    ("status", "error", "nonce", "demanded"),
    [
        (400, "use_dpop_nonce", "a", True),
        (401, "use_dpop_nonce", "a", True),
        (400, "use_dpop_nonce", None, False),
        (400, "use_dpop_nonce", "a b", False),
        (400, "invalid_dpop_proof", "a", False),
        (400, None, "a", False),
        (200, "use_dpop_nonce", "a", False),
        (503, "use_dpop_nonce", "a", False),
    ],
)
def test_a_token_endpoint_asks_for_a_nonce_by_its_error_and_names_it(
    status: int, error: str | None, nonce: str | None, demanded: bool
) -> None:
    assert demands_nonce(status, error, headers(nonce)) is demanded
