"""The JWTs by which a client proves who it is, or for whom it asks (RFC 7521, RFC 7523)."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.oauth2.jws import SECRET_ALGORITHMS, sign
from airflow_oauth_provider.oauth2.keys import certificate_thumbprint, signing_algorithm
from airflow_oauth_provider.oauth2.settings import (
    AUDIENCE_ENDPOINT,
    AUDIENCE_ISSUER,
    CLIENT_SECRET_JWT,
    WORKLOAD_IDENTITY,
    Attempt,
    ClientSettings,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

# Of each signed assertion: how long it lives, and by how much the server's clock may be behind ours.
LIFETIME_S = 60
SKEW_S = 10
OWN_CLAIMS = frozenset({"iss", "sub", "aud", "exp", "iat", "nbf", "jti"})


def client_assertion(settings: ClientSettings, attempt: Attempt) -> str:
    """
    Return the ``client_assertion`` of a request (RFC 7523 §2.2): a signed one, or the platform's.

    :raises SettingsError: what signs it is missing, or cannot sign so
    """
    if settings.auth_method == WORKLOAD_IDENTITY:
        return _of_the_platform(attempt)
    claims = {"iss": settings.client_id, "sub": settings.client_id, "aud": audience_of(settings)}
    header = {"typ": settings.assertion_typ} if settings.assertion_typ else {}
    return _signed(settings, attempt, header, claims, by_secret=settings.auth_method == CLIENT_SECRET_JWT)


def grant_assertion(settings: ClientSettings, attempt: Attempt) -> str:
    """
    Return the ``assertion`` of the JWT bearer grant (RFC 7523 §2.1): a signed one, or the platform's.

    Its audience is the token endpoint unless the connection says otherwise: that is what servers of this grant take.

    :raises SettingsError: what signs it is missing, or cannot sign so
    """
    if settings.signing_key is None:
        return _of_the_platform(attempt)
    audience = _named_audience(settings) or settings.token_endpoint
    claims = {"iss": settings.client_id, "sub": settings.subject or settings.client_id, "aud": audience}
    further = further_claims(settings.assertion_claims)
    # A request may hold a client assertion, too: a server takes each jti once.
    grant = replace(attempt, unique_id=f"{attempt.unique_id}-grant")
    return _signed(settings, grant, {"typ": "JWT"}, {**further, **claims}, by_secret=False)


def audience_of(settings: ClientSettings) -> str:
    """
    Return the audience of a client assertion, one value: the issuer, where it is known (draft-ietf-oauth-rfc7523bis).

    :raises SettingsError: the issuer is asked for, and not known
    """
    return _named_audience(settings) or settings.issuer or settings.token_endpoint


def further_claims(text: str | None) -> dict[str, Any]:
    """
    Return the claims that a connection adds to the assertion of a JWT bearer grant.

    :param text: a JSON object
    :raises SettingsError: it is none, or would replace a claim that is made here
    """
    if not text:
        return {}
    claims = _json_object(text)
    if claims is None:
        raise SettingsError('assertion_claims is not a JSON object such as {"scope": "signature"}.')
    if reserved := sorted(OWN_CLAIMS & claims.keys()):
        raise SettingsError(
            f"assertion_claims cannot set {', '.join(reserved)}: "
            "the client id, subject, assertion_audience and the clock do."
        )
    return claims


def claims_of(assertion: str) -> dict[str, Any]:
    """Return ``iss``, ``sub`` and ``aud`` of a JWT, unverified; nothing where it is none."""
    parts = assertion.split(".")
    if len(parts) != 3:
        return {}
    try:
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)).decode()
    except ValueError:
        return {}
    claims = _json_object(payload) or {}
    return {name: claims[name] for name in ("iss", "sub", "aud") if name in claims}


def _signed(
    settings: ClientSettings,
    attempt: Attempt,
    header: Mapping[str, str],
    claims: Mapping[str, Any],
    *,
    by_secret: bool,
) -> str:
    now = int(attempt.now)
    # Where there is a key, its id is not the secret's.
    named = {"kid": settings.key_id} if settings.key_id and not (by_secret and settings.signing_key) else {}
    timed = {"iat": now, "nbf": now - SKEW_S, "exp": now + LIFETIME_S, "jti": attempt.unique_id}
    if by_secret:
        key, algorithm = settings.client_secret, _secret_algorithm(settings)
    else:
        if settings.signing_key is None:
            raise SettingsError(f"{settings.auth_method} needs a key to sign with: private_key or key_file.")
        key = settings.signing_key.private_key
        algorithm = signing_algorithm(key, settings.signing_algorithm, field="signing_algorithm")
        if settings.signing_key.certificate:
            named["x5t#S256"] = certificate_thumbprint(settings.signing_key.certificate)
    return sign({**header, **named}, {**claims, **timed}, key=key, algorithm=algorithm)


def _secret_algorithm(settings: ClientSettings) -> str:
    if not settings.client_secret:
        raise SettingsError("client_secret_jwt needs the client secret, in the connection's password.")
    algorithm = settings.signing_algorithm or SECRET_ALGORITHMS[0]
    if algorithm not in SECRET_ALGORITHMS:
        raise SettingsError(f"signing_algorithm of client_secret_jwt is one of {', '.join(SECRET_ALGORITHMS)}.")
    return algorithm


def _named_audience(settings: ClientSettings) -> str | None:
    named = settings.assertion_audience
    if named == AUDIENCE_ENDPOINT:
        return settings.token_endpoint
    if named == AUDIENCE_ISSUER:
        if not settings.issuer:
            raise SettingsError("assertion_audience is the issuer, which nothing names: set issuer, or discover.")
        return settings.issuer
    return named


def _of_the_platform(attempt: Attempt) -> str:
    if not attempt.assertion:
        raise SettingsError("No assertion is at hand: set assertion_file or assertion_env, or a key to sign one with.")
    return attempt.assertion


def _json_object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
