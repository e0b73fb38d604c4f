"""A server and a connection to it, named *shop*."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.made_up import CLIENT_ID, SECRET
from tests.support.servers import OAuthServer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OAuthServer]:
    with OAuthServer() as running:
        connection = {"conn_type": "oauth2", "host": f"{running.url}/token", "login": CLIENT_ID, "password": SECRET}
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({**connection, "extra": {"base_url": f"{running.url}/api"}}))
        yield running
