"""Processes that discover one made-up issuer's endpoints, with a store between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_oauth_provider.masking import Redactor
from airflow_oauth_provider.tokens.discovery import Discovery
from airflow_oauth_provider.tokens.stores.memory import MemoryStore
from tests.support.made_up import SECRET, client_settings
from tests.support.token_sources import Processes

if TYPE_CHECKING:
    from airflow_oauth_provider.oauth2.settings import ClientSettings
    from airflow_oauth_provider.tokens.entries import SealedEntries

ISSUER = "https://login.example.com/tenant"
OAUTH = "https://login.example.com/.well-known/oauth-authorization-server/tenant"
OPENID = "https://login.example.com/tenant/.well-known/openid-configuration"
TOKEN_ENDPOINT = "https://login.example.com/tenant/token"
DAY_S = 86_400.0


def document(**changes: Any) -> dict[str, Any]:
    """Return the issuer's document."""
    return {"issuer": ISSUER, "token_endpoint": TOKEN_ENDPOINT, **changes}


def settings_of(**changes: Any) -> ClientSettings:
    """Return the settings of a client that knows the issuer alone."""
    return client_settings(**{"token_endpoint": "", "issuer": ISSUER, "discover": True, **changes})


class Fleet:
    """One store, and as many processes as are started."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self._processes = Processes(self.store)

    def entries(self, settings: ClientSettings | None = None) -> SealedEntries:
        return self._processes.entries(settings or settings_of())

    def start(self, *allowed: str, **changes: Any) -> Discovery:
        """Return the discovery of a process that has just begun."""
        settings = settings_of(**changes)
        return Discovery(settings, self.entries(settings), allowed_origins=allowed, redactor=Redactor([SECRET]))


def resolve(discovery: Discovery) -> str:
    """Return the token endpoint."""
    return discovery.resolve(30.0).token_endpoint
