"""The token endpoint's answer → an access token, or one clear error (RFC 6749 §5)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_oauth_provider.exceptions import (
    AssertionRefusedError,
    InvalidClientError,
    InvalidGrantError,
    InvalidScopeError,
    InvalidTargetError,
    OAuth2Error,
    TokenEndpointUnavailableError,
    TokenRefusedError,
    TokenResponseError,
    UnauthorizedClientError,
)
from airflow_oauth_provider.masking import MASK
from airflow_oauth_provider.oauth2.advice import advice, clock_difference, ended_certificate, presented
from airflow_oauth_provider.oauth2.answer import find_token, token_from
from airflow_oauth_provider.oauth2.settings import WORKLOAD_IDENTITY
from airflow_oauth_provider.retry import retry_after_s

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_oauth_provider.masking import Redactor
    from airflow_oauth_provider.oauth2.dpop import ProofKey
    from airflow_oauth_provider.oauth2.settings import ClientSettings
    from airflow_oauth_provider.oauth2.token import AccessToken

_ERROR_CLASSES: dict[str, type[OAuth2Error]] = {
    "invalid_client": InvalidClientError,
    "unauthorized_client": UnauthorizedClientError,
    "invalid_scope": InvalidScopeError,
    "invalid_target": InvalidTargetError,
    "invalid_grant": InvalidGrantError,
    "server_error": TokenEndpointUnavailableError,
    "temporarily_unavailable": TokenEndpointUnavailableError,
}

# What passes when it comes of an assertion or a proof, which is made or read anew each time.
_OF_ASSERTIONS = frozenset({"invalid_client", "invalid_dpop_proof"})


def parse_token_response(
    settings: ClientSettings,
    redactor: Redactor,
    *,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    now: float,
    answered_at: float | None = None,
    proof_key: ProofKey | None = None,
    assertion: str | None = None,
) -> AccessToken:
    """
    Return the token in an answer.

    :param headers: the answer's headers, names without regard to case
    :param body: decoded, and already capped by the caller
    :param now: when the request was sent, epoch seconds: a token's life begins before its answer arrives
    :param answered_at: when the answer had arrived, epoch seconds; *now* when nobody looked
    :param proof_key: of the proof in the request (RFC 9449 §5)
    :param assertion: the platform's, in the request
    :raises TokenRefusedError: the server said no (and its subclasses for what it named)
    :raises AssertionRefusedError: an assertion or a proof was refused that the next request has anew
    :raises InvalidGrantError: the same, of the grant
    :raises TokenEndpointUnavailableError: 429 or 5xx
    :raises TokenResponseError: the answer cannot be read
    :raises UnusableTokenError: the token may not be used (RFC 6749 §7.1)
    """
    members = json_object(body)
    if 200 <= status < 300 and members is not None:
        around, value = find_token(settings.answer, members)
        if value is not None:
            return token_from(settings, redactor, around, value, now=now, proof_key=proof_key)

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
        skew = clock_difference(code, settings, headers, now, now if answered_at is None else answered_at)
        known = presented(assertion, redactor) if _is_about_assertion(code, settings) else ""
        known += ended_certificate(code, settings, now) + skew
        raise _error_class(code, settings, skewed=bool(skew))(
            f"{code}: {advice(code, settings)}{known}{_said(members, redactor)} Token endpoint: {where}.",
            error=code,
            **facts,
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
        f"Check {'Token URL' if settings.answer.path is None else 'answer_path'}.",
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
    if any(MASK in scope for scope in granted):
        return ""  # what is hidden may be what seems to be missing
    return " ".join(scope for scope in (settings.scope or "").split() if scope not in granted)


def _is_about_assertion(code: str, settings: ClientSettings) -> bool:
    """Return whether the platform's assertion may be the reason, if there is one in the request."""
    if code == "invalid_client":
        return settings.auth_method == WORKLOAD_IDENTITY
    return code in ("invalid_grant", "invalid_request")


def _error_class(code: str, settings: ClientSettings, *, skewed: bool) -> type[OAuth2Error]:
    passes = skewed or (code == "invalid_client" and settings.auth_method == WORKLOAD_IDENTITY)
    if code == "use_dpop_nonce" or (passes and code in _OF_ASSERTIONS):
        return AssertionRefusedError
    return _ERROR_CLASSES.get(code, TokenRefusedError)


def json_object(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object in a server's *body*, None when it is none."""
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
