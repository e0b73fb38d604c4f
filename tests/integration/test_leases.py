"""The lease on a token: its holder is killed, stopped and woken, or never gives it back."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from airflow_oauth_provider.tokens.stores.base import LEASE_S
from tests.integration.conftest import fingerprint_of
from tests.support import worker
from tests.support.processes import Nursery, end_all
from tests.support.servers import OAuthServer, Reply, Seen

Environment = Callable[..., dict[str, str]]


def test_a_process_that_was_killed_while_it_fetched_keeps_nobody_waiting(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    first_came, go_on = threading.Event(), threading.Event()

    def hold_the_first(_: Seen) -> Reply:
        if not first_came.is_set():
            first_came.set()
            go_on.wait(120)
        return server.issue()

    server.token_reply = hold_the_first
    holder = nursery.start(worker.get_token, environment())
    waiters = [nursery.start(worker.get_token, environment()) for _ in range(8)]
    try:
        holder.go()
        assert first_came.wait(60)
        for waiter in waiters:
            waiter.go()
        holder.signal(signal.SIGKILL)
        killed_at = time.monotonic()
        outcomes = [waiter.result() for waiter in waiters]
    finally:
        go_on.set()
        end_all([holder, *waiters])

    assert time.monotonic() - killed_at < 60, "a lease lives for a hundred seconds"
    assert [outcome.error for outcome in outcomes] == [None] * 8
    assert len({outcome.value for outcome in outcomes}) == 1
    assert len(server.token_requests) == 2


@pytest.mark.statement(57)
def test_a_holder_that_was_stopped_and_woken_does_not_overwrite_a_newer_token(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    """Its lease lives two seconds here instead of a hundred, in every process of this test."""
    first_came, answer_first = threading.Event(), threading.Event()
    tokens: list[str] = []

    def hold_the_first(_: Seen) -> Reply:
        first = not first_came.is_set()
        first_came.set()
        if first:
            answer_first.wait(120)
        return server.issue()

    server.token_reply = hold_the_first
    holder = nursery.start(worker.call, environment(), lease_s=2.0)
    other = nursery.start(worker.get_token, environment(), lease_s=2.0)
    late = nursery.start(worker.get_token, environment(), lease_s=2.0)
    try:
        holder.go()
        assert first_came.wait(60)
        holder.signal(signal.SIGSTOP)
        answer_first.set()
        other.go()
        newer = other.result()
        tokens.append(newer.value)
        holder.signal(signal.SIGCONT)
        woken = holder.result()
        late.go()
        tokens.append(late.result().value)
    finally:
        answer_first.set()
        end_all([holder, other, late])

    assert newer.error is None
    assert newer.seconds < 60
    assert woken.value == [200]
    assert len(server.token_requests) == 2
    # Whoever comes later gets the newer token, and so did the woken process for its call.
    assert tokens[0] == tokens[1]
    assert fingerprint_of(server.api_requests[0]) == tokens[0]


@pytest.mark.statement(57)
def test_a_lease_that_is_never_given_back_costs_a_bounded_wait(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    with squatted_lease(nursery, server, environment()):
        outcomes = nursery.run(6, worker.get_token, environment(), lease_s=2.0)
        (later,) = nursery.run(1, worker.get_token, environment())

    assert [outcome.error for outcome in outcomes] == [None] * 6
    assert max(outcome.seconds for outcome in outcomes) < 60
    assert later.value in {outcome.value for outcome in outcomes}


def test_those_who_waited_for_a_stopped_process_make_one_request_together(
    nursery: Nursery, server: OAuthServer, environment: Environment, tmp_path: Path
) -> None:
    """All of them wait when the lease gets as old as one may be; whoever takes it over has time."""
    waiters = [nursery.start(worker.get_token, environment()) for _ in range(6)]
    try:
        with squatted_lease(nursery, server, environment()):
            for waiter in waiters:
                waiter.go()
            time.sleep(1)  # they do wait; who comes later finds the same
            (lease,) = tmp_path.rglob("*.lease")
            os.utime(lease, (time.time() - LEASE_S - 1,) * 2)
            outcomes = [waiter.result() for waiter in waiters]
    finally:
        end_all(waiters)

    assert len({outcome.value for outcome in outcomes}) == 1
    # The stopped process's own, and the one that took its place.
    assert len(server.token_requests) == 2


@contextmanager
def squatted_lease(nursery: Nursery, server: OAuthServer, environment: dict[str, str]) -> Iterator[None]:
    """Let a stopped process hold the lease; it lives two seconds instead of a hundred."""
    came = threading.Event()

    def never_answer_the_first(_: Seen) -> Reply:
        if not came.is_set():
            came.set()
            server.stopping.wait(300)
        server.stopping.wait(0.3)
        return server.issue()

    server.token_reply = never_answer_the_first
    squatter = nursery.start(worker.get_token, environment, lease_s=2.0)
    try:
        squatter.go()
        assert came.wait(60)
        squatter.signal(signal.SIGSTOP)
        yield
    finally:
        squatter.end()
