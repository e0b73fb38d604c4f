"""What an object makes when it is first asked for."""

from __future__ import annotations

import os
import threading

import pytest

from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.lazy import lazy_property
from tests.support.threads import in_threads_at_once


class Thing:
    def __init__(self) -> None:
        self.made = 0
        self.go_on = threading.Event()
        self.go_on.set()
        self.begun = threading.Event()

    @lazy_property
    def part(self) -> object:
        """Say what it is."""
        self.made += 1
        self.begun.set()
        assert self.go_on.wait(60)
        return object()


def test_it_is_made_once_for_each_object_and_can_be_set() -> None:
    one, other = Thing(), Thing()
    assert one.part is one.part
    assert one.made == 1
    assert other.made == 0
    assert one.part is not other.part
    other.part = mine = object()
    assert other.part is mine


def test_it_has_the_docstring_of_what_makes_it() -> None:
    assert Thing.part.__doc__ == "Say what it is."


def test_threads_that_come_at_once_get_one_and_the_same() -> None:
    thing = Thing()
    assert len({id(part) for part in in_threads_at_once(20, lambda: thing.part)}) == 1


def test_nobody_waits_for_another_object_and_no_forked_child_for_its_parents_thread() -> None:
    slow = Thing()
    slow.go_on.clear()
    making = threading.Thread(target=lambda: slow.part, daemon=True)
    making.start()
    assert slow.begun.wait(60)
    assert Thing().part is not None
    child = os.fork()
    if not child:
        try:
            threading.Timer(30, lambda: os._exit(2)).start()  # when it waits for ever
            os._exit(0 if Thing().part else 1)
        finally:
            os._exit(3)
    _, status = os.waitpid(child, 0)
    slow.go_on.set()
    making.join()
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.parametrize("name", ["_settings", "_source", "_session", "_config", "_telemetry"])
def test_a_hook_makes_its_parts_so(name: str) -> None:
    assert isinstance(vars(OAuth2Hook)[name], lazy_property)
