"""Work beside the caller's, in a thread that is kept for a while: to start one may take long, where cores are busy."""

from __future__ import annotations

import atexit
import logging
import os
import queue
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

IDLE_S = 10.0
# Work is to be done within five seconds; what hangs for longer is left to its fate.
_LAST_WAIT_S = 6.0

_all: WeakSet[Background] = WeakSet()
_waits_at_exit_in = 0


class Background:
    """
    Does one piece of work after the other. Safe between threads, and in a child that was forked.

    A process that ends waits for what is under way, a few seconds at most: what a short task has begun would be lost.

    :param name: of the thread while it works
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._work: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._done = threading.Event()
        self._done.set()

    def wait(self, seconds: float) -> None:
        """Return when there is nothing more to do, or after *seconds*."""
        if self._process == os.getpid():
            self._done.wait(seconds)

    def start(self, work: Callable[[], object]) -> None:
        """Have *work* done, and go on at once; nothing happens when Python shuts down."""
        if self._process != os.getpid():
            self._begin()  # a child has its parent's lock and queue, but none of its threads
        _wait_at_exit()
        with self._lock, suppress(RuntimeError):
            if self._thread is None:
                thread = threading.Thread(target=self._run, daemon=True)
                thread.start()
                self._thread = thread
            self._thread.name = self._name
            self._done.clear()
            self._work.put(work)

    def _run(self) -> None:
        while True:
            try:
                work = self._work.get(timeout=IDLE_S)
            except queue.Empty:
                with self._lock:
                    if self._work.empty():
                        self._thread = None
                        return
                continue
            try:
                work()
            except BaseException as error:  # noqa: BLE001  # whatever it is, the next piece of work is to be done
                log.warning("%s failed: %s.", self._name, type(error).__name__)
            del work  # and all that hangs on it
            with self._lock:
                if self._work.empty():
                    threading.current_thread().name = f"{self._name}-idle"
                    self._done.set()


def _wait_at_exit() -> None:
    """Have this process wait at its end; Airflow drops in a task's process what was registered before the fork."""
    global _waits_at_exit_in  # noqa: PLW0603  # once a process
    if _waits_at_exit_in != os.getpid():
        _waits_at_exit_in = os.getpid()
        atexit.register(_wait_for_all)


def _wait_for_all() -> None:
    ends_at = time.monotonic() + _LAST_WAIT_S
    for background in list(_all):
        background.wait(max(0.0, ends_at - time.monotonic()))
