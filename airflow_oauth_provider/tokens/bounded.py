"""An operation with an end, whatever it waits for: name resolution and dead network folders know no time-out."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def bounded(operation: Callable[[], T], seconds: float, *, undo: Callable[[T], object] | None = None) -> T:
    """
    Return what *operation* returns, or raise what it raises.

    It runs in a thread of its own: one that hangs is left behind, and a daemon holds up no exit.

    :param undo: called with a result for which nobody waits any more: it came too late, or the task was ended
    :raises TimeoutError: it takes more than *seconds*
    :raises RuntimeError: no thread can be started: Python shuts down, or the machine has none left
    """
    call: _Call[T] = _Call(operation, undo)
    thread = threading.Thread(target=call.run, name="oauth2-bounded", daemon=True)
    return call.result_within(seconds, thread)


class _Call(Generic[T]):
    def __init__(self, operation: Callable[[], T], undo: Callable[[T], object] | None) -> None:
        self._operation = operation
        self._undo = undo
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._given_up = False
        self._results: list[T] = []
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            result = self._operation()
        except Exception as error:  # noqa: BLE001  # raised again where it is waited for
            self._error = error
        except BaseException as error:  # noqa: BLE001  # it wants an end of this thread, not of the caller's
            self._error = OSError(f"it ended with {type(error).__name__}")
        else:
            with self._lock:
                self._results.append(result)
                if self._given_up:
                    self._undo_quietly(result)
        self._done.set()

    def result_within(self, seconds: float, thread: threading.Thread) -> T:
        try:
            thread.start()  # which waits, too
            in_time = self._done.wait(seconds)
        except RuntimeError:
            raise
        except BaseException:  # the task's own time-out
            if not self._give_up():
                self._undo_quietly(self._results[0])
            elif self._undo is not None:
                # The process may end right after this, and take along the thread that has to undo it.
                self._done.wait(seconds)
            raise
        if not in_time and self._give_up():
            raise TimeoutError(f"no answer within {seconds:g} s")
        if self._error is not None:
            raise self._error
        return self._results[0]

    def _undo_quietly(self, result: T) -> None:
        if self._undo is not None:
            with suppress(Exception):  # nobody is there any more to be told
                self._undo(result)

    def _give_up(self) -> bool:
        """Leave the operation to itself; return False when it has ended after all."""
        with self._lock:
            self._given_up = not self._results
        return self._given_up
