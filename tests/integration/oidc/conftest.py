"""One authorization server for all tests here, and connections to it through the environment."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.oidc_server import OidcServer, install
from tests.support.requirements import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcServer]:
    problem = install()
    require(not problem, f"oidc-provider from npm ({problem})")
    with OidcServer(tmp_path_factory.mktemp("oidc") / "server.log") as running:
        yield running


@pytest.fixture
def connect(server: OidcServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return a function that makes a connection for a client of the server, with a store of this test's own."""
    monkeypatch.setenv("AIRFLOW__OAUTH2__TOKEN_STORE", (tmp_path / "store").as_uri())

    def connection_id(name: str, **changes: Any) -> str:
        conn_id = f"oidc_{name}_{next(_numbers)}"
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", server.connection(name, **changes))
        return conn_id

    return connection_id
