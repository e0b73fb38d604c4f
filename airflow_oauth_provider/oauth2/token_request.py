"""Settings → a token request (RFC 6749 §4.4.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from airflow_oauth_provider.oauth2.client_auth import AUTH_METHODS

if TYPE_CHECKING:
    from airflow_oauth_provider.oauth2.settings import ClientSettings


@dataclass(frozen=True)
class TokenRequest:
    """
    A token request, ready to be sent by POST.

    :param headers: HTTP headers, the client's authentication among them
    :param body: the form, encoded
    """

    url: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def wire_parameters(settings: ClientSettings) -> tuple[tuple[str, str], ...]:
    """Return the form parameters that say what is wanted, without empty ones (RFC 6749 §3.2) and credentials."""
    wanted = (
        ("grant_type", settings.grant_type),
        ("scope", settings.scope or ""),
        ("audience", settings.audience or ""),
        *((name, value) for name, value in settings.extra_params if name != "grant_type"),
        *settings.secret_params,
    )
    return tuple((name, value) for name, value in wanted if value)


def build_token_request(settings: ClientSettings) -> TokenRequest:
    """Return the request for a token; credentials stand in a header or in the body, never in the URL."""
    authentication = AUTH_METHODS[settings.auth_method](settings)
    return TokenRequest(
        url=settings.token_endpoint,
        headers={
            "Accept": "application/json",
            "Content-Type": "application/x-www-form-urlencoded",
            **authentication.headers,
        },
        body=urlencode((*wire_parameters(settings), *authentication.form)).encode(),
    )
