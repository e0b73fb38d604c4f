"""
The ways a client proves who it is at the token endpoint (RFC 6749 §2.3, RFC 7523 §2.2, RFC 8705 §2).

Each is a function from settings and attempt to what it adds to the request; exactly one is used a request.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow_oauth_provider.oauth2.settings import (
    BASIC_RAW,
    CLIENT_SECRET_BASIC,
    CLIENT_SECRET_JWT,
    CLIENT_SECRET_POST,
    JWT_BEARER,
    NONE,
    PRIVATE_KEY_JWT,
    SELF_SIGNED_TLS_CLIENT_AUTH,
    TLS_CLIENT_AUTH,
    WORKLOAD_IDENTITY,
    Attempt,
    ClientSettings,
)

if TYPE_CHECKING:
    from collections.abc import Callable

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

# What only a client authentication may put into a request.
CREDENTIAL_PARAMETERS = frozenset({"client_id", "client_secret", "client_assertion", "client_assertion_type"})


@dataclass(frozen=True)
class ClientAuthentication:
    """What a client adds to its token request to prove itself: headers and form parameters."""

    headers: dict[str, str] = field(default_factory=dict, repr=False)
    form: tuple[tuple[str, str], ...] = field(default=(), repr=False)


def client_secret_basic(settings: ClientSettings, _: Attempt) -> ClientAuthentication:
    """HTTP Basic of form-encoded id and secret (RFC 6749 §2.3.1, App. B), or raw for servers that decode nothing."""
    return ClientAuthentication(headers={"Authorization": f"Basic {basic_credentials(settings)}"})


def client_secret_post(settings: ClientSettings, _: Attempt) -> ClientAuthentication:
    """Id and secret as parameters of the body (RFC 6749 §2.3.1)."""
    return ClientAuthentication(form=(("client_id", settings.client_id), ("client_secret", settings.client_secret)))


def by_assertion(settings: ClientSettings, attempt: Attempt) -> ClientAuthentication:
    """
    Prove it by a signed assertion (RFC 7523 §2.2), the client's own, or the platform's.

    ``client_id`` goes along, which RFC 7521 §4.2 leaves open and Entra ID wants.
    """
    # Imported late: only a process that fetches a token pays for it.
    from airflow_oauth_provider.oauth2.assertion import client_assertion

    proof = (("client_assertion_type", ASSERTION_TYPE), ("client_assertion", client_assertion(settings, attempt)))
    return ClientAuthentication(form=(*_client_id(settings), *proof))


def by_certificate(settings: ClientSettings, _: Attempt) -> ClientAuthentication:
    """Only who it is (RFC 8705 §2): the proof was given in the TLS handshake."""
    return ClientAuthentication(form=_client_id(settings))


def by_nothing(settings: ClientSettings, _: Attempt) -> ClientAuthentication:
    """Only who it is, and not even that where the grant's assertion names its issuer (RFC 7521 §4.1)."""
    return ClientAuthentication(form=() if settings.grant == JWT_BEARER else _client_id(settings))


AUTH_METHODS: dict[str, Callable[[ClientSettings, Attempt], ClientAuthentication]] = {
    CLIENT_SECRET_BASIC: client_secret_basic,
    CLIENT_SECRET_POST: client_secret_post,
    CLIENT_SECRET_JWT: by_assertion,
    PRIVATE_KEY_JWT: by_assertion,
    TLS_CLIENT_AUTH: by_certificate,
    SELF_SIGNED_TLS_CLIENT_AUTH: by_certificate,
    WORKLOAD_IDENTITY: by_assertion,
    NONE: by_nothing,
}


def basic_credentials(settings: ClientSettings) -> str:
    """Return the base64 part of the ``Authorization: Basic`` header."""
    user, password = settings.client_id, settings.client_secret
    if settings.basic_encoding != BASIC_RAW:
        # `%20` for a space and `-._~` as they are: what the most servers decode.
        user, password = quote(user, safe=""), quote(password, safe="")
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def _client_id(settings: ClientSettings) -> tuple[tuple[str, str], ...]:
    return (("client_id", settings.client_id),) if settings.client_id else ()
