"""What goes in and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from airflow_oauth_provider.http.settings import ApiSettings
    from airflow_oauth_provider.oauth2.settings import ClientSettings


class ConnectionFields(Protocol):
    """What is read of an Airflow connection, whichever class it is of."""

    host: str | None
    login: str | None
    password: str | None
    schema: str | None
    port: int | None
    extra: str | None


@dataclass(frozen=True)
class ConnectionSettings:
    """
    Everything that a connection says.

    :param test_endpoint: what *Test* calls besides the token endpoint
    """

    client: ClientSettings
    api: ApiSettings
    test_endpoint: str | None = None

    def secrets(self) -> tuple[str, ...]:
        """All values that must never be shown."""
        return (*self.client.secrets(), *self.api.secrets())
