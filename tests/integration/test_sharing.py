"""Processes and threads that share a token: who asks for it, who waits, and what a fork does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import fingerprint_of, slow
from tests.support import worker
from tests.support.processes import run_together

if TYPE_CHECKING:
    from tests.support.processes import Nursery
    from tests.support.servers import OAuthServer

Environment = Callable[..., dict[str, str]]


@pytest.mark.statement(50)
def test_forty_cold_processes_make_one_token_request(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    outcomes = nursery.run(40, worker.get_token, environment())

    assert [outcome.error for outcome in outcomes] == [None] * 40
    assert len({outcome.value for outcome in outcomes}) == 1
    assert len(server.token_requests) == 1


@pytest.mark.statement(50)
def test_forty_cold_processes_wait_for_one_slow_token_request(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    server.token_reply = slow(server, 4.0)

    outcomes = nursery.run(40, worker.call, environment())

    assert [outcome.value for outcome in outcomes] == [[200]] * 40
    assert len(server.token_requests) == 1
    assert [line for outcome in outcomes for line in outcome.log if line.startswith("WARNING")] == []


@pytest.mark.statement(50)
def test_a_process_with_a_short_secret_finds_the_token_of_another(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    outcomes = nursery.run(4, worker.get_token, environment(password="short"))

    assert len({outcome.value for outcome in outcomes}) == 1
    assert len(server.token_requests) == 1


@pytest.mark.statement(51)
@pytest.mark.parametrize(
    "changes",
    [
        {"login": "another-client"},
        {"password": "another made-up secret of more than 32 characters"},
        {"scope": "write"},
        {"scope": "Read"},
        {"audience": "https://another.example.com"},
        {"extra_params": {"tenant": "b"}},
        {"secret_params": {"api_key": "b"}},
        {"auth_method": "client_secret_post"},
        {"verify": "false"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_clients_that_differ_never_share_a_token(
    nursery: Nursery, server: OAuthServer, environment: Environment, changes: dict[str, str]
) -> None:
    workers = [nursery.start(worker.get_token, environment(**(changes if n % 2 else {}))) for n in range(6)]
    outcomes = run_together(workers)

    one, other = ({outcome.value for outcome in outcomes[first::2]} for first in (0, 1))
    assert len(one) == len(other) == 1
    assert one != other
    assert len(server.token_requests) == 2


def test_threads_of_one_process_make_one_token_request(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    server.token_reply = slow(server, 0.5)

    (outcome,) = nursery.run(1, worker.threads, environment(), number=24)

    assert len(outcome.value) == 24
    assert len(set(outcome.value)) == 1
    assert len(server.token_requests) == 1


def test_threads_do_not_fail_while_another_one_fetches_the_next_token(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    """The present token is in its mandatory window and ends while the slow server makes the next one."""
    server.token_reply = slow(server, 2.0)
    nursery.run(1, worker.store_token, environment(), value="made-up-old-token", lifetime_s=60.0, left_s=1.8)

    (outcome,) = nursery.run(1, worker.threads, environment(), number=3)

    assert [answer for answer in outcome.value if ":" in answer] == []


def test_a_hook_that_was_used_before_a_fork_works_in_parent_and_child(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    """Were they to share a connection, each would read answers that are the other's."""
    (outcome,) = nursery.run(1, worker.call_in_parent_and_child, environment(), calls=40)

    assert outcome.error is None, outcome.message
    for name in ("parent", "child"):
        assert outcome.value[name] == [f"/api/{name}-{number}" for number in range(40)]
    assert len({seen.client for seen in server.api_requests}) == 2
    assert len(server.token_requests) == 1


def test_a_fork_while_a_thread_fetches_a_token_leaves_the_child_working(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    server.token_reply = slow(server, 2.0)

    (outcome,) = nursery.run(1, worker.fork_while_a_thread_fetches, environment(), lease_s=15.0)

    assert outcome.error is None, outcome.message
    assert outcome.value["status"] == 0
    assert outcome.value["seconds"] < 6


@pytest.mark.parametrize("slow_s", [0.0, 2.0])
def test_an_early_refresh_is_made_by_one_process_and_delays_nobody(
    nursery: Nursery, server: OAuthServer, environment: Environment, slow_s: float
) -> None:
    """The advisory window of a minute's token begins 15 to 11.25 s before its end, the mandatory one 6 s before."""
    server.token_reply = slow(server, slow_s)
    server.tokens["made-up-old-token"] = time.time() + 11
    nursery.run(1, worker.store_token, environment(), value="made-up-old-token", lifetime_s=60.0, left_s=11.0)

    outcomes = nursery.run(12, worker.call_for, environment(), seconds=slow_s + 2.5, pause_s=0.1)

    assert [outcome.error for outcome in outcomes] == [None] * 12
    assert len(server.token_requests) == 1
    assert max(outcome.value["slowest_ms"] for outcome in outcomes) < 1500
    assert max(outcome.value["tokens"] for outcome in outcomes) <= 2
    used = {fingerprint_of(seen) for seen in server.api_requests}
    assert len(used) == 2, "all use the old token, then the new one"


@pytest.mark.statement(52)
def test_tokens_of_five_seconds_serve_many_processes_and_none_is_used_after_its_end(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    server.lifetime_s = 5.0

    outcomes = nursery.run(6, worker.call_for, environment(), seconds=12.0, pause_s=0.1)

    assert [outcome.error for outcome in outcomes] == [None] * 6
    assert server.ended_calls == 0
    assert sum(outcome.value["calls"] for outcome in outcomes) > 150
    # Three tokens are the least; each is replaced a quarter of its life early at the most.
    assert 3 <= len(server.token_requests) <= 5
