"""A response → the XCom value of a single call."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_oauth_provider.exceptions import ResponseFormatError
from airflow_oauth_provider.oauth2.settings import without_query

if TYPE_CHECKING:
    import requests

    from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook


def described(response: requests.Response, hook: OAuth2Hook) -> str:
    """Return method and URL, without the query."""
    return hook.redact(f"{response.request.method} {without_query(response.url or '')}", 300)


def value_of(response: requests.Response, what: str, hook: OAuth2Hook) -> Any:
    """
    Return JSON as objects, anything else as text, and nothing as None.

    :param what: of :func:`described`
    :raises ResponseFormatError: it says that it is JSON, but is not
    """
    content_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    is_json = content_type in ("application/json", "text/json") or content_type.endswith("+json")
    if response.status_code == 204 or (is_json and not response.content):
        return None
    if not is_json:
        return text_of(response)
    try:
        return _json(response)
    except (ValueError, RecursionError):
        pass
    # Outside of the handler: its exception holds the whole body.
    raise ResponseFormatError(
        f"{what} answered {response.status_code} with {content_type} that is not JSON: "
        f"{hook.redact(text_of(response), 200)}",
        status_code=response.status_code,
    )


def _json(response: requests.Response) -> Any:
    try:
        return json.loads(response.content)
    except UnicodeDecodeError:  # JSON is UTF-8 (RFC 8259 §8.1), but some servers name another charset
        return json.loads(response.text)


def text_of(response: requests.Response) -> str:
    """Return the body as text."""
    from airflow_oauth_provider.http.answers import decoded

    try:
        return decoded(response.content, response)
    except RuntimeError:
        return "(a large body, which was streamed)"
