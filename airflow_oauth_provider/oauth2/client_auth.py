"""
The ways a client proves who it is at the token endpoint (RFC 6749 §2.3).

Each is a function from settings to what it adds to the request; exactly one is used a request.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow_oauth_provider.oauth2.settings import (
    BASIC_RAW,
    CLIENT_SECRET_BASIC,
    CLIENT_SECRET_POST,
    ClientSettings,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class ClientAuthentication:
    """What a client adds to its token request to prove itself: headers and form parameters."""

    headers: dict[str, str] = field(default_factory=dict, repr=False)
    form: tuple[tuple[str, str], ...] = field(default=(), repr=False)


def client_secret_basic(settings: ClientSettings) -> ClientAuthentication:
    """HTTP Basic of form-encoded id and secret (RFC 6749 §2.3.1, App. B), or raw for servers that decode nothing."""
    return ClientAuthentication(headers={"Authorization": f"Basic {basic_credentials(settings)}"})


def client_secret_post(settings: ClientSettings) -> ClientAuthentication:
    """Id and secret as parameters of the body (RFC 6749 §2.3.1)."""
    return ClientAuthentication(form=(("client_id", settings.client_id), ("client_secret", settings.client_secret)))


AUTH_METHODS: dict[str, Callable[[ClientSettings], ClientAuthentication]] = {
    CLIENT_SECRET_BASIC: client_secret_basic,
    CLIENT_SECRET_POST: client_secret_post,
}


def basic_credentials(settings: ClientSettings) -> str:
    """Return the base64 part of the ``Authorization: Basic`` header."""
    user, password = settings.client_id, settings.client_secret
    if settings.basic_encoding != BASIC_RAW:
        # `%20` for a space and `-._~` as they are: what the most servers decode.
        user, password = quote(user, safe=""), quote(password, safe="")
    return base64.b64encode(f"{user}:{password}".encode()).decode()
