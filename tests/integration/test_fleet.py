"""Many processes under several homes of Airflow, with nothing in common but a Redis: one token for all of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks import fleet_tasks
from benchmarks.fleet_processes import SECRET, Fleet
from tests.support import long_tasks
from tests.support.patience import PATIENT
from tests.support.processes import PROJECT, Nursery
from tests.support.servers import Reply

LIFETIME_S = 5.0
INVALID_CLIENT = Reply(401, {"error": "invalid_client"}, {"WWW-Authenticate": "Basic"})


class PatientFleet(Fleet):
    """One whose processes do not give their store up when this machine stalls."""

    def environment(self, number: int, secret: str = SECRET) -> dict[str, str]:
        return super().environment(number, secret) | PATIENT


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with PatientFleet(tmp_path) as running:
        yield running


def test_sixty_cold_processes_under_four_homes_make_one_token_request(nursery: Nursery, fleet: Fleet) -> None:
    outcomes = fleet.run(nursery, 60, fleet_tasks.take_token)

    assert [outcome.error for outcome in outcomes] == [None] * 60
    assert len({outcome.value for outcome in outcomes}) == 1
    assert len(fleet.server.token_requests) == 1
    assert [line for outcome in outcomes for line in outcome.log if line.startswith("WARNING")] == []


def test_what_a_process_has_yet_to_import_does_not_count_as_the_store_being_slow(fleet: Fleet) -> None:
    """Twelve interpreters import redis-py at one moment, which takes a while on a busy machine."""
    outcomes = fleet.run_cold(12, 4, long_tasks.take_token_and_note_imports_of_redis)

    assert [outcome.error for outcome in outcomes] == [None] * 12
    threads = {thread for outcome in outcomes for thread in outcome.value}
    assert len(threads) >= 1, "redis-py was there before"
    assert not any("bounded" in thread for thread in threads)
    assert [line for outcome in outcomes for line in outcome.log if line.startswith("WARNING")] == []
    assert len(fleet.server.token_requests) == 1


@pytest.mark.statement(52)
def test_tokens_of_five_seconds_cost_a_fleet_1_4_requests_per_lifetime_and_nearly_nobody_a_wait(
    nursery: Nursery, tmp_path: Path
) -> None:
    seconds, processes = 12.0, 24
    with PatientFleet(tmp_path, lifetime_s=LIFETIME_S) as fleet:
        start_at = time.time() + 6
        load = {"start_at": start_at, "seconds": seconds, "pause_s": 0.2, "calls_every": 5}
        outcomes = fleet.run(
            nursery, processes, fleet_tasks.steady_load, lambda number: {**load, "phase": number / processes}
        )
        requests = fleet.server.token_requests

    assert [outcome.message for outcome in outcomes if outcome.error] == []
    assert sum(outcome.value["calls"] for outcome in outcomes) >= processes
    assert fleet.server.ended_calls == 0
    # By the clocks of those who asked: what a stalling machine holds up on its way brings nothing forward. And each
    # request brings a token that somebody uses, but for a last one.
    issued_at = sorted({at for outcome in outcomes for at in outcome.value["issued_at"]})
    assert min(later - at for at, later in pairwise(issued_at)) > LIFETIME_S / 1.4
    assert 2 <= len(issued_at) <= len(requests) <= len(issued_at) + 1
    # The next token is taken over in the background, within a second: whoever asks finds it in memory. A machine that
    # stalls just then spoils it, but not each time.
    changes = sum(len(outcome.value["took_us"]["other"]) for outcome in outcomes)
    assert changes >= processes
    assert sum(outcome.value["taken_over"] for outcome in outcomes) >= changes / 5


def test_a_wrong_secret_is_at_most_three_requests_of_forty_processes_that_try_again_and_again(
    nursery: Nursery, fleet: Fleet
) -> None:
    fleet.server.token_reply = lambda _: INVALID_CLIENT

    outcomes = fleet.run(nursery, 40, fleet_tasks.keep_calling, lambda _: {"seconds": 2.0, "pause_s": 0.5})

    assert {name for outcome in outcomes for name in outcome.value} == {"InvalidClientError"}
    assert len(fleet.server.token_requests) <= 3
    assert fleet.server.api_requests == []


def test_an_api_that_refuses_every_token_is_at_most_three_token_requests_of_forty_processes(
    nursery: Nursery, fleet: Fleet
) -> None:
    fleet.server.api_reply = lambda _: Reply(401, b"", {"WWW-Authenticate": 'Bearer error="invalid_token"'})

    outcomes = fleet.run(nursery, 40, fleet_tasks.keep_calling, lambda _: {"seconds": 2.0, "pause_s": 0.5})

    assert {name for outcome in outcomes for name in outcome.value} == {"ApiRefusedTokenError"}
    assert len(fleet.server.token_requests) <= 3


def test_children_that_are_forked_while_threads_use_hook_and_store_work_and_so_does_the_parent(
    nursery: Nursery, tmp_path: Path
) -> None:
    """Tokens live two seconds: at a fork some thread is often right in the middle of looking for one or of its call."""
    with PatientFleet(tmp_path, lifetime_s=2.0) as fleet:
        arguments = {"forks": 12, "threads": 4, "calls": 5}
        (outcome,) = fleet.run(nursery, 1, long_tasks.fork_while_threads_call, lambda _: arguments)

    assert outcome.error is None, outcome.message
    assert outcome.value == [0] * 13
    assert fleet.server.ended_calls == 0


def test_the_benchmark_works_and_says_what_it_measures() -> None:
    command = [sys.executable, "benchmarks/fleet.py", "--quick", "secret", "steady", "peers"]
    patient = {**os.environ, **PATIENT}
    done = subprocess.run(command, cwd=PROJECT, env=patient, capture_output=True, text=True, check=False, timeout=500)

    assert done.returncode == 0, done.stderr
    rows = [re.split(r"\s{2,}", line.strip()) for line in done.stdout.splitlines()]
    figures = {name: figure for name, figure, *_ in (row for row in rows if len(row) > 1)}
    assert figures["token requests"] == "1"
    assert figures["token requests of 4 cold processes, OAuth2Hook"] == "1"
    assert figures["token requests of 4 cold processes, dlt"] == "4"
    assert 0.5 < float(figures["token requests per lifetime"]) < 3
    assert figures["get_token() outside a refresh, p99"].endswith(" ms")
    assert "does not work" not in done.stdout
