"""What the processes of a race do; they import no more than a store needs."""

from __future__ import annotations

import tempfile
from multiprocessing.synchronize import Barrier
from pathlib import Path

from airflow_oauth_provider.tokens.stores.base import TokenStore
from airflow_oauth_provider.tokens.stores.opening import open_store
from tests.support.patience import be_patient

PROCESSES = 3
ROUND_TIMEOUT_S = 120.0

_start: list[Barrier] = []


def line_up(barrier: Barrier) -> None:
    _start.append(barrier)


def opened(url: str) -> TokenStore:
    """Return the store of *url* itself, without the guard that would hide what it raises, and with time for all."""
    be_patient()
    return open_store(url, prefix="", airflow_home=Path(tempfile.gettempdir()))._store


def write(url: str, names: list[str]) -> list[bool]:
    """Return under which of *names* this process was the first to write."""
    store = opened(url)
    won = []
    for name in names:
        _start[0].wait(ROUND_TIMEOUT_S)
        won.append(store.write(name, b"sealed", expected=0, ttl_s=60))
    return won


def lease(url: str, names: list[str]) -> list[bool]:
    """Return on which of *names* this process got the lease."""
    store = opened(url)
    held = []
    for name in names:
        _start[0].wait(ROUND_TIMEOUT_S)
        held.append(store.try_lease(name))
    # What its holder forgets is free again: all have tried by now.
    _start[0].wait(ROUND_TIMEOUT_S)
    return [one is not None for one in held]


def count(url: str, name: str, times: int) -> None:
    """Count one request and two saved ones, again and again."""
    store = opened(url)
    _start[0].wait(ROUND_TIMEOUT_S)
    for _ in range(times):
        store.count(name, made=1, saved=2)  # type: ignore[attr-defined]
