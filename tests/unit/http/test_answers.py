from __future__ import annotations

import io
from typing import Any

import pytest
import requests

from airflow_oauth_provider.exceptions import (
    ApiRefusedError,
    ApiRefusedTokenError,
    ApiUnavailableError,
    OAuth2Error,
    PermanentError,
    TransientError,
)
from airflow_oauth_provider.http.answers import describe_call, error_of
from airflow_oauth_provider.masking import Redactor

TOKEN = "Zm9vYmFy.QmF6UXV4.MadeUp-1"


def answer(
    status: int, body: bytes = b"", headers: dict[str, str] | None = None, reason: str = "Some Reason"
) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.reason = reason
    response.raw = io.BytesIO(body)
    response.headers.update({"Content-Type": "text/plain; charset=utf-8", **(headers or {})})
    response.encoding = requests.utils.get_encoding_from_headers(response.headers)
    response.request = requests.Request("GET", "https://api.example.com/v1/orders?key=made-up-key").prepare()
    return response


def error(status: int, body: bytes = b"", headers: dict[str, str] | None = None, **kwargs: Any) -> OAuth2Error:
    return error_of(answer(status, body, headers), Redactor([TOKEN]), **kwargs)


@pytest.mark.parametrize("status", [400, 402, 404, 405, 406, 410, 411, 413, 415, 422, 451])
def test_a_4xx_is_permanent(status: int) -> None:
    refused = error(status)
    assert type(refused) is ApiRefusedError
    assert isinstance(refused, PermanentError)
    assert refused.status_code == status


@pytest.mark.parametrize("status", [408, 409, 423, 425, 429, 500, 502, 503, 504, 507])
def test_what_can_pass_is_transient(status: int) -> None:
    assert type(error(status)) is ApiUnavailableError


@pytest.mark.statement(22)
def test_403_is_permanent_unless_it_carries_retry_after() -> None:
    permanent = error(403)
    assert type(permanent) is ApiRefusedError
    assert "check scope and roles" in str(permanent)
    passing = error(403, headers={"Retry-After": "30"})
    assert isinstance(passing, TransientError)
    assert passing.retry_after_s == 30


@pytest.mark.statement(22)
@pytest.mark.parametrize("code", ["insufficient_scope", "invalid_request"])
def test_a_challenge_that_complains_about_something_else_keeps_its_code(code: str) -> None:
    refused = error(401 if code == "invalid_request" else 403, headers={"WWW-Authenticate": f'Bearer error="{code}"'})
    assert type(refused) is ApiRefusedError
    assert refused.error == code
    assert f"({code})" in str(refused)


@pytest.mark.parametrize("challenge", [None, 'Bearer error="invalid_token"'])
def test_a_401_to_a_good_token_says_what_to_check_and_when_it_would_be_renewed(challenge: str | None) -> None:
    refused = error(401, headers={"WWW-Authenticate": challenge} if challenge else None, renewable_in_s=42.0)
    assert type(refused) is ApiRefusedTokenError
    assert "The API refuses a fresh token: check audience, scope and roles" in str(refused)
    assert refused.retry_after_s == 42


def test_a_401_of_another_scheme_is_permanent() -> None:
    assert type(error(401, headers={"WWW-Authenticate": 'Basic realm="x"'})) is ApiRefusedError


def test_a_refusal_carries_status_reason_body_request_id_and_retry_after() -> None:
    refused = error(503, b"down for\nmaintenance", {"X-Request-Id": "r-17", "Retry-After": "120"})
    assert (refused.status_code, refused.request_id, refused.retry_after_s) == (503, "r-17", 120)
    assert str(refused) == "GET https://api.example.com/v1/orders answered 503 Some Reason: down for\\nmaintenance"


def test_the_query_is_not_shown() -> None:
    assert "made-up-key" not in str(error(400))
    assert describe_call(answer(400).request) == "GET https://api.example.com/v1/orders"


def test_a_fragment_is_not_shown() -> None:
    refused = answer(404)
    refused.request.url = "https://api.example.com/v1/orders#made-up-secret"
    assert str(error_of(refused, Redactor([]))).startswith("GET https://api.example.com/v1/orders answered 404")


def test_the_body_is_cut_to_1000_characters() -> None:
    text = str(error(400, b"x" * 100_000))
    assert "x" * 999 + "…" in text
    assert "x" * 1000 not in text


def test_tokens_and_control_characters_in_a_body_are_hidden() -> None:
    text = str(error(400, f"you sent {TOKEN}\x1b[31m\r\n[2026] INFO forged".encode()))
    assert TOKEN not in text
    assert "***" in text
    assert text.isprintable()


@pytest.mark.parametrize("size", [3000, 5000, 20_000])
@pytest.mark.parametrize("times", [1, 2])
def test_a_long_token_in_a_body_is_masked_as_a_whole(size: int, times: int) -> None:
    token = "eyJhbGci" + "Q" * size
    body = b'{"headers": {"Authorization": "Bearer ' + b" ".join([token.encode()] * times) + b'"}}'
    text = str(error_of(answer(400, body), Redactor([token])))
    assert "eyJhbGci" not in text
    assert "QQQQ" not in text


@pytest.mark.parametrize("content_type", ["application/octet-stream", "image/png", "application/pdf"])
def test_a_body_that_is_no_text_is_named_and_not_shown(content_type: str) -> None:
    text = str(error(400, b"\x89PNG made-up-bytes", {"Content-Type": content_type}))
    assert "made-up-bytes" not in text
    assert f"(a body of type {content_type})" in text


@pytest.mark.parametrize(
    "content_type", ["application/problem+json", "text/html", "application/xml", "application/json"]
)
def test_a_body_of_text_is_shown(content_type: str) -> None:
    assert "out of stock" in str(error(400, b'{"detail": "out of stock"}', {"Content-Type": content_type}))


def test_an_unknown_charset_and_broken_bytes_are_survived() -> None:
    for charset in ("made-up", "undefined", "idna", "punycode", "rot13", "base64", "a\0b"):
        headers = {"Content-Type": f"text/plain; charset={charset}"}
        assert "gr" in str(error(400, "grün".encode("latin-1"), headers))
    assert "ok" in str(error(400, b"ok \xff\xfe", {"Content-Type": "application/json"}))


def test_a_body_that_breaks_off_does_not_hide_the_status() -> None:
    response = answer(500)

    class Broken(io.RawIOBase):
        def read(self, *_: Any) -> bytes:
            raise requests.exceptions.ChunkedEncodingError

    response.raw = Broken()
    assert error_of(response, Redactor([])).status_code == 500


def test_a_body_that_was_read_elsewhere_does_not_hide_the_status() -> None:
    response = answer(500, b"text")
    list(response.iter_content(10))
    assert error_of(response, Redactor([])).status_code == 500


def test_a_forged_reason_stays_on_its_line() -> None:
    response = answer(500, reason="Oops\r\n[2026] INFO forged " + "x" * 500)
    text = str(error_of(response, Redactor([])))
    assert text.isprintable()
    assert len(text) < 200


def test_an_empty_body_and_no_reason_make_a_short_sentence() -> None:
    assert str(error_of(answer(404, reason=""), Redactor([]))) == "GET https://api.example.com/v1/orders answered 404."
