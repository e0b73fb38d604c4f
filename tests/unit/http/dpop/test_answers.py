"""What an error says of an API that dislikes a proof."""

from __future__ import annotations

import io
import time
from datetime import timedelta
from email.utils import formatdate

import pytest
import requests

from airflow_oauth_provider.exceptions import (
    ApiRefusedError,
    ApiRefusedTokenError,
    ApiUnavailableError,
    OAuth2Error,
)
from airflow_oauth_provider.http.answers import error_of
from airflow_oauth_provider.masking import Redactor


def error(
    challenge: str, *, status: int = 401, proof: bool = True, took_s: float = 0.1, headers: dict[str, str] | None = None
) -> OAuth2Error:
    sent = {"Authorization": "DPoP a", "DPoP": "b"} if proof else {"Authorization": "Bearer a"}
    response = requests.Response()
    response.status_code = status
    response.raw = io.BytesIO()
    response.elapsed = timedelta(seconds=took_s)
    response.headers.update({"WWW-Authenticate": challenge, **(headers or {})})
    response.request = requests.Request("GET", "https://api.example.com/v1/orders", headers=sent).prepare()
    return error_of(response, Redactor([]))


def date(offset_s: float) -> dict[str, str]:
    return {"Date": formatdate(time.time() + offset_s, usegmt=True)}


@pytest.mark.statement(47)
def test_invalid_token_is_about_the_token() -> None:
    refused = error('Bearer realm="x", DPoP error="invalid_token"')
    assert type(refused) is ApiRefusedTokenError
    assert "The API refuses a fresh token" in str(refused)


@pytest.mark.statement(47)
@pytest.mark.parametrize("status", [400, 401])
def test_a_refused_proof_is_permanent_and_says_what_to_check(status: int) -> None:
    refused = error('DPoP error="invalid_dpop_proof"', status=status, headers=date(2))
    assert type(refused) is ApiRefusedError
    assert refused.error == "invalid_dpop_proof"
    assert "check that base_url is the URL by which the API knows itself" in str(refused)
    assert "clock" not in str(refused)


@pytest.mark.parametrize(("offset_s", "word"), [(300, "behind"), (-300, "ahead of")])
def test_a_refused_proof_beside_a_clock_that_is_off_can_pass_and_names_it(offset_s: float, word: str) -> None:
    refused = error('DPoP error="invalid_dpop_proof"', headers=date(offset_s))
    assert type(refused) is ApiUnavailableError
    assert f"s {word} the server's" in str(refused)
    assert "set the clock" in str(refused)


@pytest.mark.parametrize("offset_s", [-70, -20, 20])
def test_an_answer_that_took_its_time_is_no_wrong_clock(offset_s: float) -> None:
    assert "clock" not in str(error('DPoP error="invalid_dpop_proof"', took_s=60, headers=date(offset_s)))


@pytest.mark.parametrize("value", ["", "yesterday", "Tue, 99 Nov 2026 00:00:00 GMT"])
def test_a_date_that_is_none_says_nothing_of_the_clock(value: str) -> None:
    assert "clock" not in str(error('DPoP error="invalid_dpop_proof"', headers={"Date": value}))


@pytest.mark.statement(44)
def test_a_demand_for_a_nonce_that_was_not_met_can_pass() -> None:
    assert type(error('DPoP error="use_dpop_nonce"', headers={"DPoP-Nonce": "n"})) is ApiUnavailableError


@pytest.mark.statement(44)
def test_a_demand_for_a_nonce_that_is_not_there_is_permanent() -> None:
    refused = error('DPoP error="use_dpop_nonce"')
    assert type(refused) is ApiRefusedError
    assert "names none" in str(refused)


@pytest.mark.parametrize(
    ("challenge", "proof", "said"),
    [
        ('Bearer error="invalid_token"', True, "bound to a key (DPoP), which the API does not ask for"),
        ('DPoP algs="ES256"', False, "set dpop in the connection"),
        ('Bearer error="insufficient_scope", DPoP algs="ES256"', False, "set dpop in the connection"),
    ],
)
def test_a_token_of_the_other_kind_is_named(challenge: str, proof: bool, said: str) -> None:
    refused = error(challenge, proof=proof)
    assert type(refused) is ApiRefusedError
    assert said in str(refused)


@pytest.mark.parametrize(
    ("challenge", "proof"), [('Basic realm="x"', False), ('DPoP error="insufficient_scope"', True)]
)
def test_another_complaint_brings_no_advice_about_keys(challenge: str, proof: bool) -> None:
    assert "key" not in str(error(challenge, proof=proof))


def test_the_error_of_our_scheme_is_the_one_that_counts() -> None:
    assert error('Bearer error="invalid_token", DPoP error="insufficient_scope"').error == "insufficient_scope"
