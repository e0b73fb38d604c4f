"""What a refusal advises, and whether trying again can help."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

import pytest
from requests.structures import CaseInsensitiveDict

from airflow_oauth_provider.exceptions import (
    AssertionRefusedError,
    InvalidClientError,
    InvalidGrantError,
    OAuth2Error,
    PermanentError,
    TokenRefusedError,
    TransientError,
)
from airflow_oauth_provider.masking import Redactor
from airflow_oauth_provider.oauth2.client_auth import AUTH_METHODS
from airflow_oauth_provider.oauth2.keys import certificate_end
from airflow_oauth_provider.oauth2.settings import JWT_BEARER, TOKEN_EXCHANGE, KeyPair, Transport
from airflow_oauth_provider.oauth2.token_response import parse_token_response
from tests.support.keys import certificate, made_key, pem
from tests.support.made_up import client_settings, key_pair

NOW = 1_790_000_000.0
SIGNING = ["client_secret_jwt", "private_key_jwt"]
TIMED = ["invalid_client", "invalid_grant", "invalid_dpop_proof"]


def refusal(
    code: str,
    *,
    status: int = 400,
    date: float | str | None = None,
    answered_at: float | None = None,
    assertion: str | None = None,
    now: float = NOW,
    **settings: Any,
) -> OAuth2Error:
    client = client_settings(**settings)
    shown = formatdate(date, usegmt=True) if isinstance(date, float) else date
    with pytest.raises(OAuth2Error) as caught:
        parse_token_response(
            client,
            Redactor((*client.secrets(), *((assertion,) if assertion else ()))),
            status=status,
            headers=CaseInsensitiveDict({"Date": shown} if shown else {}),
            body=json.dumps({"error": code}).encode() if code else b"",
            now=now,
            answered_at=answered_at,
            assertion=assertion,
        )
    return caught.value


@pytest.mark.parametrize("use", ["signing_key", "transport"])
@pytest.mark.parametrize(("days", "said"), [(-2, True), (3, False)])
def test_a_certificate_that_has_ended_is_named_as_a_reason(use: str, days: int, said: bool) -> None:
    pair = KeyPair(pem(made_key("P-256")), certificate(made_key("P-256"), days=days))
    settings: dict[str, Any] = {"signing_key": pair, "auth_method": "private_key_jwt"}
    if use == "transport":
        settings = {"transport": Transport(client_certificate=pair), "auth_method": "tls_client_auth"}
    now = datetime.now(UTC)
    ended = f"The client's certificate ended on {certificate_end(pair.certificate or ''):%Y-%m-%d}."
    assert (ended in str(refusal("invalid_client", now=now.timestamp(), **settings))) is said
    assert "ended" not in str(refusal("invalid_scope", now=now.timestamp(), **settings))


def jwt_of(**claims: Any) -> str:
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{part}.c2lnbmF0dXJl"


@pytest.mark.parametrize("method", sorted(AUTH_METHODS))
def test_a_refused_client_reads_which_fields_its_method_needs(method: str) -> None:
    expected = {
        "client_secret_basic": ("Client secret", "client_secret_post"),
        "client_secret_post": ("Client secret", "client_secret_basic"),
        "client_secret_jwt": ("Client secret", "signing_algorithm", "assertion_audience"),
        "private_key_jwt": ("public key", "key_id", "signing_algorithm", "assertion_audience", "clock"),
        "tls_client_auth": ("certificate", "subject"),
        "self_signed_tls_client_auth": ("certificate", "just this one"),
        "workload_identity": ("issuer, subject and audience",),
        "none": ("choose another client authentication",),
    }
    text = str(refusal("invalid_client", status=401, auth_method=method))
    for words in ("Client ID", method, *expected[method]):
        assert words in text


@pytest.mark.parametrize(
    ("code", "settings", "words"),
    [
        ("invalid_grant", {"grant": JWT_BEARER}, "subject; assertion_audience and assertion_claims"),
        ("invalid_grant", {"grant": TOKEN_EXCHANGE}, "the subject token"),
        ("invalid_request", {"grant": TOKEN_EXCHANGE}, "subject_token_type"),
        ("invalid_request", {}, "Encoding of id and secret"),
        ("invalid_target", {"resources": ("urn:a", "urn:b")}, "resource 'urn:a' or resource 'urn:b'"),
        ("invalid_target", {"audience": "a", "resources": ("urn:b",)}, "audience 'a' or resource 'urn:b'"),
        ("invalid_target", {}, "Check Audience and resource"),
        ("invalid_authorization_details", {}, "Check rar"),
        ("invalid_dpop_proof", {"dpop": "true"}, "Check dpop_algorithm and the clock"),
        ("unsupported_grant_type", {"grant": JWT_BEARER}, "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("invalid_scope", {"scope": "{x} {0}"}, "'{x} {0}'"),
    ],
)
def test_a_refused_request_reads_what_to_check(code: str, settings: dict[str, Any], words: str) -> None:
    assert words in str(refusal(code, **settings))


def test_only_who_sends_an_encoded_header_reads_of_its_encoding() -> None:
    assert "Encoding" not in str(refusal("invalid_request", auth_method="private_key_jwt"))


# Whether it passes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", sorted(set(AUTH_METHODS) - {"workload_identity"}))
def test_a_client_that_somebody_configured_is_refused_for_good(method: str) -> None:
    assert type(refusal("invalid_client", auth_method=method)) is InvalidClientError


@pytest.mark.parametrize("code", ["invalid_client", ""])
def test_a_platforms_assertion_may_be_better_the_next_time(code: str) -> None:
    error = refusal(code, status=401, auth_method="workload_identity")
    assert type(error) is AssertionRefusedError
    assert error.error == "invalid_client"
    assert isinstance(refusal("unauthorized_client", auth_method="workload_identity"), PermanentError)


def test_a_nonce_that_is_asked_for_again_passes() -> None:
    assert type(refusal("use_dpop_nonce", dpop="true")) is AssertionRefusedError


# The clock ------------------------------------------------------------------------------------------------------------


@pytest.mark.statement(27)
@pytest.mark.parametrize("code", TIMED)
@pytest.mark.parametrize(
    "settings",
    [
        *({"auth_method": method} for method in SIGNING),
        {"auth_method": "none", "grant": JWT_BEARER, "signing_key": key_pair()},
        {"dpop": "true"},
        {"dpop": "preferred", "auth_method": "tls_client_auth"},
    ],
    ids=str,
)
@pytest.mark.parametrize(("off_s", "said"), [(95.0, "95 s behind the server's"), (-31.0, "31 s ahead of the server's")])
def test_a_clock_that_is_off_is_named_and_passes(code: str, settings: dict[str, Any], off_s: float, said: str) -> None:
    error = refusal(code, date=NOW + off_s, **settings)
    assert f"clock is {said}" in str(error)
    assert isinstance(error, TransientError)
    assert type(error) is (InvalidGrantError if code == "invalid_grant" else AssertionRefusedError)


@pytest.mark.statement(27)
@pytest.mark.parametrize("code", TIMED)
@pytest.mark.parametrize("date", [NOW + 30, NOW - 30, None, "yesterday", "", "Thu, 99 Foo 2026 99:99:99 GMT"])
def test_a_clock_that_is_right_or_unknown_is_not_blamed(code: str, date: float | str | None) -> None:
    error = refusal(code, date=date, auth_method="private_key_jwt", dpop="true")
    assert "set the clock" not in str(error)
    assert type(error) in (InvalidClientError, InvalidGrantError, TokenRefusedError)


@pytest.mark.statement(27)
def test_a_slow_answer_is_no_clock_that_is_off() -> None:
    def said(answered_at: float) -> str:
        method = "private_key_jwt"
        return str(refusal("invalid_client", date=NOW + 50, answered_at=answered_at, auth_method=method))

    assert "clock is" not in said(NOW + 55)
    assert "clock is 40 s behind" in said(NOW + 10)


@pytest.mark.parametrize(
    ("code", "settings"),
    [
        ("invalid_client", {"auth_method": "client_secret_basic"}),
        ("invalid_client", {"auth_method": "tls_client_auth"}),
        ("invalid_grant", {"grant": JWT_BEARER}),
        ("invalid_scope", {"auth_method": "private_key_jwt"}),
    ],
)
def test_the_clock_is_not_blamed_for_what_nobody_signed_here(code: str, settings: dict[str, Any]) -> None:
    assert "clock is" not in str(refusal(code, date=NOW + 500, **settings))


# Whom an assertion names ----------------------------------------------------------------------------------------------


def test_a_refused_platform_assertion_is_named_as_the_server_has_to_know_it() -> None:
    claims = {"iss": "https://oidc.example.com/k8s", "sub": "system:serviceaccount:etl:airflow", "aud": ["api://x"]}
    assertion = jwt_of(**claims, secret_claim="made-up")
    text = str(refusal("invalid_client", auth_method="workload_identity", assertion=assertion))
    for words in ("iss 'https://oidc.example.com/k8s'", "sub 'system:serviceaccount:etl:airflow'", "aud ['api://x']"):
        assert words in text
    assert "secret_claim" not in text
    assert assertion not in text
    assert assertion.split(".")[1] not in text


def test_an_assertion_that_is_no_jwt_is_called_so_and_not_shown() -> None:
    text = str(refusal("invalid_grant", grant=TOKEN_EXCHANGE, assertion="made-up-opaque-assertion"))
    assert "It is not a JWT." in text
    assert "made-up-opaque-assertion" not in text


def test_an_assertion_is_not_named_where_it_cannot_be_the_reason() -> None:
    for code, method in (("invalid_client", "private_key_jwt"), ("invalid_scope", "workload_identity")):
        text = str(refusal(code, auth_method=method, grant=TOKEN_EXCHANGE, assertion=jwt_of(iss="made-up-issuer")))
        assert "made-up-issuer" not in text


def test_claims_cannot_forge_a_log_line_nor_flood_it() -> None:
    forged = jwt_of(iss="no\n[2026-01-01] INFO all is well", sub="x" * 10_000)
    text = str(refusal("invalid_grant", grant=TOKEN_EXCHANGE, assertion=forged))
    assert "all is well" in text
    assert text.isprintable()
    assert len(text) < 2000
