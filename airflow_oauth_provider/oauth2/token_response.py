"""The token endpoint's answer → an access token, or one clear error (RFC 6749 §5)."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from airflow_oauth_provider.exceptions import (
    InvalidClientError,
    InvalidGrantError,
    InvalidScopeError,
    InvalidTargetError,
    OAuth2Error,
    TokenEndpointUnavailableError,
    TokenRefusedError,
    TokenResponseError,
    UnauthorizedClientError,
    UnusableTokenError,
)
from airflow_oauth_provider.oauth2.client_auth import AUTH_METHODS
from airflow_oauth_provider.oauth2.token import AccessToken
from airflow_oauth_provider.retry import retry_after_s

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_oauth_provider.masking import Redactor
    from airflow_oauth_provider.oauth2.settings import ClientSettings

DEFAULT_LIFETIME_S = 300.0
MAX_LIFETIME_S = 30 * 86_400.0

_TOKEN_CHARACTERS = re.compile(r"[\x21-\x7e]+", re.ASCII)
_DECIMAL = re.compile(r"[0-9]{1,400}(\.[0-9]*)?", re.ASCII)

_ERROR_CLASSES: dict[str, type[OAuth2Error]] = {
    "invalid_client": InvalidClientError,
    "unauthorized_client": UnauthorizedClientError,
    "invalid_scope": InvalidScopeError,
    "invalid_target": InvalidTargetError,
    "invalid_grant": InvalidGrantError,
    "server_error": TokenEndpointUnavailableError,
    "temporarily_unavailable": TokenEndpointUnavailableError,
}

_ADVICE = {
    "invalid_client": (
        "the server refused the client id or secret ({auth_method}). "
        "Check Client ID and Client secret, or choose {other}."
    ),
    "unauthorized_client": "this client may not use grant_type={grant_type}. Allow it at the authorization server.",
    "invalid_scope": "the server does not grant scope {scope!r} to this client. Check Scope.",
    "invalid_target": "the server does not know audience {audience!r} or refuses it. Check Audience.",
    "unsupported_grant_type": "the server does not know grant_type={grant_type}. Check Token URL and extra_params.",
    "invalid_request": (
        "the server misses or dislikes a parameter. Check Scope, Audience and extra_params, "
        "and Encoding of id and secret with client_secret_basic."
    ),
}


def parse_token_response(
    settings: ClientSettings,
    redactor: Redactor,
    *,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    now: float,
) -> AccessToken:
    """
    Return the token in an answer.

    :param headers: the answer's headers, names without regard to case
    :param body: decoded, and already capped by the caller
    :param now: when the request was sent, epoch seconds: a token's life begins before its answer arrives
    :raises TokenRefusedError: the server said no (and its subclasses for what it named)
    :raises TokenEndpointUnavailableError: 429 or 5xx
    :raises TokenResponseError: the answer cannot be read
    :raises UnusableTokenError: the token may not be used (RFC 6749 §7.1)
    """
    members = _json_object(body)
    if 200 <= status < 300 and members is not None and members.get("access_token") is not None:
        return _token(settings, redactor, members, now)

    where = f"{settings.shown_endpoint} (HTTP {status})"
    facts: dict[str, Any] = {"status_code": status, "request_id": request_id(headers, redactor)}
    if status == 429 or status >= 500:
        raise TokenEndpointUnavailableError(
            f"The token endpoint {where} is {'limiting requests' if status == 429 else 'out of order'}."
            f"{_said(members, redactor)}",
            retry_after_s=retry_after_s(headers, now),
            error=_error_code(members, redactor),
            **facts,
        )
    code = _error_code(members, redactor)
    if code is None and status == 401:
        code = "invalid_client"
    if code is not None:
        raise _ERROR_CLASSES.get(code, TokenRefusedError)(
            f"{code}: {_advice(code, settings)}{_said(members, redactor)} Token endpoint: {where}.", error=code, **facts
        )
    if 300 <= status < 400:
        target = redactor.server_text(headers.get("Location") or "nowhere")
        raise TokenRefusedError(
            f"The token endpoint {where} redirects to {target}. Redirects are not followed with credentials: "
            "if you trust that address, put it into Token URL.",
            **facts,
        )
    if status == 408 or (400 <= status < 500 and (pause := retry_after_s(headers, now)) is not None):
        raise TokenEndpointUnavailableError(
            f"The token endpoint {where} asks to come back later.",
            retry_after_s=None if status == 408 else pause,
            **facts,
        )
    if 400 <= status < 500:
        raise TokenRefusedError(
            f"There is no working token endpoint at {where}: it answered {_described(headers, body, redactor)}. "
            "Check Token URL.",
            **facts,
        )
    raise TokenResponseError(
        f"The token endpoint {where} answered without a token: {_outline(headers, body, members, redactor)}. "
        "Check Token URL.",
        **facts,
    )


def request_id(headers: Mapping[str, str], redactor: Redactor) -> str | None:
    """Return the id under which a server's operator finds the request, by the names in common use."""
    for name in ("X-Request-Id", "Request-Id", "X-Correlation-Id", "X-Ms-Request-Id", "X-Amzn-RequestId", "CF-Ray"):
        if value := headers.get(name):
            return redactor.server_text(value, 100)
    return None


