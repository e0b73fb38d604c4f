from __future__ import annotations

import os

import pytest

from airflow_oauth_provider.tokens.stores.base import LEASE_S, Entry
from airflow_oauth_provider.tokens.stores.memory import MemoryStore
from tests.support.clock import Clock


def test_what_was_never_written_is_an_empty_entry() -> None:
    assert MemoryStore().read("name") == Entry(0, None)


def test_each_write_has_the_next_generation() -> None:
    store = MemoryStore()
    assert store.write("name", b"one", expected=0, ttl_s=60)
    assert store.write("name", b"two", expected=1, ttl_s=60)
    assert store.read("name") == Entry(2, b"two")
    assert store.read("other") == Entry()


def test_a_write_on_another_generation_is_refused() -> None:
    store = MemoryStore()
    store.write("name", b"one", expected=None, ttl_s=60)
    assert not store.write("name", b"late", expected=0, ttl_s=60)
    assert store.read("name") == Entry(1, b"one")
    assert store.write("name", b"any", expected=None, ttl_s=60)


def test_a_tombstone_keeps_the_generation() -> None:
    store = MemoryStore()
    store.write("name", b"one", expected=0, ttl_s=60)
    store.write("name", None, expected=1, ttl_s=60)
    assert store.read("name") == Entry(2, None)


def test_entries_are_deleted_when_no_lease_can_build_on_them_any_more(clock: Clock) -> None:
    store = MemoryStore()
    store.write("old", b"x", expected=None, ttl_s=60)
    clock.advance(61)
    store.write("new", b"x", expected=None, ttl_s=60)
    assert store.read("old").generation == 1
    clock.advance(100)
    store.write("new", b"x", expected=None, ttl_s=60)
    assert store.read("old") == Entry()
    assert store.read("new").sealed == b"x"


def test_a_lease_ends_by_itself_and_is_then_no_concern_of_its_old_holder(clock: Clock) -> None:
    store = MemoryStore()
    slept = store.try_lease("name")
    assert slept is not None
    clock.advance(LEASE_S - 1)
    assert store.try_lease("name") is None
    clock.advance(2)
    assert store.try_lease("name") is not None
    slept.release()
    assert store.try_lease("name") is None


def test_a_lease_can_be_given_back_twice() -> None:
    store = MemoryStore()
    lease = store.try_lease("name")
    assert lease is not None
    lease.release()
    lease.release()
    assert store.try_lease("name") is not None


def test_it_says_where_it_is() -> None:
    assert MemoryStore().describe() == "memory://"


# Newer Pythons warn of what is tried here.
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_does_not_wait_for_a_thread_that_it_does_not_have() -> None:
    store = MemoryStore()
    lease = store.try_lease("name")
    child = os.fork()
    if child == 0:
        os._exit(0 if store.try_lease("name") is not None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert lease is not None
    assert store.try_lease("name") is None
