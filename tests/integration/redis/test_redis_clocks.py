"""Machines whose clocks differ share a token by way of Redis, which keeps the time."""

from __future__ import annotations

import pytest

from airflow_oauth_provider.tokens.stores.base import LEASE_S
from tests.integration.redis.conftest import Environment

# These hold whatever the store is.
from tests.integration.test_clocks import (  # noqa: F401
    test_a_clock_that_jumps_back_in_a_running_process_immortalises_nothing,
    test_a_slow_clock_does_not_use_a_token_after_its_end,
    test_clocks_that_differ_by_thirty_seconds_share_a_token,
)
from tests.support import worker
from tests.support.processes import Nursery
from tests.support.redis_server import RedisServer
from tests.support.servers import OAuthServer, Reply


@pytest.mark.parametrize("clocks_s", [(0.0, -30.0), (3600.0, 0.0)])
def test_a_short_token_is_shared_by_a_clock_behind_and_used_by_nobody_after_its_end(
    nursery: Nursery,
    server: OAuthServer,
    redis_server: RedisServer,
    environment: Environment,
    clocks_s: tuple[float, float],
) -> None:
    """By the reader's clock alone the token would live on for long; for the Redis its life passes at once."""
    writer_s, reader_s = clocks_s
    server.lifetime_s = 200.0
    (writer,) = nursery.run(1, worker.get_token, environment(), clock_shift_s=writer_s)

    (reader,) = nursery.run(1, worker.get_token, environment(), clock_shift_s=reader_s)
    client = redis_server.client()
    (token,) = (key for key in client.scan_iter() if key.endswith(b".token"))
    assert client.pexpire(token, int(LEASE_S * 1000)), "an entry stays for a lease longer than it lives"
    server.tokens = dict.fromkeys(server.tokens, 0.0)
    (late,) = nursery.run(1, worker.call, environment(), clock_shift_s=reader_s)

    assert reader.value == writer.value
    assert late.value == [200]
    assert server.ended_calls == 0
    assert len(server.token_requests) == 2


@pytest.mark.statement(55)
def test_a_refusal_from_an_hour_ahead_binds_for_as_long_as_it_was_meant_to(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    server.token_reply = lambda _: Reply(429, b"", {"Retry-After": "40"})
    nursery.run(1, worker.get_token, environment(), clock_shift_s=3600.0)
    server.token_reply = None

    (bound,) = nursery.run(1, worker.get_token, environment())

    assert bound.error == "TokenEndpointUnavailableError"
    assert 20 < bound.facts["retry_after_s"] <= 40
    assert len(server.token_requests) == 1


def test_processes_with_three_clocks_use_no_token_after_its_end(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    server.lifetime_s = 2.0
    running = [
        nursery.start(worker.call_for, environment(), seconds=5.0, pause_s=0.1, clock_shift_s=shift_s)
        for shift_s in (-30.0, 0.0, 30.0)
    ]
    for one in running:
        one.go()
    outcomes = [one.result() for one in running]

    assert [outcome.error for outcome in outcomes] == [None] * 3, [outcome.message for outcome in outcomes]
    assert server.ended_calls == 0