def narrower_scope(settings: ClientSettings, token: AccessToken) -> str:
    """Return the scopes that were asked for and not granted, blank-separated; scopes are case-sensitive (§3.3)."""
    granted = (token.scope or "").split()
    return " ".join(scope for scope in (settings.scope or "").split() if scope not in granted)


def _token(settings: ClientSettings, redactor: Redactor, members: dict[str, Any], now: float) -> AccessToken:
    value, token_type, scope = members["access_token"], members.get("token_type"), members.get("scope")
    where = settings.shown_endpoint
    if not isinstance(value, str) or not _TOKEN_CHARACTERS.fullmatch(value):
        raise UnusableTokenError(
            f"The token of {where} is not a string of visible ASCII characters, so it cannot stand in a header."
        )
    if not isinstance(token_type, str) or not token_type:
        raise UnusableTokenError(
            f"The answer of {where} has no token_type, so nobody knows how to use its token (RFC 6749 §5.1)."
        )
    if token_type.lower() != "bearer":
        shown = redactor.server_text(token_type, 40)
        raise UnusableTokenError(f"The token of {where} is of type {shown!r}; only Bearer is known (RFC 6749 §7.1).")
    if isinstance(scope, list):
        scope = " ".join(str(item) for item in scope)
    return AccessToken(
        value=value,
        token_type=token_type,
        scope=escape_scope(scope, redactor) if isinstance(scope, str) and scope else settings.scope,
        issued_at=now,
        expires_at=now + lifetime_s(members.get("expires_in")),
    )


def escape_scope(scope: str, redactor: Redactor) -> str:
    """Return a granted scope fit for logs and messages: some servers name hundreds."""
    return redactor.server_text(scope, 2000)


def lifetime_s(expires_in: Any) -> float:
    """Return the seconds that ``expires_in`` grants, at most 30 days; a default where it is not to be believed."""
    if isinstance(expires_in, str) and _DECIMAL.fullmatch(expires_in.strip()):
        expires_in = float(expires_in)
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float):
        return DEFAULT_LIFETIME_S
    if not math.isfinite(expires_in) or expires_in <= 0:
        return DEFAULT_LIFETIME_S
    return min(float(expires_in), MAX_LIFETIME_S)


def _advice(code: str, settings: ClientSettings) -> str:
    return _ADVICE.get(code, "the token endpoint refused the request.").format(
        auth_method=settings.auth_method,
        other=next(method for method in AUTH_METHODS if method != settings.auth_method),
        grant_type=settings.grant_type,
        scope=settings.scope,
        audience=settings.audience,
    )


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        # Python refuses integers of over 4,300 digits; as a float they are infinite, and then not believed.
        value = json.loads(body, parse_int=lambda digits: int(digits) if len(digits) < 20 else float(digits))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _error_code(members: dict[str, Any] | None, redactor: Redactor) -> str | None:
    code = (members or {}).get("error")
    return redactor.server_text(str(code), 60) if code else None


def _said(members: dict[str, Any] | None, redactor: Redactor) -> str:
    said = [
        redactor.server_text(str(text))
        for name in ("error_description", "error_uri")
        if (text := (members or {}).get(name))
    ]
    return f" The server says: “{'” “'.join(said)}”." if said else ""


def _described(headers: Mapping[str, str], body: bytes, redactor: Redactor) -> str:
    """Say what a refusal holds, in a few words; an HTML page is not shown, since it says little."""
    outline = _outline(headers, body, None, redactor)
    if not body.strip() or b"<html" in body[:1000].lower():
        return outline
    return f"{outline}: “{redactor.server_text(body[:4000].decode('utf-8', 'replace'))}”"


def _outline(headers: Mapping[str, str], body: bytes, members: dict[str, Any] | None, redactor: Redactor) -> str:
    """Say what came without showing any of it: the answer of a token endpoint may hold a token in an unknown form."""
    if not body.strip():
        return "an empty body"
    content_type = redactor.server_text(headers.get("Content-Type") or "an unnamed type", 60)
    if members is not None:
        names = redactor.server_text(", ".join(name for name in members if len(name) <= 40), 100)
        return f"JSON with the members {names}" if names else "an empty JSON object"
    if b"<html" in body[:1000].lower():
        return f"an HTML page ({content_type})"
    return f"{len(body)} bytes of {content_type}"
