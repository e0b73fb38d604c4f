"""Work beside the caller's, in a thread that is kept for a while: to start one may take long, where cores are busy."""

from __future__ import annotations

import logging
import os
import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

IDLE_S = 10.0


class Background:
    """
    Does one piece of work after the other. Safe between threads, and in a child that was forked.

    :param name: of the thread while it works
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._work: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self, work: Callable[[], object]) -> None:
        """Have *work* done, and go on at once; nothing happens when Python shuts down."""
        if self._process != os.getpid():
            self._begin()  # a child has its parent's lock and queue, but none of its threads
        with self._lock, suppress(RuntimeError):
            if self._thread is None:
                thread = threading.Thread(target=self._run, daemon=True)
                thread.start()
                self._thread = thread
            self._thread.name = self._name
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
