"""Threads that begin together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def in_threads_at_once(number: int, work: Callable[[], T]) -> list[T]:
    """Return what *work*, which raises nothing, returned in *number* threads."""
    together = threading.Barrier(number)
    results: list[T] = []

    def run() -> None:
        together.wait(30)
        results.append(work())

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
