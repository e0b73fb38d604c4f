"""An API's answer → nothing, or the error that says what it means."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import requests
import urllib3

from airflow_oauth_provider.exceptions import (
    ApiRefusedError,
    ApiRefusedTokenError,
    ApiUnavailableError,
    OAuth2Error,
)
from airflow_oauth_provider.http.auth import PROOF
from airflow_oauth_provider.oauth2.advice import clock_is_off
from airflow_oauth_provider.oauth2.challenge import asks_for_nonce, error_in, parse_challenges, refuses_token
from airflow_oauth_provider.oauth2.dpop import USE_NONCE, nonce_in
from airflow_oauth_provider.oauth2.settings import without_query
from airflow_oauth_provider.oauth2.token_response import request_id
from airflow_oauth_provider.retry import RETRIED_STATUSES, retry_after_s

if TYPE_CHECKING:
    from airflow_oauth_provider.masking import Redactor

SHOWN_CHARACTERS = 1000

# A conflict or a lock can be gone at the next try of the task.
_PASSING_STATUSES = RETRIED_STATUSES | {409, 423}
_TEXT_TYPES = ("text/", "json", "xml", "javascript", "x-www-form-urlencoded", "ndjson", "csv")
_FIRST_BYTES = 4096
# For the text of an error, which decides nothing: the error itself is known by its status.
_PATIENCE_S = 5.0

_SPENT = " The body can be read only once, so it was not sent again with a new token or nonce: pass bytes or a file."


def error_of(
    response: requests.Response, redactor: Redactor, *, renewable_in_s: float = 0.0, body_spent: bool = False
) -> OAuth2Error:
    """
    Return the error for a refused call: permanent, unless trying again can help.

    It shows the first 1,000 characters of a text body, with secrets masked and control characters escaped.

    :param renewable_in_s: seconds until the token of this call would be replaced by a new one
    :param body_spent: the call could not be sent again with a new token
    """
    status, headers = response.status_code, response.headers
    scheme = "dpop" if PROOF in response.request.headers else "bearer"
    challenge = headers.get("WWW-Authenticate") or ""
    code = error_in(challenge, scheme)
    pause_s = retry_after_s(headers)
    reason = redactor.server_text(response.reason or "", 60)
    message = f"{redactor.server_text(describe_call(response.request), 300)} answered {status} {reason}".rstrip()
    if code:
        message += f" ({redactor.server_text(code, 60)})"
    body = _shown_body(response, redactor)
    message += f": {body}" if body else "."
    error_class, advice = _meaning(response, challenge, scheme, body_spent=body_spent)
    if error_class is ApiRefusedTokenError:
        pause_s = renewable_in_s or pause_s
    return error_class(
        message + advice,
        status_code=status,
        error=redactor.server_text(code, 60) if code else None,
        retry_after_s=pause_s,
        request_id=request_id(headers, redactor),
    )


def _meaning(
    response: requests.Response, challenge: str, scheme: str, *, body_spent: bool
) -> tuple[type[OAuth2Error], str]:
    """Return the class of the error, and what to do about it."""
    status = response.status_code
    if status == 401 and refuses_token(challenge, scheme):
        fresh = " The API refuses a fresh token: check audience, scope and roles of the client."
        return ApiRefusedTokenError, _SPENT if body_spent else fresh
    if scheme == "dpop" and (code := error_in(challenge, scheme)) in (USE_NONCE, "invalid_dpop_proof"):
        return _refused_proof(response, code, body_spent=body_spent)
    if status in _PASSING_STATUSES or status >= 500 or "Retry-After" in response.headers:
        return ApiUnavailableError, ""
    if status == 403:
        return ApiRefusedError, " The token is good, but it may not do this: check scope and roles of the client."
    return ApiRefusedError, _other_scheme(challenge, scheme) if status == 401 else ""


def _refused_proof(response: requests.Response, code: str | None, *, body_spent: bool) -> tuple[type[OAuth2Error], str]:
    """Return what it means that the API dislikes the proof (RFC 9449 §7.1, §9); a clock or a nonce can pass."""
    if code == USE_NONCE and nonce_in(response.headers) is None:
        return ApiRefusedError, " The API wants a nonce in the DPoP proof, but names none."
    if code == USE_NONCE:
        return ApiUnavailableError, _SPENT if body_spent else " The API wants yet another nonce in the DPoP proof."
    now = time.time()
    if off := clock_is_off(response.headers, now - response.elapsed.total_seconds(), now):
        return ApiUnavailableError, f" The API refuses the DPoP proof.{off}"
    return ApiRefusedError, (
        " The API refuses the DPoP proof: check that base_url is the URL by which the API knows itself, and "
        "dpop_algorithm."
    )


def _other_scheme(challenge: str, scheme: str) -> str:
    asked = {challenge.scheme for challenge in parse_challenges(challenge)}
    if scheme == "dpop" and scheme not in asked:
        return " The token is bound to a key (DPoP), which the API does not ask for: does it take such tokens?"
    if scheme == "bearer" and "dpop" in asked:
        return " The API wants a token that is bound to a key: set dpop in the connection."
    return ""


def wants_another_nonce(response: requests.Response) -> bool:
    """Whether the API has done nothing for want of the nonce that it names (RFC 9449 §9)."""
    asked = response.status_code == 401 and PROOF in response.request.headers
    return asked and asks_for_nonce(response.headers.get("WWW-Authenticate")) and nonce_in(response.headers) is not None


def describe_call(request: requests.PreparedRequest) -> str:
    """Return method and URL of *request*, as messages show it."""
    return f"{request.method} {without_query(request.url or '')}"


def _shown_body(response: requests.Response, redactor: Redactor) -> str:
    content_type = (response.headers.get("Content-Type") or "text/").lower()
    try:
        first = _beginning(response)
    except (requests.RequestException, RuntimeError):
        return ""
    if not any(kind in content_type for kind in _TEXT_TYPES):
        return f"(a body of type {redactor.server_text(content_type, 60)})" if first else ""
    text = decoded(first, response, cut=len(first) == _FIRST_BYTES)
    return redactor.server_text(text, SHOWN_CHARACTERS)


def _beginning(response: requests.Response) -> bytes:
    """Return the first bytes of a body that may be endless, or drip."""
    consumed = response._content_consumed  # type: ignore[attr-defined]  # noqa: SLF001  # then requests has it
    if consumed or not isinstance(response.raw, urllib3.HTTPResponse):
        return next(response.iter_content(_FIRST_BYTES), b"")
    first, ends_at = b"", time.monotonic() + _PATIENCE_S
    while len(first) < _FIRST_BYTES and time.monotonic() < ends_at:
        try:
            piece = response.raw.read1(_FIRST_BYTES - len(first), decode_content=True)
        except (urllib3.exceptions.HTTPError, OSError):
            break  # what came tells more than nothing
        if not piece:
            break
        first += piece
    return first


def decoded(content: bytes, response: requests.Response, *, cut: bool = False) -> str:
    """
    Return a body as text: UTF-8 where no charset is named, which requests takes for Latin-1.

    :param cut: it is the beginning of one, which may end within a character
    """
    try:
        return content.decode(named_charset(response) or "utf-8", "replace" if cut else "strict")
    except (LookupError, ValueError):  # UnicodeError is one; so is what a NUL in the name comes to
        return content.decode("latin-1")


def named_charset(response: requests.Response) -> str | None:
    """Return the charset that the answer names; requests has a default of its own for text, which nobody uses."""
    return response.encoding if "charset" in response.headers.get("Content-Type", "").lower() else None
