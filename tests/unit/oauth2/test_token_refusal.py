from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from requests.structures import CaseInsensitiveDict

from airflow_oauth_provider import exceptions
from airflow_oauth_provider.exceptions import (
    InvalidClientError,
    OAuth2Error,
    PermanentError,
    TokenEndpointUnavailableError,
    TokenRefusedError,
    TransientError,
)
from airflow_oauth_provider.masking import Redactor
from airflow_oauth_provider.oauth2.client_auth import basic_credentials
from airflow_oauth_provider.oauth2.token_response import parse_token_response
from tests.support.made_up import client_settings

NOW = 1_790_000_000.0
SECRET = 'p@ss:word/+ %&="<é'


def refusal(body: Any, status: int = 400, headers: dict[str, str] | None = None, **settings: Any) -> OAuth2Error:
    client = client_settings(**{"client_secret": SECRET, **settings})
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(OAuth2Error) as caught:
        parse_token_response(
            client,
            Redactor((*client.secrets(), basic_credentials(client))),
            status=status,
            headers=CaseInsensitiveDict(headers or {}),
            body=text,
            now=NOW,
        )
    return caught.value


@pytest.mark.statement(14)
@pytest.mark.parametrize("status", [200, 400, 401])
@pytest.mark.parametrize(
    ("code", "error_class", "permanent"),
    [
        ("invalid_client", "InvalidClientError", True),
        ("unauthorized_client", "UnauthorizedClientError", True),
        ("invalid_scope", "InvalidScopeError", True),
        ("invalid_target", "InvalidTargetError", True),
        ("invalid_grant", "InvalidGrantError", False),
        ("unsupported_grant_type", "TokenRefusedError", True),
        ("invalid_request", "TokenRefusedError", True),
        ("vendor_code_17", "TokenRefusedError", True),
        ("temporarily_unavailable", "TokenEndpointUnavailableError", False),
        ("server_error", "TokenEndpointUnavailableError", False),
    ],
)
def test_the_servers_error_is_one_class_for_each_code(
    status: int, code: str, error_class: str, permanent: bool
) -> None:
    error = refusal({"error": code, "error_description": "because", "error_uri": "https://login.example.com/e"}, status)
    assert type(error) is getattr(exceptions, error_class)
    assert isinstance(error, PermanentError if permanent else TransientError)
    assert (error.error, error.status_code) == (code, status)
    assert str(error).startswith(f"{code}: ")
    assert "because" in str(error)
    assert "https://login.example.com/e" in str(error)


def test_a_refused_client_is_told_what_to_change() -> None:
    assert str(refusal({"error": "invalid_client"}, 401)).startswith(
        "invalid_client: the server refused the client id or secret (client_secret_basic). "
        "Check Client ID and Client secret, or choose client_secret_post."
    )
    assert "or choose client_secret_basic" in str(
        refusal({"error": "invalid_client"}, auth_method="client_secret_post")
    )


@pytest.mark.parametrize(
    ("code", "settings", "advice"),
    [
        ("invalid_scope", {"scope": "orders"}, "'orders'.*Check Scope"),
        ("invalid_target", {"audience": "urn:api"}, "'urn:api'.*Check Audience"),
        ("unauthorized_client", {}, "grant_type=client_credentials"),
        ("unsupported_grant_type", {"extra_params": (("grant_type", "urn:x"),)}, "grant_type=urn:x"),
        ("invalid_request", {}, "extra_params"),
    ],
)
def test_each_error_says_what_to_do(code: str, settings: dict[str, Any], advice: str) -> None:
    assert re.search(advice, str(refusal({"error": code}, **settings)))


def test_a_401_without_a_code_is_about_the_client() -> None:
    assert isinstance(refusal(b"", 401), InvalidClientError)
    assert isinstance(refusal(b"<html>no</html>", 401), InvalidClientError)


@pytest.mark.statement(15)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_error_that_names_the_target(status: int) -> None:
    error = refusal(b"", status, {"Location": "https://evil.example/token\r\nX: y"})
    assert isinstance(error, TokenRefusedError)
    assert "redirects to https://evil.example/token" in str(error)
    assert "\n" not in str(error)
    assert "nowhere" in str(refusal(b"", status))


@pytest.mark.parametrize("status", [400, 404, 405, 415])
def test_a_4xx_without_a_code_says_that_there_is_no_token_endpoint(status: int) -> None:
    error = refusal(b"<html>Not found</html>", status, {"Content-Type": "text/html"})
    assert type(error) is TokenRefusedError
    assert "Check Token URL" in str(error)
    assert error.status_code == status


@pytest.mark.statement(55)
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_throttling_and_5xx_are_transient_and_carry_retry_after(status: int) -> None:
    error = refusal(b"busy", status, {"Retry-After": "17"})
    assert type(error) is TokenEndpointUnavailableError
    assert (error.status_code, error.retry_after_s) == (status, 17)
    assert refusal(b"busy", status).retry_after_s is None


@pytest.mark.parametrize("status", [400, 403, 408])
def test_a_4xx_that_asks_to_come_back_later_is_transient(status: int) -> None:
    assert isinstance(refusal(b"later", status, {"Retry-After": "9"}), TokenEndpointUnavailableError)


@pytest.mark.parametrize("name", ["X-Request-Id", "request-id", "X-Correlation-ID", "x-ms-request-id", "CF-Ray"])
def test_the_request_id_is_kept_for_the_servers_operator(name: str) -> None:
    assert refusal({"error": "invalid_client"}, 401, {name: "req-17\x1b[31m"}).request_id == "req-17\\x1b[31m"


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote(SECRET),
        quote_plus(SECRET),
        quote_plus(SECRET).lower(),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        "p@ss:word/+ %&amp;=&quot;&lt;é",
        basic_credentials(client_settings(client_secret=SECRET)),
    ],
)
@pytest.mark.parametrize("member", ["error", "error_description", "error_uri"])
def test_a_description_that_echoes_the_secret_is_masked(form: str, member: str) -> None:
    text = str(refusal({"error": "invalid_client", member: f"got {form} from you"}, 401))
    assert form not in text
    assert "***" in text


def test_a_description_cannot_forge_a_log_line() -> None:
    forged = "no\r\n[2026-01-01] {taskinstance.py} INFO - all well\x1b[2J\u2028\u202e"
    text = str(refusal({"error": "invalid_client", "error_description": forged}))
    assert text.isprintable()
    assert "no\\r\\n" in text


def test_what_a_server_says_is_cut_to_200_characters_and_a_message_to_2500() -> None:
    error = refusal({"error": "e" * 5000, "error_description": "d" * 5000, "error_uri": "u" * 5000})
    assert "d" * 199 + "…" in str(error)
    assert "d" * 200 not in str(error)
    assert len(str(error)) <= 2500
    long_scope = refusal({"error": "invalid_scope"}, scope="s" * 9000)
    assert len(str(long_scope)) <= 2500


@pytest.mark.parametrize("description", [7, ["a"], {"a": "b"}, None, "", True])
def test_a_description_of_another_type_is_survived(description: Any) -> None:
    assert refusal({"error": "invalid_client", "error_description": description}).error == "invalid_client"


@pytest.mark.parametrize("code", [7, ["invalid_client"], {"code": "invalid_client"}])
def test_a_code_of_another_type_is_survived(code: Any) -> None:
    assert isinstance(refusal({"error": code}), TokenRefusedError)
