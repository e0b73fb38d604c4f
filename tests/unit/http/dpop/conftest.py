"""An API that wants proofs, and processes whose tokens are bound to keys."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.bound_tokens import BoundTokens
from tests.support.clock import Clock
from tests.support.dpop_api import DpopServer
from tests.support.token_sources import Processes


@pytest.fixture
def api() -> Iterator[DpopServer]:
    with DpopServer() as running:
        yield running


@pytest.fixture
def processes(api: DpopServer) -> Processes:
    started = Processes()
    started.endpoint = BoundTokens(api)
    return started


@pytest.fixture
def aged(processes: Processes, clock: Clock) -> Processes:
    """Return processes that share a token which is old enough to be renewed."""
    processes.start().get()
    clock.advance(100)
    return processes
