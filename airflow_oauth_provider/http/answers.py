"""An API's answer → nothing, or the error that says what it means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests

from airflow_oauth_provider.exceptions import (
    ApiRefusedError,
    ApiRefusedTokenError,
    ApiUnavailableError,
    OAuth2Error,
)
from airflow_oauth_provider.oauth2.challenge import parse_challenges, refuses_token
from airflow_oauth_provider.oauth2.token_response import request_id
from airflow_oauth_provider.retry import RETRIED_STATUSES, retry_after_s

if TYPE_CHECKING:
    from airflow_oauth_provider.masking import Redactor

SHOWN_CHARACTERS = 1000

# A conflict or a lock can be gone at the next try of the task.
_PASSING_STATUSES = RETRIED_STATUSES | {409, 423}
_TEXT_TYPES = ("text/", "json", "xml", "javascript", "x-www-form-urlencoded", "ndjson", "csv")
_FIRST_BYTES = 4096


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
    challenge = headers.get("WWW-Authenticate") or ""
    code = next((c.parameters["error"] for c in parse_challenges(challenge) if "error" in c.parameters), None)
    pause_s = retry_after_s(headers)
    reason = redactor.server_text(response.reason or "", 60)
    message = f"{redactor(describe_call(response.request))} answered {status} {reason}".rstrip()
    if code:
        message += f" ({redactor.server_text(code, 60)})"
    body = _shown_body(response, redactor)
    message += f": {body}" if body else "."
    error_class: type[OAuth2Error] = ApiRefusedError
    if status == 401 and refuses_token(challenge):
        error_class, pause_s = ApiRefusedTokenError, renewable_in_s or pause_s
        message += (
            " The body can be read only once, so it was not sent again with a new token: pass bytes or a file."
            if body_spent
            else " The API refuses a fresh token: check audience, scope and roles of the client."
        )
    elif status in _PASSING_STATUSES or status >= 500 or "Retry-After" in headers:
        error_class = ApiUnavailableError
    elif status == 403:
        message += " The token is good, but it may not do this: check scope and roles of the client."
    return error_class(
        message,
        status_code=status,
        error=redactor.server_text(code, 60) if code else None,
        retry_after_s=pause_s,
        request_id=request_id(headers, redactor),
    )


def describe_call(request: requests.PreparedRequest) -> str:
    """Return method and URL of *request* without the query, which may hold what is nobody's business."""
    return f"{request.method} {(request.url or '').partition('?')[0][:300]}"


def _shown_body(response: requests.Response, redactor: Redactor) -> str:
    content_type = (response.headers.get("Content-Type") or "text/").lower()
    try:
        # A streamed body may be endless; another has been read already.
        first = next(response.iter_content(_FIRST_BYTES), b"")
    except (requests.RequestException, RuntimeError):
        return ""
    if not any(kind in content_type for kind in _TEXT_TYPES):
        return f"(a body of type {redactor.server_text(content_type, 60)})" if first else ""
    text = decoded(first, response)
    return redactor.server_text(text, SHOWN_CHARACTERS)


def decoded(content: bytes, response: requests.Response) -> str:
    """Return a body, or its beginning, as text: UTF-8 where no charset is named, which requests takes for Latin-1."""
    try:
        return content.decode(
            named_charset(response) or "utf-8", "replace" if len(content) == _FIRST_BYTES else "strict"
        )
    except (LookupError, UnicodeDecodeError):
        return content.decode("latin-1")


def named_charset(response: requests.Response) -> str | None:
    """Return the charset that the answer names; requests has a default of its own for text, which nobody uses."""
    return response.encoding if "charset" in response.headers.get("Content-Type", "").lower() else None
