"""Processes and threads that share a token: who asks for it, who waits, and what a fork does."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import fingerprint_of, slow
from tests.support import long_tasks, worker
from tests.support.processes import end_all, run_together, wait_until
from tests.support.servers import Reply, Seen

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

    (outcome,) = nursery.run(1, worker.fork_while_a_thread_fetches, environment(), lease_s=60.0)

    assert outcome.error is None, outcome.message
    assert outcome.value["status"] == 0
    assert outcome.value["seconds"] < 30, "it does not wait for the end of its parent's lease"


@pytest.mark.parametrize("held", [False, True], ids=["quick server", "slow server"])
def test_an_early_refresh_is_made_by_one_process_and_delays_nobody(
    nursery: Nursery, server: OAuthServer, environment: Environment, tmp_path: Path, held: bool
) -> None:
    """
    The advisory window of a token of twenty minutes begins 195 s before its end at the latest, the mandatory one 60 s.

    The slow server makes the next token when all processes have called since it was asked, which who waits does not do.
    """
    server.tokens["made-up-old-token"] = time.time() + 150
    nursery.run(1, worker.store_token, environment(), value="made-up-old-token", lifetime_s=1200.0, left_s=150.0)

    def reply(_: Seen) -> Reply:
        before = len(server.api_requests)
        if held:
            wait_until(lambda: len({seen.path for seen in server.api_requests[before:]}) == 12, within_s=60)
        return server.issue()

    server.token_reply = reply
    stop = tmp_path / "stop"
    arguments = {"stop": str(stop), "pause_s": 0.1, "refresh_s": 80.0}
    workers = [nursery.start(long_tasks.call_until, environment(), **arguments) for _ in range(12)]
    try:
        for started in workers:
            started.go()
        wait_until(lambda: len({fingerprint_of(seen) for seen in server.api_requests}) > 1, within_s=90)
        time.sleep(0.5)  # time for a second refresh, were there one
        stop.touch()
        outcomes = [started.result() for started in workers]
    finally:
        end_all(workers)

    assert [outcome.error for outcome in outcomes] == [None] * 12
    assert [error for outcome in outcomes for error in outcome.value["errors"]] == []
    assert len(server.token_requests) == 1
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
    assert sum(outcome.value["calls"] for outcome in outcomes) > 50
    # Each is replaced a quarter of its life early at the most; a request that is held up on its way makes one more.
    requested_at = [seen.at for seen in server.token_requests]
    assert 2 <= len(requested_at) <= 2 + (requested_at[-1] - requested_at[0]) / (0.75 * 5)
