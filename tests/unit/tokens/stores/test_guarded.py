from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_oauth_provider.tokens.stores.base import MAX_ENTRY_BYTES, Entry
from airflow_oauth_provider.tokens.stores.guarded import GuardedStore
from airflow_oauth_provider.tokens.stores.memory import MemoryStore
from tests.support.clock import Clock


class Faulty(MemoryStore):
    """Fails, or hangs until the test ends."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: Callable[[], object] = lambda: None
        self.calls = 0
        self.go_on = threading.Event()
        self.leases: list[Any] = []

    def hang(self) -> None:
        self.go_on.wait(30)

    def fail(self) -> None:
        raise OSError(28, "No space left on device")

    def read(self, name: str) -> Entry:
        self.calls += 1
        self.fault()
        return super().read(name)

    def write(self, name: str, sealed: bytes | None, *, expected: int | None, ttl_s: float) -> bool:
        self.calls += 1
        self.fault()
        return super().write(name, sealed, expected=expected, ttl_s=ttl_s)

    def try_lease(self, name: str) -> Any:
        self.calls += 1
        self.fault()
        lease = super().try_lease(name)
        self.leases.append(lease)
        return lease


@pytest.fixture
def store() -> Iterator[Faulty]:
    made = Faulty()
    yield made
    made.go_on.set()


def works(guarded: GuardedStore) -> bool:
    return guarded.available


OPERATIONS: list[Callable[[GuardedStore], object]] = [
    lambda guarded: guarded.read("name"),
    lambda guarded: guarded.write("name", b"x", expected=None, ttl_s=60),
    lambda guarded: guarded.try_lease("name"),
]


def test_what_works_is_passed_on(store: Faulty) -> None:
    guarded = GuardedStore(store)
    assert guarded.write("name", b"x", expected=0, ttl_s=60) is True
    assert guarded.write("name", b"x", expected=0, ttl_s=60) is False
    assert guarded.read("name") == Entry(1, b"x")
    lease = guarded.try_lease("name")
    assert lease is not None
    assert guarded.try_lease("name") is None
    guarded.release(lease)
    assert guarded.try_lease("name") is not None
    assert works(guarded)
    assert guarded.describe() == "memory://"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_store_that_fails_is_skipped_for_30_s_and_that_is_said_once(
    store: Faulty, operation: Callable[[GuardedStore], object], clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    guarded, store.fault = GuardedStore(store), store.fail
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            assert operation(guarded) in (None, Entry())
    assert store.calls == 1
    assert not works(guarded)
    assert [r.getMessage() for r in caplog.records] == [
        (
            "The token store memory:// does not work ([Errno 28] No space left on device): "
            "tokens are not shared for the next 30 s."
        )
    ]
    clock.advance(31)
    store.fault = lambda: None
    assert works(guarded)
    operation(guarded)
    assert store.calls == 2
    assert works(guarded)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_store_that_hangs_is_given_up(store: Faulty, operation: Callable[[GuardedStore], object]) -> None:
    guarded, store.fault = GuardedStore(store, timeout_s=0.05), store.hang
    began = time.perf_counter()
    assert operation(guarded) in (None, Entry())
    assert time.perf_counter() - began < 1
    assert not works(guarded)


def test_an_operation_is_given_two_seconds() -> None:
    assert GuardedStore(MemoryStore())._timeout_s == 2


def test_a_lease_that_came_too_late_is_given_back(store: Faulty) -> None:
    guarded, store.fault = GuardedStore(store, timeout_s=0.05), store.hang
    assert guarded.try_lease("name") is None
    store.go_on.set()
    for thread in threading.enumerate():
        if thread.name == "oauth2-bounded":
            thread.join()
    assert store.leases[0] is not None
    store.fault = lambda: None
    assert store.try_lease("name") is not None


def test_an_entry_over_64_kib_is_neither_written_nor_read(store: Faulty, caplog: pytest.LogCaptureFixture) -> None:
    guarded = GuardedStore(store)
    assert guarded.write("name", b"x" * (MAX_ENTRY_BYTES + 1), expected=None, ttl_s=60) is None
    assert "too large" in caplog.text
    assert store.calls == 0
    assert guarded.write("name", b"x" * MAX_ENTRY_BYTES, expected=None, ttl_s=60) is True
    store.write("other", b"x" * (MAX_ENTRY_BYTES + 1), expected=None, ttl_s=60)
    assert guarded.read("other") == Entry()
    assert works(guarded)


def test_a_machine_without_a_thread_left_only_loses_sharing(store: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert GuardedStore(store).read("name") == Entry()


def test_giving_back_nothing_is_no_error(store: Faulty) -> None:
    guarded = GuardedStore(store)
    store.fault = store.fail
    lease = guarded.try_lease("name")
    assert lease is None
    assert not works(guarded)
