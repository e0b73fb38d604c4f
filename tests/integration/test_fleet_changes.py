"""Tokens that are revoked and secrets that are changed while many tasks are under way, with a Redis between them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.fleet_processes import SECRET, Fleet
from tests.integration.test_fleet import PatientFleet
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
                wait_until(lambda: self.callers() == len(self._workers), within_s=120)

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
    """It is ten minutes old when it is revoked: one of less than a minute would not be replaced."""
    with PatientFleet(tmp_path) as fleet, tasks(nursery, fleet, tmp_path, pause_s=2.0) as running:
        fleet.server.tokens["made-up-old-token"] = time.time() + 3000
        fleet.run(nursery, 1, worker.store_old_token)
        running.start(RUNNING)
        assert fleet.server.token_requests == []
        fleet.server.revoke_all()
        wait_until(lambda: len(fleet.server.tokens) == 1, within_s=60)
        (new,) = fleet.server.tokens
        wait_until(lambda: running.callers(new) == RUNNING, within_s=120)
        outcomes = running.stop()

    assert [outcome.message for outcome in outcomes if outcome.error] == []
    assert [error for outcome in outcomes for error in outcome.value["errors"]] == []
    assert len(fleet.server.token_requests) == 1


def ends_before(fleet: Fleet, instant: float) -> float:
    """Return when the last token ends of those that end before *instant*."""
    return max(end for end in list(fleet.server.tokens.values()) if end < instant)


def test_a_secret_changed_under_running_tasks_harms_nobody_while_the_token_lives(
    nursery: Nursery, tmp_path: Path
) -> None:
    """Running tasks know the old secret; tasks that come later find the new one in the connection."""
    accepted = [SECRET]
    granted: list[str] = []
    refused: list[str] = []

    def check(seen: Seen) -> Reply:
        secret = seen.basic()[1]
        if secret in accepted:
            granted.append(secret)
            # None of the new ones is to end before the test does.
            fleet.server.lifetime_s = 6.0 if secret == SECRET else 3600.0
            return fleet.server.issue()
        refused.append(secret)
        return Reply(401, {"error": "invalid_client"}, {"WWW-Authenticate": "Basic"})

    with PatientFleet(tmp_path) as fleet, tasks(nursery, fleet, tmp_path, pause_s=0.3) as running:
        fleet.server.token_reply = check
        running.start(WAVE)
        accepted[:] = [NEW_SECRET]
        changed_at = time.time()
        later = nursery.run(6, worker.call, fleet.environment(0, NEW_SECRET))
        wait_until(lambda: refused and time.time() > ends_before(fleet, changed_at + 1000) + 2, within_s=60)
        outcomes = running.stop()

    assert [outcome.value for outcome in later] == [[200]] * 6
    assert granted.count(NEW_SECRET) == 1
    # One early refresh, and what is remembered of it binds everybody.
    assert 1 <= len(refused) <= 3
    assert set(refused) == {SECRET}
    errors = [error for outcome in outcomes for error in outcome.value["errors"]]
    assert {name for _, name, _, _ in errors} == {"InvalidClientError"}
    assert max(left_s for outcome in outcomes for left_s in outcome.value["left_s"]) < 1.1, "until then the token lives"
    assert all("Check Client ID and Client secret" in message for _, _, message, _ in errors)
    assert not any(SECRET in message for _, _, message, _ in errors)
    assert fleet.server.ended_calls == 0
