from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_oauth_provider.tokens.stores.base import LEASE_S, MAX_ENTRY_BYTES, Counts, Entry
from airflow_oauth_provider.tokens.stores.guarded import GuardedStore
from airflow_oauth_provider.tokens.stores.memory import MemoryStore
from tests.support.clock import Clock
from tests.support.patience import LIMIT_S
from tests.support.processes import wait_until


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

    def try_lease(self, name: str, lasts_s: float = LEASE_S) -> Any:
        self.calls += 1
        self.fault()
        lease = super().try_lease(name, lasts_s)
        self.leases.append(lease)
        return lease


@pytest.fixture
def store() -> Iterator[Faulty]:
    made = Faulty()
    yield made
    made.go_on.set()


def hanging(store: Faulty) -> GuardedStore:
    """Return a guard whose first read hangs, and that waits for long from then on."""
    guarded, store.fault = GuardedStore(store, timeout_s=0.05), store.hang
    guarded.read("name")
    wait_until(lambda: store.calls)
    guarded._bound_s = guarded._timeout_s = LIMIT_S
    return guarded


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
    assert time.perf_counter() - began < 20
    assert not works(guarded)


def test_an_operation_is_given_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the limits of the package
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


@pytest.mark.parametrize("answers", ["later", "at once"])
def test_a_task_that_is_ended_while_it_asks_for_a_lease_leaves_none_behind(
    store: Faulty, monkeypatch: pytest.MonkeyPatch, answers: str
) -> None:
    class TaskTimeout(BaseException):
        """As Airflow's, which comes from a signal."""

    def ended(event: threading.Event, timeout: float | None = None) -> bool:
        monkeypatch.undo()
        if answers == "at once":
            assert event.wait(30)
        store.go_on.set()
        raise TaskTimeout

    if answers == "later":
        store.fault = store.hang
    guarded = GuardedStore(store, timeout_s=60)
    monkeypatch.setattr(threading.Thread, "start", started_before(ended, monkeypatch))
    with pytest.raises(TaskTimeout):
        guarded.try_lease("name")
    assert store.leases[0] is not None
    store.fault = lambda: None
    assert store.try_lease("name") is not None


