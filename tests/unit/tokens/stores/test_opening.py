from __future__ import annotations

import logging
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.tokens.stores import opening
from airflow_oauth_provider.tokens.stores.base import LEASE_S, Counts, Entry, Lease
from airflow_oauth_provider.tokens.stores.guarded import OPERATION_TIMEOUT_S, GuardedStore
from airflow_oauth_provider.tokens.stores.memory import MemoryStore
from airflow_oauth_provider.tokens.stores.redis import RedisStore
from airflow_oauth_provider.tokens.stores.variable import CLAIM_WAIT_S, VariableStore

FACTORY = "made_up_stores:make"
Plant = Callable[[Callable[[], object]], None]


class Uncounted:
    """No more than a store must do."""

    def __init__(self) -> None:
        self._store = MemoryStore()
        self.names: list[str] = []

    def describe(self) -> str:
        return "made-up://here"

    def read(self, name: str) -> Entry:
        self.names.append(name)
        return self._store.read(name)

    def write(self, name: str, sealed: bytes | None, *, expected: int | None, ttl_s: float) -> bool:
        self.names.append(name)
        return self._store.write(name, sealed, expected=expected, ttl_s=ttl_s)

    def try_lease(self, name: str, lasts_s: float = LEASE_S) -> Lease | None:
        self.names.append(name)
        return self._store.try_lease(name, lasts_s)


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Plant:
    """Return a function that makes a factory importable as ``made_up_stores:make``."""

    def run(factory: Callable[[], object]) -> None:
        module = types.ModuleType("made_up_stores")
        vars(module)["make"] = factory
        monkeypatch.setitem(sys.modules, "made_up_stores", module)

    return run


def opened(url: str, prefix: str = "", home: Path = Path("/made-up")) -> GuardedStore:
    return opening.open_store(url, prefix=prefix, airflow_home=home)


@pytest.mark.parametrize("prefix", ["", "team-a.", "A_1", "x" * 50])
def test_a_prefix_stands_before_each_name(prefix: str, plant: Plant) -> None:
    store = Uncounted()
    plant(lambda: store)
    guarded = opened(FACTORY, prefix)
    guarded.write("name", b"x", expected=0, ttl_s=60)
    guarded.read("name")
    guarded.try_lease("name")
    assert store.names == [f"{prefix}name"] * 3


@pytest.mark.parametrize("prefix", ["x" * 51, "a b", "a/b", "../", "a:b", "ä", "a\n", "*"])
def test_what_cannot_be_part_of_a_name_is_no_prefix(prefix: str) -> None:
    with pytest.raises(SettingsError, match="token_store_prefix"):
        opened("memory://", prefix)


def test_a_store_of_ones_own_is_made_when_it_is_first_used_and_once(plant: Plant) -> None:
    made: list[Uncounted] = []

    def make() -> Uncounted:
        made.append(Uncounted())
        return made[-1]

    plant(make)
    guarded = opened(FACTORY)
    assert guarded.describe() == FACTORY
    assert made == []

    assert guarded.write("name", b"x", expected=0, ttl_s=60) is True
    assert guarded.read("name") == Entry(1, b"x")
    assert guarded.describe() == "made-up://here"
    assert len(made) == 1


