"""Two authorization servers for all tests here, and connections to them through the environment."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.oidc_server import OidcServer, install
from tests.support.requirements import require
from tests.support.secure_oidc_server import SecureOidcServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def installed() -> None:
    problem = install()
    require(not problem, f"oidc-provider from npm ({problem})")


@pytest.fixture(scope="session")
def server(installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcServer]:
    with OidcServer(tmp_path_factory.mktemp("oidc") / "server.log") as running:
        yield running


@pytest.fixture(scope="session")
def secure(installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureOidcServer]:
    """Return the server over TLS, which takes every client authentication, and binds tokens."""
    with SecureOidcServer(tmp_path_factory.mktemp("oidc")) as running:
        yield running


@pytest.fixture
def connect(server: OidcServer, own_store: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return a function that makes a connection for a client of the server, with a store of this test's own."""
    return connecting(server, monkeypatch)


@pytest.fixture
def connect_securely(secure: SecureOidcServer, own_store: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Do the same with the server over TLS."""
    return connecting(secure, monkeypatch)


@pytest.fixture
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__OAUTH2__TOKEN_STORE", (tmp_path / "store").as_uri())


def connecting(server: OidcServer | SecureOidcServer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    def connection_id(name: str, **changes: Any) -> str:
        conn_id = f"oidc_{name}_{next(_numbers)}"
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", server.connection(name, **changes))
        return conn_id

    return connection_id