def started_before(wait: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a ``Thread.start`` after which whoever waits for an event meets *wait*: the start itself waits for one."""
    start = threading.Thread.start

    def started(thread: threading.Thread) -> None:
        start(thread)
        monkeypatch.setattr(threading.Event, "wait", wait)

    return started


def test_a_lease_is_given_back_when_no_thread_is_to_be_had(store: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    guarded = GuardedStore(store)
    lease = guarded.try_lease("name")
    assert lease is not None
    monkeypatch.setattr(threading.Thread, "start", refuse)
    guarded.release(lease)
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


def test_a_prefix_stands_before_every_name(store: Faulty) -> None:
    team_a, team_b = (GuardedStore(store, prefix=prefix) for prefix in ("a.", "b."))
    team_a.write("name", b"x", expected=0, ttl_s=60)
    team_a.count("name", made=1)
    assert team_a.try_lease("name") is not None

    assert team_b.read("name") == Entry()
    assert team_b.counts("name") == Counts(0, 0)
    assert team_b.try_lease("name") is not None
    assert store.read("a.name").sealed == b"x"


def test_counts_are_passed_on(store: Faulty) -> None:
    guarded = GuardedStore(store)
    guarded.count("name", made=1)
    guarded.count("name", saved=2)
    assert guarded.counts("name") == Counts(1, 2)


def test_a_store_that_fails_to_count_is_asked_no_more_to_and_is_used_on(
    store: Faulty, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[str] = []

    def fail(name: str, **_: int) -> None:
        asked.append(name)
        raise OSError("made-up")

    monkeypatch.setattr(store, "count", fail)
    guarded = GuardedStore(store)
    with caplog.at_level(logging.INFO):
        guarded.count("name", made=1)
        guarded.count("name", made=1)
    assert asked == ["name"]
    assert works(guarded)
    assert caplog.text == ""


def test_nothing_is_counted_while_a_store_is_skipped(store: Faulty) -> None:
    guarded, store.fault = GuardedStore(store), store.fail
    guarded.read("name")
    guarded.count("name", made=1)
    assert store.counts("name") == Counts(0, 0)


@pytest.mark.parametrize("counts", [None, "made-up"])
def test_counts_that_are_none_are_unknown(store: Faulty, monkeypatch: pytest.MonkeyPatch, counts: str | None) -> None:
    monkeypatch.setattr(store, "counts", lambda _: counts)
    assert GuardedStore(store).counts("name") == Counts(None, None)


def test_a_lease_is_given_back_while_a_store_is_skipped(store: Faulty) -> None:
    guarded = GuardedStore(store)
    lease = guarded.try_lease("name")
    assert lease is not None
    store.fault = store.fail
    guarded.read("name")
    assert not works(guarded)

    guarded.release(lease)

    store.fault = lambda: None
    assert store.try_lease("name") is not None


def test_what_a_store_raises_is_shown_without_its_secrets_and_on_one_line(
    store: Faulty, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise OSError("AUTH made-up/word refused\nERROR forged")

    guarded, store.fault = GuardedStore(store, secrets=["made-up/word"]), fail
    with caplog.at_level(logging.WARNING):
        guarded.read("name")
    assert r"(AUTH *** refused\nERROR forged)" in caplog.text


@pytest.mark.parametrize(
    "entry",
    [None, b"sealed", Entry("made-up", b"x"), Entry(1, "text"), Entry(1, 10**12), Entry(1, b"x", "soon")],  # type: ignore[arg-type]
)
def test_an_entry_that_is_none_counts_as_a_failure(
    store: Faulty, monkeypatch: pytest.MonkeyPatch, entry: object
) -> None:
    monkeypatch.setattr(store, "read", lambda _: entry)
    guarded = GuardedStore(store)
    assert guarded.read("name") == Entry()
    assert not works(guarded)


def test_other_kinds_of_bytes_are_taken_as_bytes(store: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "read", lambda _: Entry(1, bytearray(b"x"), 5))  # type: ignore[arg-type]
    assert GuardedStore(store).read("name") == Entry(1, b"x", 5.0)


def test_no_second_thread_waits_beside_one_that_hangs(store: Faulty, clock: Clock) -> None:
    guarded = hanging(store)
    for _ in range(5):
        guarded.read("name")
        clock.advance(31)
    assert store.calls == 1
    store.fault = lambda: None
    store.go_on.set()
    assert guarded._hanging
    assert guarded._hanging["entry"][1].wait(30)
    guarded.read("name")
    assert store.calls == 2


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_does_not_wait_for_a_thread_of_its_parent(store: Faulty, clock: Clock) -> None:
    guarded = hanging(store)
    store.fault = lambda: None
    clock.advance(31)
    if (child := os.fork()) == 0:
        guarded.read("name")
        os._exit(0 if guarded.available and store.calls == 2 else 1)
    assert os.waitpid(child, 0)[1] == 0
    guarded.read("name")
    assert not guarded.available, "in the parent it still hangs"
    store.go_on.set()


def test_counting_goes_on_when_the_pause_has_ended(
    store: Faulty, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded = GuardedStore(store)
    with monkeypatch.context() as broken:
        broken.setattr(store, "count", lambda *_, **__: 1 / 0)
        guarded.count("name", made=1)
    guarded.count("name", made=1)
    assert guarded.counts("name") == Counts(0, 0)
    clock.advance(31)
    guarded.count("name", made=1)
    assert guarded.counts("name") == Counts(1, 0)


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("made-up")


@pytest.mark.parametrize("raised", [SystemExit("made-up"), KeyboardInterrupt(), GeneratorExit(), MuteError()])
def test_whatever_a_store_raises_ends_nobodys_task(store: Faulty, raised: BaseException) -> None:
    def fail() -> None:
        raise raised

    guarded, store.fault = GuardedStore(store), fail
    assert guarded.read("name") == Entry()
    assert not works(guarded)


@pytest.mark.parametrize("generation", [-1, 2**63, 10**5000], ids=["negative", "2^63", "huge"])
def test_a_generation_that_nothing_could_write_is_a_failure_of_the_store(
    store: Faulty, monkeypatch: pytest.MonkeyPatch, generation: int
) -> None:
    guarded = GuardedStore(store)
    monkeypatch.setattr(store, "read", lambda _: Entry(generation, b"x"))
    assert guarded.read("name") == Entry()
    assert not works(guarded)


def test_a_count_that_hangs_leaves_one_thread_behind(
    store: Faulty, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[str] = []

    def count(name: str, **_: int) -> None:
        began.append(name)
        store.hang()

    monkeypatch.setattr(store, "count", count)
    guarded = GuardedStore(store)
    for _ in range(3):
        guarded._bound_s = 0.05  # for what hangs, and not for what this machine may hold up
        guarded.count("name", made=1)
        wait_until(lambda: began)
        guarded._bound_s = LIMIT_S
        assert guarded.write("name", b"x", expected=None, ttl_s=60)
        clock.advance(31)
    assert began == ["name"]
    assert works(guarded)


def test_counts_that_are_no_numbers_are_unknown(store: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "counts", lambda _: Counts(object(), 1))  # type: ignore[arg-type]
    assert GuardedStore(store).counts("name") == Counts()
