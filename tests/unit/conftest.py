"""Nothing of a process's memory outlives a test; and APIs to which the connection *shop* leads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_oauth_provider.tokens import registry
from airflow_oauth_provider.tokens.stores.guarded import GuardedStore
from tests.support.clock import Clock
from tests.support.made_up import connection_json
from tests.support.patience import LIMIT_S
from tests.support.pulls import ORDERS, mocked_shop, numbered
from tests.support.servers import OAuthServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import requests_mock as mocking


@pytest.fixture(autouse=True)
def _a_new_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Give each test a store of its own and nothing of the environment's network."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    yield
    registry._sources.clear()
    registry._stores.clear()


@pytest.fixture(autouse=True)
def _patient_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no store be skipped because the machine stalled; tests of that limit set one of their own."""
    assert GuardedStore.__init__.__kwdefaults__ is not None
    monkeypatch.setitem(GuardedStore.__init__.__kwdefaults__, "timeout_s", LIMIT_S)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return a clock that goes as the test says: what a machine that stalls adds would be as good as random."""
    made = Clock(monkeypatch)
    made.stand_still()
    return made


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OAuthServer]:
    """Run a server of the test's own."""
    with OAuthServer() as running:
        extra = {"base_url": f"{running.url}/api"}
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", connection_json(extra, host=f"{running.url}/token"))
        yield running


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, requests_mock: mocking.Mocker) -> mocking.Mocker:
    """Return a mocked API that has the numbers below 25, by offset and limit."""
    mocked_shop(monkeypatch, requests_mock)
    requests_mock.get(ORDERS, json=numbered(25))
    return requests_mock