def test_threads_that_open_a_store_at_once_use_the_same_one(plant: Plant) -> None:
    together = threading.Barrier(2)

    def make() -> MemoryStore:
        together.wait(30)
        return MemoryStore()

    plant(make)
    guarded = opened(FACTORY)
    threads = [
        threading.Thread(target=guarded.write, args=(name, b"x"), kwargs={"expected": 0, "ttl_s": 60})
        for name in ("one", "two")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [guarded.read(name).sealed for name in ("one", "two")] == [b"x", b"x"]


def test_a_store_of_ones_own_need_not_count(plant: Plant) -> None:
    plant(Uncounted)
    guarded = opened(FACTORY)
    guarded.count("name", made=1)
    assert guarded.counts("name") == Counts(None, None)
    assert guarded.available


def test_a_store_of_ones_own_may_count(plant: Plant) -> None:
    plant(MemoryStore)
    guarded = opened(FACTORY)
    guarded.count("name", made=1, saved=2)
    assert guarded.counts("name") == Counts(1, 2)


def broken() -> None:
    raise RuntimeError("made-up trouble")


@pytest.mark.parametrize(
    ("url", "factory", "told"),
    [
        ("no_such_module_here:make", MemoryStore, "No module named 'no_such_module_here'"),
        ("made_up_stores:no_such_factory", MemoryStore, "no attribute 'no_such_factory'"),
        (FACTORY, broken, "made-up trouble"),
        (FACTORY, lambda: None, "'NoneType' object has no attribute 'read'"),
    ],
)
def test_a_store_of_ones_own_that_cannot_be_made_fails_no_task(
    plant: Plant, caplog: pytest.LogCaptureFixture, url: str, factory: Callable[[], object], told: str
) -> None:
    plant(factory)
    guarded = opened(url)
    with caplog.at_level(logging.WARNING):
        assert guarded.read("name") == Entry()
    assert not guarded.available
    assert f"The token store {url} does not work" in caplog.text
    assert told in caplog.text


def test_redis_without_its_library_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with caplog.at_level(logging.WARNING):
        assert opened("redis://127.0.0.1:1/0").read("name") == Entry()
    assert "pip install 'airflow-oauth-provider[redis]'" in caplog.text


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("redis://user:made-up%20word@127.0.0.1:1/0", "made-up word"),
        ("rediss://127.0.0.1:1/0?password=made-up+word", "made-up word"),
        ("unix:///no/such/socket?password=made-up%2Fword", "made-up/word"),
        ("rediss://127.0.0.1:1/0?ssl_password=made-up-word", "made-up-word"),
    ],
)
def test_the_passwords_of_a_redis_are_masked_by_airflow_and_in_our_own_messages(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, url: str, secret: str
) -> None:
    masked: list[str] = []
    monkeypatch.setattr(opening, "mask_in_airflow", masked.extend)
    monkeypatch.setattr(RedisStore, "read", lambda *_: (_ for _ in ()).throw(OSError(f"not with {secret}!")))
    guarded = opened(url)
    with caplog.at_level(logging.WARNING):
        guarded.read("name")
    assert secret in masked
    assert "not with ***!" in caplog.text
    assert url.partition("?")[0].partition("user:made-up%20word@")[-1] in caplog.text
    assert "word" not in caplog.text


def test_a_redis_whose_password_needs_encoding_fails_no_task_and_shows_none_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    guarded = opened("redis://user:se/cret@127.0.0.1:1/0")
    with caplog.at_level(logging.WARNING):
        assert guarded.read("name") == Entry()
    assert "redis://… does not work" in caplog.text
    assert "percent-encoded" in caplog.text
    assert not any(part in caplog.text for part in ("se/", "'se'", "cret"))


def test_variables_are_given_the_time_that_a_claim_takes() -> None:
    guarded = opened("variable://")
    assert isinstance(guarded._store, VariableStore)
    assert guarded._timeout_s >= OPERATION_TIMEOUT_S + CLAIM_WAIT_S
    # Each look is a request to the API server.
    assert min(guarded.poll_s) >= 0.5


@pytest.mark.parametrize(
    "url",
    [
        "made-up",
        "variable://x",
        "file://host/x",
        "file:x/y",
        "https://user:se-cret@x",
        "a b:c",
        "x:y:z",
        "[",
        "//[",
        "",
    ],
)
def test_what_is_no_store_is_an_error_that_names_the_kinds_there_are(url: str) -> None:
    with pytest.raises(SettingsError, match="redis://host:port/db") as raised:
        opened(url)
    assert "se-cret" not in str(raised.value)
