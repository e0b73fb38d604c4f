"""What long tasks do, and processes that fork in their midst; functions as in :mod:`tests.support.worker`."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

from tests.support import worker


def call_until(stop: str, pause_s: float) -> dict[str, Any]:
    """
    Call the API by one hook until the file *stop* is there.

    :return: how many calls went well, and what was raised, as (instant, class, message, ``retry_after_s``)
    """
    hook, calls = worker.hook(), 0
    errors: list[tuple[float, str, str, float | None]] = []
    # Not all at one moment, as tasks do.
    time.sleep(random.uniform(0, pause_s))
    while not Path(stop).exists():
        try:
            hook.request("GET", "orders", retry_args=worker.once())
            calls += 1
        except Exception as error:
            facts = worker.facts_of(error)
            errors.append((time.time(), type(error).__name__, str(error), facts["retry_after_s"]))
        time.sleep(pause_s)
    return {"calls": calls, "errors": errors}


def fork_while_threads_call(forks: int, threads: int, calls: int) -> list[int]:
    """
    Return how forked children end, 0 where all was well, of a process whose threads go on calling meanwhile.

    The last one is this process's own: 0 when its threads were well, too.
    """
    hook, stop = worker.hook(), threading.Event()
    failures: list[str] = []

    def run() -> None:
        while not stop.is_set():
            try:
                hook.request("GET", "orders")
            except Exception as error:
                failures.append(repr(error))

    running = [threading.Thread(target=run) for _ in range(threads)]
    for thread in running:
        thread.start()
    children = []
    for _ in range(forks):
        time.sleep(random.uniform(0.05, 0.3))  # wherever the threads are just now
        child = os.fork()
        if not child:
            _call_and_exit(hook, calls)
        children.append(child)
    endings = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    stop.set()
    for thread in running:
        thread.join()
    return [*endings, len(failures)]


def _call_and_exit(hook: Any, calls: int) -> None:
    signal.alarm(20)  # one that waits for a lock for ever is killed
    try:
        statuses = {hook.request("GET", "orders").status_code for _ in range(calls)}
        statuses |= {worker.hook().request("GET", "orders").status_code for _ in range(calls)}
        os._exit(0 if statuses == {200} else 1)
    except BaseException:
        os._exit(2)
