"""Processes whose wall clocks differ share a token; a clock that jumps does not make one immortal."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.support import worker
from tests.support.servers import OAuthServer, Reply, Seen

if TYPE_CHECKING:
    from tests.support.processes import Nursery

Environment = Callable[..., dict[str, str]]


@pytest.mark.statement(53)
@pytest.mark.parametrize("lifetime_s", [300.0, 3600.0])
@pytest.mark.parametrize("clocks_s", [(0.0, 30.0), (0.0, -30.0), (30.0, 0.0), (-30.0, 0.0)])
def test_clocks_that_differ_by_thirty_seconds_share_a_token(
    nursery: Nursery, server: OAuthServer, environment: Environment, lifetime_s: float, clocks_s: tuple[float, float]
) -> None:
    writer_s, reader_s = clocks_s
    server.lifetime_s = lifetime_s
    (writer,) = nursery.run(1, worker.get_token, environment(), clock_shift_s=writer_s)

    readers = nursery.run(4, worker.get_token, environment(), clock_shift_s=reader_s)
    calls = nursery.run(2, worker.call, environment(), clock_shift_s=reader_s)

    assert {outcome.value for outcome in readers} == {writer.value}
    assert [outcome.value for outcome in calls] == [[200]] * 2
    assert len(server.token_requests) == 1
    assert server.ended_calls == 0


@pytest.mark.statement(53)
@pytest.mark.parametrize("lifetime_s", [300.0, 3600.0])
def test_a_slow_clock_does_not_use_a_token_after_its_end(
    nursery: Nursery, server: OAuthServer, environment: Environment, lifetime_s: float
) -> None:
    """To the reader the token lives for another thirty seconds, but it ends right now."""
    server.tokens["made-up-ending-token"] = time.time() + 0.2
    nursery.run(1, worker.store_token, environment(), value="made-up-ending-token", lifetime_s=lifetime_s, left_s=0.2)

    # The reader asks for the next one for as long as this machine may need.
    (outcome,) = nursery.run(1, worker.call, environment(), clock_shift_s=-29.5, patience_s=60.0)

    assert outcome.value == [200]
    assert server.ended_calls == 0
    assert len(server.token_requests) == 1


@pytest.mark.statement(53)
def test_a_token_from_an_hour_ahead_is_not_trusted(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    """The clock was set back by an hour: nobody knows any more when the token ends."""
    nursery.run(1, worker.get_token, environment(), clock_shift_s=3600.0)

    outcomes = nursery.run(3, worker.get_token, environment())

    assert len({outcome.value for outcome in outcomes}) == 1
    assert len(server.token_requests) == 2


@pytest.mark.statement(53)
def test_a_clock_that_jumps_back_in_a_running_process_immortalises_nothing(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    """The first token lives for two seconds, the next one for long; the API takes the first one for one call."""
    server.token_reply = first_for_two_seconds(server)
    server.api_reply = ending_with_the_first_call(server)

    (outcome,) = nursery.run(1, worker.call_after_a_jump_back, environment(), jump_s=3600.0, pause_s=2.2)

    assert outcome.value == [200, 200]
    assert server.ended_calls == 0
    assert len(server.token_requests) == 2


def first_for_two_seconds(server: OAuthServer) -> Callable[[Seen], Reply]:
    def reply(_: Seen) -> Reply:
        return server.issue(**({} if server.tokens else {"expires_in": 2}))

    return reply


def ending_with_the_first_call(server: OAuthServer) -> Callable[[Seen], Reply]:
    """However late the first call comes on a slow machine; every later one finds the first token ended."""

    def reply(seen: Seen) -> Reply:
        answer = server.checked(seen)
        first = next(iter(server.tokens))
        server.tokens[first] = time.time()
        return answer

    return reply


@pytest.mark.statement(55)
def test_a_refusal_from_an_hour_ahead_binds_nobody(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    """Nobody knows when it ends: by the clock that was set right since, in an hour and a minute."""
    server.token_reply = lambda _: Reply(400, {"error": "invalid_scope"})
    (ahead,) = nursery.run(1, worker.get_token, environment(), clock_shift_s=3600.0)
    server.token_reply = None

    (outcome,) = nursery.run(1, worker.get_token, environment())

    assert ahead.error == "InvalidScopeError"
    assert outcome.error is None
    assert len(server.token_requests) == 2
