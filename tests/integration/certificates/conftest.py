"""Two authorities, and a server of the one that demands certificates of the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.certificates import Authority
from tests.support.client_certificates import demanding, endpoint_at
from tests.support.sessions import session_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_oauth_provider.oauth2.settings import Transport
    from tests.support.servers import OAuthServer


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    """Return the authority of the servers."""
    return Authority.make(tmp_path, "servers")


@pytest.fixture
def clients(tmp_path: Path) -> Authority:
    """Return the authority of the clients."""
    return Authority.make(tmp_path, "clients")


@pytest.fixture
def tls(ours: Authority, clients: Authority) -> Iterator[OAuthServer]:
    """Run a server that lets nobody in without a certificate of the clients' authority."""
    with demanding(ours, clients.bundle.read_text()) as running:
        yield running


@pytest.fixture(params=["token endpoint", "API", "API, with a large body"])
def ask(request: pytest.FixtureRequest) -> Callable[[str, Transport], object]:
    """Return what asks the server at a URL for something."""
    if request.param == "token endpoint":
        return lambda url, transport: endpoint_at(url, transport).fetch()
    data = b"x" * (5_000_000 if "body" in request.param else 0)
    return lambda url, transport: session_at(f"{url}/api", transport=transport).call("PUT", "orders", data=data)
