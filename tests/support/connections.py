"""Connections as people fill them in, and what a platform allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_oauth_provider.config import ProviderConfig
from airflow_oauth_provider.connection import ConnectionSettings, read_connection
from tests.support.keys import certificate, made_key, pem
from tests.support.made_up import fields

if TYPE_CHECKING:
    from pathlib import Path

ANY = ProviderConfig()
LISTED = "https://login.example.com"


def read(extra: dict[str, Any] | str | None = None, config: ProviderConfig = ANY, **changes: Any) -> ConnectionSettings:
    """Return what a connection says that has a secret and a base URL, and *extra* and *changes* besides."""
    return read_connection(fields(extra, **changes), config)


def platform(folder: Path | None = None, *variables: str, listed: tuple[str, ...] = (LISTED,)) -> ProviderConfig:
    """Return the configuration of a platform that lets its identity and files of *folder* be used."""
    folders = (str(folder),) if folder else ()
    return ProviderConfig(allowed_token_endpoints=listed, key_folders=folders, assertion_env_names=variables)


def key_text(number: int = 0, kind: str = "P-256", passphrase: str | None = None) -> str:
    """Return a private key as PEM, always the same for one *number*."""
    return pem(made_key(kind, number), passphrase=passphrase)


def certificate_text(number: int = 0, kind: str = "P-256") -> str:
    """Return a certificate of that key."""
    return certificate(made_key(kind, number))
