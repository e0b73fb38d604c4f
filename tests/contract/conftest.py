"""The stores against which the contract is held."""

from __future__ import annotations

import multiprocessing
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.pool import Pool
from pathlib import Path

import pytest

from airflow_oauth_provider.tokens.stores import base
from airflow_oauth_provider.tokens.stores.base import TokenStore
from airflow_oauth_provider.tokens.stores.memory import MemoryStore
from tests.contract import racers
from tests.support.certificates import Authority
from tests.support.patience import be_patient
from tests.support.redis_server import RedisServer

KINDS = ("memory", "file", "redis", "redis-socket", "redis-tls")
CHOSEN = "chosen"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--token-store", metavar="URL", help="hold the contract of token stores against this one alone")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "place" in metafunc.fixturenames:
        # The option is unknown where this folder is not what pytest was called with.
        chosen = metafunc.config.getoption("--token-store", None)
        metafunc.parametrize("place", [CHOSEN] if chosen else KINDS, indirect=True, scope="session")


@dataclass(frozen=True)
class Place:
    """
    Where a store is.

    :param url: as ``[oauth2] token_store`` takes it, None where no other process can open it
    :param open: return the store as another process would open it
    """

    url: str | None
    open: Callable[[], TokenStore]


@pytest.fixture(scope="session")
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder: Path = tmp_path_factory.mktemp("contract")
    with ExitStack() as servers:
        if request.param == "memory":
            store = MemoryStore()
            yield Place(None, lambda: store)
            return
        if request.param == CHOSEN:
            url = str(request.config.getoption("--token-store"))
        elif request.param == "file":
            url = folder.as_uri()
        elif request.param == "redis":
            url = servers.enter_context(RedisServer()).url
        elif request.param == "redis-socket":
            url = servers.enter_context(RedisServer(unix_socket=True)).url
        else:
            authority = Authority.make(folder, "authority")
            url = servers.enter_context(RedisServer(authority=authority, password="made-up p@ss/word")).url
        yield Place(url, lambda: racers.opened(url))


@pytest.fixture(autouse=True)
def patient_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a busy machine does to a store is not in the contract; what is changed for good is given back, too."""
    be_patient(monkeypatch)


@pytest.fixture
def open_store(place: Place) -> Callable[[], TokenStore]:
    """Return a function that opens the store as another process would."""
    return place.open


@pytest.fixture
def store(open_store: Callable[[], TokenStore]) -> TokenStore:
    return open_store()


@pytest.fixture
def name() -> str:
    """Return a name that no other test has used, of the kind and length that the package uses."""
    return f"{secrets.token_hex(32)}.token"


@pytest.fixture
def short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let leases live for a second; ``LEASE_S`` is found in whichever module it was imported into."""
    life_s = base.LEASE_S
    for module in list(sys.modules.values()):
        if getattr(module, "__dict__", {}).get("LEASE_S") == life_s:
            monkeypatch.setattr(module, "LEASE_S", 1.0)


@pytest.fixture(scope="session")
def processes() -> Iterator[Pool]:
    """Return processes that begin each round together."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(racers.PROCESSES)
    with context.Pool(racers.PROCESSES, racers.line_up, (barrier,)) as pool:
        yield pool
        pool.close()
        pool.join()
