"""What to do when the token endpoint refuses, by error code, client authentication and grant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_oauth_provider.oauth2.settings import (
    CLIENT_CREDENTIALS,
    CLIENT_SECRET_BASIC,
    CLIENT_SECRET_JWT,
    CLIENT_SECRET_POST,
    JWT_BEARER,
    NONE,
    PRIVATE_KEY_JWT,
    SELF_SIGNED_TLS_CLIENT_AUTH,
    TLS_CLIENT_AUTH,
    TOKEN_EXCHANGE,
    WORKLOAD_IDENTITY,
)
from airflow_oauth_provider.retry import http_date

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_oauth_provider.masking import Redactor
    from airflow_oauth_provider.oauth2.settings import ClientSettings

MAX_SKEW_S = 30.0

# Where a clock that is off may be the reason.
_TIMED = frozenset({"invalid_client", "invalid_grant", "invalid_dpop_proof"})
_SIGNING_METHODS = frozenset({CLIENT_SECRET_JWT, PRIVATE_KEY_JWT})

_SECRET = (
    "the server refused the client id or secret ({auth_method}). Check Client ID and Client secret, or choose {other}."
)
_OF_CLIENT = {
    CLIENT_SECRET_BASIC: _SECRET,
    CLIENT_SECRET_POST: _SECRET,
    CLIENT_SECRET_JWT: (
        "the server refused the client id or what the client secret signed (client_secret_jwt). "
        "Check Client ID, Client secret, signing_algorithm and assertion_audience."
    ),
    PRIVATE_KEY_JWT: (
        "the server refused the client's assertion (private_key_jwt). Check that it knows the public key, under "
        "key_id or by the certificate; Client ID, signing_algorithm and assertion_audience; and the clock."
    ),
    TLS_CLIENT_AUTH: (
        "the server refused the client certificate (tls_client_auth). Check Client ID and certificate: the server must "
        "trust its issuer and know its subject."
    ),
    SELF_SIGNED_TLS_CLIENT_AUTH: (
        "the server refused the client certificate (self_signed_tls_client_auth). Check Client ID and certificate: the "
        "server must know just this one."
    ),
    WORKLOAD_IDENTITY: (
        "the server refused the platform's assertion (workload_identity). Check Client ID, and that the server trusts "
        "this issuer, subject and audience."
    ),
    NONE: (
        "the server does not know the client, or wants it to prove itself (none). Check Client ID, or choose another "
        "client authentication."
    ),
}
_OF_GRANT = {
    ("invalid_grant", CLIENT_CREDENTIALS): (
        "the server refused the request. It may want a bound token for this client: set dpop, or give the client's "
        "certificate."
    ),
    ("invalid_grant", JWT_BEARER): (
        "the server refused the assertion (JWT bearer grant). Check that it knows the key and lets Client ID act for "
        "subject; assertion_audience and assertion_claims; and the clock."
    ),
    ("invalid_grant", TOKEN_EXCHANGE): "the server refused the subject token. Check where it comes from and its age.",
    ("invalid_request", TOKEN_EXCHANGE): (
        "the server misses or dislikes a parameter, or the subject token. Check Scope, Audience, and "
        "subject_token_type and the others of extra_params."
    ),
}
_OF_CODE = {
    "unauthorized_client": "this client may not use grant_type={grant_type}. Allow it at the authorization server.",
    "invalid_scope": "the server does not grant scope {scope!r} to this client. Check Scope.",
    "invalid_target": "the server does not know {target} or refuses it. Check Audience and resource.",
    "invalid_authorization_details": "the server does not grant these authorization details. Check rar.",
    "unsupported_grant_type": "the server does not know grant_type={grant_type}. Check Token URL and extra_params.",
    "invalid_request": "the server misses or dislikes a parameter. Check Scope, Audience and extra_params{encoding}.",
    "invalid_dpop_proof": (
        "the server refused the DPoP proof. Check dpop_algorithm and the clock, and that Token URL is the URL which "
        "the server knows itself by."
    ),
    "use_dpop_nonce": "the server wants another nonce in the DPoP proof than the one it gave.",
}


def advice(code: str, settings: ClientSettings) -> str:
    """Return what the error *code* means here and what to change, in one or two sentences."""
    method = settings.auth_method
    text = _OF_CLIENT.get(method) if code == "invalid_client" else _OF_GRANT.get((code, settings.grant))
    text = text or _OF_CODE.get(code, "the token endpoint refused the request.")
    audience = () if settings.audience is None else (f"audience {settings.audience!r}",)
    return text.format(
        auth_method=method,
        other=CLIENT_SECRET_BASIC if method == CLIENT_SECRET_POST else CLIENT_SECRET_POST,
        grant_type=settings.grant_type,
        scope=settings.scope,
        target=" or ".join((*audience, *(f"resource {uri!r}" for uri in settings.resources))) or "what is asked for",
        encoding=", and Encoding of id and secret with client_secret_basic" if method == CLIENT_SECRET_BASIC else "",
    )


def presented(assertion: str | None, redactor: Redactor) -> str:
    """Say whom the platform's *assertion* names; no claim of it is a secret, and the server has to know them."""
    if assertion is None:
        return ""
    from airflow_oauth_provider.oauth2.assertion import claims_of

    claims = claims_of(assertion)
    named = [f"{name} {claims[name]!r}" for name in ("iss", "sub", "aud") if name in claims]
    return f" It names {redactor.server_text(', '.join(named), 600)}." if named else " It is not a JWT."


def ended_certificate(code: str, settings: ClientSettings, now: float) -> str:
    """Say that the client's certificate has ended, where the server may have refused the client for it."""
    pairs = (settings.signing_key, settings.transport.client_certificate)
    certificates = [pair.certificate for pair in pairs if pair is not None and pair.certificate]
    if code != "invalid_client" or not certificates:
        return ""
    from airflow_oauth_provider.oauth2.keys import certificate_end

    ended = [end for end in map(certificate_end, certificates) if end.timestamp() < now]
    return f" The client's certificate ended on {min(ended):%Y-%m-%d}." if ended else ""


def clock_difference(
    code: str, settings: ClientSettings, headers: Mapping[str, str], sent_at: float, answered_at: float
) -> str:
    """Say by how much this machine's clock is off by the server's, where what was signed here may fail for it."""
    signed = settings.auth_method in _SIGNING_METHODS or bool(settings.dpop)
    signed = signed or (settings.grant == JWT_BEARER and settings.signing_key is not None)
    return clock_is_off(headers, sent_at, answered_at) if code in _TIMED and signed else ""


def clock_is_off(headers: Mapping[str, str], sent_at: float, answered_at: float) -> str:
    """Say by how much this machine's clock is off by the server's; nothing where it is not by much."""
    date = http_date(str(headers.get("Date") or ""))
    if date is None:
        return ""
    # The server read its clock some time between the two.
    behind_s = date - min(max(date, sent_at), answered_at)
    if abs(behind_s) <= MAX_SKEW_S:
        return ""
    return (
        f" This machine's clock is {abs(behind_s):.0f} s {'behind' if behind_s > 0 else 'ahead of'} the server's, "
        "as its Date header shows: set the clock."
    )
