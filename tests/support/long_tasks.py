"""What long tasks do, and processes that fork in their midst; functions as in :mod:`tests.support.worker`."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

from tests.support import worker


def call_until(stop: str, pause_s: float, **surroundings: Any) -> dict[str, Any]:
    """
    Call a path of this process by one hook until the file *stop* is there.

    :return: how many calls went well; what was raised, as (instant, class, message, ``retry_after_s``); and how long
        the token still lived then that the process had before
    """
    hook, calls = worker.surrounded_hook(**surroundings), 0
    errors: list[tuple[float, str, str, float | None]] = []
    left_s: list[float] = []
    # Not all at one moment, as tasks do.
    time.sleep(random.uniform(0, pause_s))
    while not Path(stop).exists():
        held = hook._source._shelf.held
        try:
            hook.request("GET", f"orders/{os.getpid()}", retry_args=worker.once(), headers=worker.stamped())
            calls += 1
        except Exception as error:
            facts = worker.facts_of(error)
            left_s.append(held.life_s() if held is not None else 0.0)
            errors.append((time.time(), type(error).__name__, str(error), facts["retry_after_s"]))
        time.sleep(pause_s)
    return {"calls": calls, "errors": errors, "left_s": left_s}


def take_token_and_note_imports_of_redis() -> list[str]:
    """Return the names of the threads that import redis-py for a token: those of a store's operations have a limit."""
    threads: list[str] = []

    class Noting(MetaPathFinder):
        def find_spec(self, fullname: str, *_: Any) -> None:
            if fullname.partition(".")[0] == "redis":
                threads.append(threading.current_thread().name)

    sys.meta_path.insert(0, Noting())
    worker.hook().get_token()
    return threads


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
                hook.request("GET", "orders", headers=worker.stamped())
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
    signal.alarm(60)  # one that waits for a lock for ever is killed
    try:
        hooks = [hook] * calls + [worker.hook() for _ in range(calls)]
        statuses = {used.request("GET", "orders", headers=worker.stamped()).status_code for used in hooks}
        os._exit(0 if statuses == {200} else 1)
    except BaseException:
        os._exit(2)
