"""What an API is: the values from which a session is built."""

from __future__ import annotations

from dataclasses import dataclass, field

from airflow_oauth_provider.oauth2.settings import Transport


@dataclass(frozen=True)
class ApiSettings:
    """
    An API and what may be sent to it.

    :param base_url: with scheme and optional path; empty where the token endpoint's answers name it
    :param headers: for every call
    :param secret_headers: the same, for values that nobody may see
    :param allowed_hosts: further exact origins that may receive the token
    :param allowed_api_origins: what the base URL of an answer may be, empty: any
    :param allow_http: lets a non-loopback ``http://`` URL through
    """

    base_url: str
    headers: tuple[tuple[str, str], ...] = ()
    secret_headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    allowed_hosts: tuple[str, ...] = ()
    allowed_api_origins: tuple[str, ...] = ()
    allow_http: bool = False
    transport: Transport = field(default_factory=Transport)

    def secrets(self) -> tuple[str, ...]:
        """All values that must never be shown."""
        return tuple(value for _, value in self.secret_headers if value)
