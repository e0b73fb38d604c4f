"""
What :class:`~airflow_oauth_provider.tokens.stores.base.TokenStore` has to do, held against every store that does it.

Run it against a store of your own, by its URL or factory::

    pytest tests/contract --token-store redis://127.0.0.1:6379/9
    pytest tests/contract --token-store my_package.stores:make_store

It writes under names of its own, which end within minutes. The factory must be importable from other processes, and the
module of the store must take the life of a lease from ``LEASE_S``, so that tests need not wait for a hundred seconds.
``variable://`` promises less, and is not held against it: Variables know neither leases nor compare and set.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from multiprocessing.pool import Pool

import pytest

from airflow_oauth_provider.tokens.stores.base import MAX_ENTRY_BYTES, Entry, Lease, TokenStore
from airflow_oauth_provider.tokens.stores.guarded import GuardedStore
from airflow_oauth_provider.tokens.stores.redis import SCHEMES as REDIS_SCHEMES
from tests.contract import racers
from tests.contract.conftest import Place
from tests.support.processes import wait_until
from tests.support.threads import in_threads_at_once

Open = Callable[[], TokenStore]
ROUNDS = 20
OUR_SCHEMES = ("memory", "file", *REDIS_SCHEMES)


def held(lease: Lease | None) -> Lease:
    assert lease is not None
    return lease


# Entries --------------------------------------------------------------------------------------------------------------


def test_where_nothing_was_written_there_is_nothing(store: TokenStore, name: str) -> None:
    assert store.read(name) == Entry()


def test_what_one_process_writes_another_reads(open_store: Open, name: str) -> None:
    assert open_store().write(name, b"sealed", expected=0, ttl_s=60) is True
    entry = open_store().read(name)
    assert entry.sealed == b"sealed"
    assert entry.generation > 0
    assert open_store().read(name).generation == entry.generation


def test_each_write_has_another_generation(store: TokenStore, name: str) -> None:
    generations = [0]
    for number in range(5):
        assert store.write(name, f"sealed-{number}".encode(), expected=generations[-1], ttl_s=60) is True
        generations.append(store.read(name).generation)
    assert len(set(generations)) == 6


@pytest.mark.parametrize("sealed", [b"late", None], ids=["value", "tombstone"])
def test_a_write_that_builds_on_another_generation_changes_nothing(
    store: TokenStore, name: str, sealed: bytes | None
) -> None:
    store.write(name, b"one", expected=0, ttl_s=60)
    first = store.read(name).generation
    store.write(name, b"two", expected=first, ttl_s=60)
    second = store.read(name)

    for outdated in (0, first, second.generation + 1):
        assert store.write(name, sealed, expected=outdated, ttl_s=60) is False

    assert store.read(name).sealed == b"two"
    assert store.read(name).generation == second.generation


def test_a_write_that_expects_nothing_writes_whatever_there_is(store: TokenStore, name: str) -> None:
    for sealed in (b"one", b"two"):
        assert store.write(name, sealed, expected=None, ttl_s=60) is True
        assert store.read(name).sealed == sealed


def test_a_tombstone_is_empty_and_has_a_generation(store: TokenStore, name: str) -> None:
    store.write(name, b"sealed", expected=0, ttl_s=60)
    written = store.read(name).generation

    assert store.write(name, None, expected=written, ttl_s=60) is True

    tombstone = store.read(name)
    assert tombstone.sealed is None
    assert tombstone.generation not in (0, written)
    assert store.write(name, b"late", expected=written, ttl_s=60) is False
    assert store.write(name, b"next", expected=tombstone.generation, ttl_s=60) is True
    assert store.read(name).sealed == b"next"


@pytest.mark.parametrize(
    "sealed",
    [bytes(range(256)), b"\0", b"\n", b"\r\n:$-1\r\n", b"nil", "ü".encode("latin-1"), b"\xff" * MAX_ENTRY_BYTES],
    ids=["all bytes", "NUL", "line feed", "protocol", "nil", "latin-1", "64 KiB"],
)
def test_bytes_come_back_as_they_were(open_store: Open, name: str, sealed: bytes) -> None:
    assert open_store().write(name, sealed, expected=0, ttl_s=60) is True
    assert open_store().read(name).sealed == sealed


def test_an_entry_that_ends_under_a_fetch_is_replaced_by_it(store: TokenStore, name: str) -> None:
    store.write(name, b"one", expected=0, ttl_s=0.2)
    began_with = store.read(name).generation
    time.sleep(0.5)  # the end of an entry is what is waited for
    assert store.write(name, b"two", expected=began_with, ttl_s=60) is True
    assert store.read(name).sealed == b"two"
    assert store.read(name).generation != began_with


def test_names_are_told_apart(store: TokenStore, name: str) -> None:
    names = [name, name[:-1], f"{name}.lease", f"{name}-", f"A{name}", f"a{name}", f"_{name}", name.ljust(150, "x")]
    for other in names:
        assert store.write(other, other.encode(), expected=0, ttl_s=60) is True
    assert [store.read(other).sealed for other in names] == [other.encode() for other in names]


def test_teams_with_a_prefix_of_their_own_share_nothing(open_store: Open, name: str) -> None:
    ours, theirs = (GuardedStore(open_store(), prefix=prefix) for prefix in ("team-a.", "team-b."))
    assert ours.write(name, b"ours", expected=0, ttl_s=60) is True
    lease = held(ours.try_lease(name))

    assert theirs.read(name) == Entry()
    assert theirs.write(name, b"theirs", expected=0, ttl_s=60) is True
    assert theirs.try_lease(name) is not None
    assert ours.read(name).sealed == b"ours"
    ours.release(lease)


# Time -----------------------------------------------------------------------------------------------------------------


def test_an_entry_lives_for_as_long_as_it_was_given(store: TokenStore, name: str) -> None:
    store.write(name, b"sealed", expected=0, ttl_s=90)
    entry = store.read(name)
    assert entry.sealed == b"sealed"
    # None: the store has no clock of its own for that.
    assert entry.ttl_s is None or 60 < entry.ttl_s <= 90


def test_the_life_of_an_entry_is_that_of_its_last_write(store: TokenStore, name: str) -> None:
    store.write(name, b"short", expected=0, ttl_s=0.2)
    store.write(name, b"long", expected=None, ttl_s=60)
    ended = time.monotonic() + 0.3
    wait_until(lambda: time.monotonic() > ended)
    assert store.read(name).sealed == b"long"


def test_a_generation_that_ended_is_never_found_again(store: TokenStore, name: str) -> None:
    """Whoever slept over the end of an entry must not overwrite the one that was written meanwhile."""
    store.write(name, b"short", expected=0, ttl_s=0.1)
    slept_on = store.read(name).generation
    ended = time.monotonic() + 0.3
    wait_until(lambda: time.monotonic() > ended)

    assert store.write(name, b"newer", expected=store.read(name).generation, ttl_s=60) is True

    assert store.write(name, b"late", expected=slept_on, ttl_s=60) is False
    assert store.read(name).sealed == b"newer"


# Leases ---------------------------------------------------------------------------------------------------------------


def test_a_lease_is_held_by_one_at_a_time(open_store: Open, name: str) -> None:
    lease = held(open_store().try_lease(name))
    assert open_store().try_lease(name) is None
    assert open_store().try_lease(f"{name}-other") is not None

    lease.release()

    assert open_store().try_lease(name) is not None


def test_a_lease_and_an_entry_of_one_name_do_not_touch_each_other(store: TokenStore, name: str) -> None:
    lease = held(store.try_lease(name))
    assert store.read(name) == Entry()
    assert store.write(name, b"sealed", expected=0, ttl_s=60) is True
    lease.release()
    assert store.read(name).sealed == b"sealed"


def test_a_lease_that_was_given_back_is_no_concern_of_its_old_holder(open_store: Open, name: str) -> None:
    lease = held(open_store().try_lease(name))
    lease.release()
    next_one = held(open_store().try_lease(name))

    lease.release()

    assert open_store().try_lease(name) is None
    next_one.release()


def test_a_lease_ends_by_itself(open_store: Open, name: str, short_leases: None) -> None:
    began = time.monotonic()
    slept = held(open_store().try_lease(name))
    wait_until(lambda: open_store().try_lease(name) is not None)
    assert time.monotonic() - began > 0.9
    slept.release()


def test_a_lease_may_be_asked_for_a_shorter_time_and_its_holder_cannot_end_the_next_one(
    open_store: Open, name: str
) -> None:
    began = time.monotonic()
    slept = held(open_store().try_lease(name, 1.0))
    next_ones: list[Lease] = []

    def taken_over() -> bool:
        lease = open_store().try_lease(name)
        next_ones.extend([lease] if lease is not None else [])
        return lease is not None

    wait_until(taken_over)
    assert time.monotonic() - began > 0.9
    slept.release()

    assert open_store().try_lease(name) is None
    next_ones[0].release()


# Races ----------------------------------------------------------------------------------------------------------------


def test_of_threads_that_build_on_one_generation_one_writes(store: TokenStore, name: str) -> None:
    for number in range(ROUNDS):
        generation = store.read(name).generation

        write = partial(store.write, name, str(number).encode(), expected=generation, ttl_s=60)
        assert sorted(map(bool, in_threads_at_once(6, write))) == [False] * 5 + [True]


def test_of_threads_that_want_the_lease_one_gets_it(store: TokenStore, name: str) -> None:
    for number in range(ROUNDS):
        leases = in_threads_at_once(6, partial(store.try_lease, f"{name}-{number}"))
        assert sum(lease is not None for lease in leases) == 1


@pytest.mark.parametrize("work", [racers.write, racers.lease], ids=["write", "lease"])
def test_of_processes_that_come_together_one_wins(
    place: Place, processes: Pool, name: str, work: Callable[[str, list[str]], list[bool]]
) -> None:
    if place.url is None:
        pytest.skip("not applicable: no other process can open it")
    names = [f"{name}-{number}" for number in range(ROUNDS)]

    won = processes.starmap(work, [(place.url, names)] * racers.PROCESSES, chunksize=1)

    assert [sum(round_) for round_ in zip(*won, strict=True)] == [1] * ROUNDS


# Counts ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def counting(store: TokenStore) -> TokenStore:
    try:
        store.counts("made-up")  # type: ignore[attr-defined]
    except AttributeError:
        pytest.skip("not applicable: this store does not count")
    return store


def test_counts_begin_at_nothing_and_add_up(counting: TokenStore, open_store: Open, name: str) -> None:
    assert {counted(counting, name), counted(open_store(), f"{name}-other")} == {(0, 0)}
    counting.count(name, made=1)  # type: ignore[attr-defined]
    open_store().count(name, saved=2)  # type: ignore[attr-defined]
    counting.count(name, made=3, saved=4)  # type: ignore[attr-defined]
    assert counted(open_store(), name) == (4, 6)


def test_no_count_is_lost_between_processes(counting: TokenStore, place: Place, processes: Pool, name: str) -> None:
    if place.url is None:
        pytest.skip("not applicable: no other process can open it")
    processes.starmap(racers.count, [(place.url, name, ROUNDS)] * racers.PROCESSES, chunksize=1)
    assert counted(counting, name) == (racers.PROCESSES * ROUNDS, 2 * racers.PROCESSES * ROUNDS)


def counted(store: TokenStore, name: str) -> tuple[int | None, int | None]:
    counts = store.counts(name)  # type: ignore[attr-defined]
    return counts.made, counts.saved


# For people -----------------------------------------------------------------------------------------------------------


def test_it_says_where_it_is_without_a_password(store: TokenStore, place: Place) -> None:
    store.read("made-up")  # what is opened late is there now
    described = store.describe()
    assert described.isprintable()
    assert "made-up" not in described
    scheme = (place.url or "memory:").partition(":")[0]
    if scheme in OUR_SCHEMES:
        assert described.partition(":")[0] == scheme
