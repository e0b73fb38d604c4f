"""Tokens that are revoked and secrets that are changed while many tasks are under way, with a Redis between them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.fleet_processes import SECRET, Fleet
from tests.support import long_tasks, worker
from tests.support.processes import Nursery, Outcome, Worker, end_all, wait_until
from tests.support.servers import Reply, Seen

RUNNING, WAVE = 200, 20
NEW_SECRET = "another-made-up-secret-of-more-than-thirty-two-characters"


class Tasks:
    """Long tasks that call the API until they are stopped."""

    def __init__(self, nursery: Nursery, fleet: Fleet, folder: Path, pause_s: float) -> None:
        self._nursery = nursery
        self._fleet = fleet
        self._stop = folder / "stop"
        self._arguments = {"stop": str(self._stop), "pause_s": pause_s}
        self._workers: list[Worker] = []

    def start(self, number: int) -> None:
        """Start so many, in waves of twenty: when one begins to call, those of the wave before have called."""
        while (place := len(self._workers)) < number:
            started = self._nursery.start(long_tasks.call_until, self._fleet.environment(place), **self._arguments)
            self._workers.append(started)
            started.go()
            if len(self._workers) in (number, *range(0, number, WAVE)):
                wait_until(lambda: self.callers() == len(self._workers), within_s=60)

    def callers(self, token: str = "") -> int:
        """Return how many have called, each over a connection of its own, with *token* or any other."""
        seen = (seen for seen in self._fleet.server.api_requests if seen.headers["authorization"].endswith(token))
        return len({request.client for request in seen})

    def stop(self) -> list[Outcome]:
        self._stop.touch()
        return [stopped.result() for stopped in self._workers]

    def end(self) -> None:
        end_all(self._workers)


@contextmanager
def tasks(nursery: Nursery, fleet: Fleet, folder: Path, pause_s: float) -> Iterator[Tasks]:
    running = Tasks(nursery, fleet, folder, pause_s)
    try:
        yield running
    finally:
        running.end()


@pytest.mark.statement(21)
def test_a_token_revoked_under_two_hundred_running_tasks_is_replaced_once(nursery: Nursery, tmp_path: Path) -> None:
    """A tenth of its life has passed when it is revoked: a younger one would not be replaced."""
    with Fleet(tmp_path, lifetime_s=100.0) as fleet, tasks(nursery, fleet, tmp_path, pause_s=2.0) as running:
        running.start(RUNNING)
        wait_until(lambda: time.time() > fleet.server.token_requests[0].at + 11)
        fleet.server.revoke_all()
        wait_until(lambda: len(fleet.server.tokens) == 1)
        (new,) = fleet.server.tokens
        wait_until(lambda: running.callers(new) == RUNNING, within_s=60)
        outcomes = running.stop()

    assert [outcome.message for outcome in outcomes if outcome.error] == []
    assert [error for outcome in outcomes for error in outcome.value["errors"]] == []
    assert len(fleet.server.token_requests) == 2


def test_a_secret_changed_under_running_tasks_harms_nobody_while_the_token_lives(
    nursery: Nursery, tmp_path: Path
) -> None:
    """Running tasks know the old secret; tasks that come later find the new one in the connection."""
    accepted = [SECRET]

    def check(seen: Seen) -> Reply:
        if seen.basic()[1] in accepted:
            return fleet.server.issue()
        return Reply(401, {"error": "invalid_client"}, {"WWW-Authenticate": "Basic"})

    with Fleet(tmp_path, lifetime_s=6.0) as fleet, tasks(nursery, fleet, tmp_path, pause_s=0.3) as running:
        fleet.server.token_reply = check
        running.start(WAVE)
        accepted[:] = [NEW_SECRET]
        changed_at = time.time()
        later = nursery.run(6, worker.call, fleet.environment(0, NEW_SECRET))
        wait_until(lambda: time.time() > changed_at + 8, within_s=60)
        outcomes = running.stop()
        requests = [seen.basic()[1] for seen in fleet.server.token_requests if seen.at > changed_at]

    assert [outcome.value for outcome in later] == [[200]] * 6
    assert requests.count(NEW_SECRET) == 1
    # One early refresh, and what is remembered of it binds everybody.
    assert 1 <= requests.count(SECRET) <= 3
    errors = [error for outcome in outcomes for error in outcome.value["errors"]]
    assert {name for _, name, _, _ in errors} == {"InvalidClientError"}
    granted_at = fleet.server.token_requests[0].at
    assert min(at for at, *_ in errors) > granted_at + 6 - 1.1, "until then the old token lives"
    assert all("Check Client ID and Client secret" in message for _, _, message, _ in errors)
    assert not any(SECRET in message for _, _, message, _ in errors)
    assert fleet.server.ended_calls == 0
