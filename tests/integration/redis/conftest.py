"""Processes whose tokens lie in a real Redis: ``environment`` is that of the folder above, with the store's URL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest

from tests.support.processes import Outcome
from tests.support.raw import RawServer
from tests.support.redis_server import RedisServer
from tests.support.tcp_proxy import Proxy

Environment = Callable[..., dict[str, str]]
# Nobody should see it anywhere: it has characters that URLs, logs and shells like to change.
PASSWORD = "made-up r3dis/p@ss:word%"


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    with RedisServer(password=PASSWORD) as running:
        yield running


@pytest.fixture
def environment(environment: Environment, redis_server: RedisServer) -> Environment:
    """Return a function that makes the environment of a process with the connection ``shop`` and the Redis."""

    def make(store: str | None = None, **changes: str) -> dict[str, str]:
        return environment(**changes) | {"AIRFLOW__OAUTH2__TOKEN_STORE": store or redis_server.url}

    return make


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[Proxy]:
    with Proxy(redis_server.port) as running:
        yield running


def through(place: Proxy | RawServer) -> str:
    """Return the URL of a Redis that is reached there, or seems to be."""
    return f"redis://:{quote(PASSWORD, safe='')}@127.0.0.1:{place.port}/0"


def warnings(outcome: Outcome) -> list[str]:
    """Return what a process said about its store."""
    return [line for line in outcome.log if "does not work" in line]
