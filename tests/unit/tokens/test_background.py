"""Work that is done beside the caller's."""

from __future__ import annotations

import atexit
import os
import threading
import time
from functools import partial

import pytest

from airflow_oauth_provider.tokens import background
from airflow_oauth_provider.tokens.background import Background


def threads_named(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


def test_one_thread_does_one_piece_of_work_after_the_other() -> None:
    beside, done, seen = Background("made-up-work"), threading.Event(), list[tuple[int, int]]()

    def work(number: int) -> None:
        seen.append((number, threading.get_ident()))
        if number == 49:
            done.set()

    for number in range(50):
        beside.start(partial(work, number))
    assert done.wait(30)
    assert [number for number, _ in seen] == list(range(50))
    (worker,) = {thread for _, thread in seen}
    assert worker != threading.get_ident()


def test_what_fails_is_a_line_in_the_log_and_the_next_work_is_done(caplog: pytest.LogCaptureFixture) -> None:
    beside, done = Background("made-up-work"), threading.Event()
    beside.start(lambda: 1 / 0)
    beside.start(done.set)
    assert done.wait(30)
    assert "made-up-work failed: ZeroDivisionError." in caplog.text


def test_the_thread_ends_when_there_is_nothing_to_do_and_another_one_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "IDLE_S", 0.01)
    beside = Background("made-up-idler")
    for _ in range(3):
        done = threading.Event()
        beside.start(done.set)
        assert done.wait(30)
        while threads_named("made-up-idler"):
            time.sleep(0.005)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("clears", [False, True], ids=["as Python ends", "as a task of Airflow ends"])
def test_a_process_that_ends_waits_for_what_is_under_way(clears: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_LAST_WAIT_S", 60.0)
    before = Background("made-up-work")
    before.start(lambda: None)
    before.wait(30)
    theirs, ours = os.pipe()
    if (child := os.fork()) == 0:
        try:
            if clears:
                atexit._clear()
            for beside in (before, Background("made-up-other-work")):
                beside.start(partial(time.sleep, 0.2))
                beside.start(partial(os.write, ours, b"done "))
            atexit._run_exitfuncs()
        finally:
            os._exit(0)
    os.close(ours)
    os.waitpid(child, 0)
    assert os.read(theirs, 100) == b"done done "
    os.close(theirs)


def test_what_hangs_keeps_no_process_from_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_LAST_WAIT_S", 0.1)
    go_on, beside = threading.Event(), Background("made-up-hanging-work")
    beside.start(partial(go_on.wait, 30))
    background._wait_for_all()
    assert threads_named("made-up-hanging-work")
    go_on.set()
    beside.wait(30)


def test_no_work_is_lost_between_a_thread_that_ends_and_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "IDLE_S", 0.0)
    beside, done = Background("made-up-racer"), threading.Semaphore(0)
    for _ in range(300):
        beside.start(done.release)
    assert all(done.acquire(timeout=30) for _ in range(300))


# Newer Pythons warn of what is tried here.
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_works_although_its_parent_held_the_lock() -> None:
    beside = Background("made-up-work")
    beside.start(lambda: None)
    with beside._lock:
        child = os.fork()
        if child == 0:
            done = threading.Event()
            beside.start(done.set)
            os._exit(0 if done.wait(30) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_nothing_is_raised_when_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    beside, done = Background("made-up-work"), threading.Event()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        beside.start(done.set)
    beside.start(done.set)
    assert done.wait(30)
