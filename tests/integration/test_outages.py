"""A token endpoint that is down for ten minutes: who notices, how often it is asked, and how soon all is well again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from airflow_oauth_provider.exceptions import OAuth2Error, TokenEndpointUnavailableError
from airflow_oauth_provider.oauth2.token import AccessToken
from tests.support import long_tasks, worker
from tests.support.clock import Clock
from tests.support.processes import Nursery, Worker, end_all, wait_until
from tests.support.servers import OAuthServer, Reply, Seen
from tests.support.token_sources import Processes, ScriptedEndpoint, settle

Environment = Callable[..., dict[str, str]]

OUTAGE_S = 600.0
STEP_S = 5.0


class FailingEndpoint(ScriptedEndpoint):
    """Down from one moment on, for ten minutes."""

    def __init__(self, lifetime_s: float, down_from: float) -> None:
        super().__init__(lifetime_s=lifetime_s)
        self._down_from = down_from
        self.refusals = 0

    def _answer(self, within_s: float | None) -> AccessToken:
        if self._down_from <= time.time() < self._down_from + OUTAGE_S:
            self.refusals += 1
            raise TokenEndpointUnavailableError("The token endpoint answered 502.", status_code=502)
        return super()._answer(within_s)


@dataclass
class Outage:
    """
    What four processes saw that asked for a token every five seconds, until a minute after the outage.

    :param failures: seconds from the outage's beginning on, and what was raised
    """

    endpoint: FailingEndpoint
    failures: list[tuple[float, OAuth2Error]]

    @classmethod
    def of(cls, clock: Clock, *, lifetime_s: float, token_age_s: float) -> Self:
        """
        Let it happen.

        :param token_age_s: of the token when the outage begins
        """
        down_from = clock.time() + token_age_s
        processes, endpoint = Processes(), FailingEndpoint(lifetime_s, down_from)
        processes.endpoint = endpoint
        sources = [processes.start() for _ in range(4)]
        failures: list[tuple[float, OAuth2Error]] = []
        while (now := clock.time() - down_from) < OUTAGE_S + 60:
            for source in sources:
                try:
                    source.get()
                except OAuth2Error as error:
                    failures.append((now, error))
                settle()
            clock.advance(STEP_S)
        return cls(endpoint, failures)


def standing_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(monkeypatch)
    clock.stand_still()
    return clock


@pytest.mark.parametrize("token_age_s", [1800.0, 2700.0, 2925.0, 3000.0, 3540.0])
def test_nobody_notices_ten_minutes_of_outage_while_tokens_live_an_hour(
    monkeypatch: pytest.MonkeyPatch, token_age_s: float
) -> None:
    """Wherever in the token's life it begins: the early refresh tries long before the end, and again and again."""
    outage = Outage.of(standing_clock(monkeypatch), lifetime_s=3600.0, token_age_s=token_age_s)

    assert outage.failures == []
    # All processes together ask twice a minute at most.
    assert outage.endpoint.refusals <= OUTAGE_S / 30 + 1


@pytest.mark.parametrize("token_age_s", [5.0, 230.0, 290.0])
def test_tokens_of_five_minutes_end_in_an_outage_of_ten_and_tasks_are_told_when_to_come_back(
    monkeypatch: pytest.MonkeyPatch, token_age_s: float
) -> None:
    outage = Outage.of(standing_clock(monkeypatch), lifetime_s=300.0, token_age_s=token_age_s)

    first_s, last_s = outage.failures[0][0], outage.failures[-1][0]
    # The token is used up to its last second, and it may be the next one already.
    assert first_s > 300 - token_age_s - 1 - STEP_S
    assert {type(error) for _, error in outage.failures} == {TokenEndpointUnavailableError}
    assert all(error.retry_after_s is not None and 0 <= error.retry_after_s <= 30 for _, error in outage.failures)
    assert last_s <= OUTAGE_S + 30
    # Some thirty seconds between two requests, of however many processes.
    assert outage.endpoint.refusals <= OUTAGE_S / 30 + 12


def test_an_outage_within_the_life_of_a_token_is_not_noticed_by_running_processes(
    nursery: Nursery, server: OAuthServer, environment: Environment, tmp_path: Path
) -> None:
    """
    It ends twelve seconds after the first attempt, which comes at once, and as many before the token's end.

    The mandatory window begins in its midst, 20 s before the end.
    """
    server.tokens["made-up-old-token"] = time.time() + 28
    nursery.run(1, worker.store_token, environment(), value="made-up-old-token", lifetime_s=200.0, left_s=28.0)
    asked_in_vain: list[Seen] = []

    def down_at_first(seen: Seen) -> Reply:
        if asked_in_vain and seen.at >= asked_in_vain[0].at + 12:
            return server.issue()
        asked_in_vain.append(seen)
        return Reply(502, b"bad gateway")

    server.token_reply = down_at_first

    with long_calls(nursery, environment(), tmp_path / "stop") as workers:
        wait_until(lambda: len(server.tokens) > 1, within_s=60)
        fresh = next(token for token in server.tokens if token != "made-up-old-token")
        wait_until(lambda: len(callers(server, fresh)) == len(workers), within_s=60)
        (tmp_path / "stop").touch()
        outcomes = [started.result() for started in workers]

    assert [outcome.message for outcome in outcomes if outcome.error] == []
    assert [error for outcome in outcomes for error in outcome.value["errors"]] == []
    assert server.ended_calls == 0
    assert 1 <= len(asked_in_vain) <= 3, "an attempt every ten seconds, of all processes together"


def test_an_outage_longer_than_the_life_of_a_token_costs_few_requests_and_ends_by_itself(
    nursery: Nursery, server: OAuthServer, environment: Environment, tmp_path: Path
) -> None:
    """Ten minutes and five, sixty times as fast."""
    server.lifetime_s = 5.0
    with long_calls(nursery, environment(), tmp_path / "stop") as workers:
        wait_until(lambda: len(callers(server)) == len(workers), within_s=60)
        down_from = time.time()
        back_at = down_from + 10
        asked_in_vain: list[Seen] = []
        server.token_reply = down_until(server, back_at, asked_in_vain)
        wait_until(lambda: time.time() > back_at, within_s=60)
        wait_until(lambda: len(callers(server, since=back_at)) == len(workers), within_s=60)
        (tmp_path / "stop").touch()
        outcomes = [started.result() for started in workers]

    assert [outcome.message for outcome in outcomes if outcome.error] == []
    errors = [error for outcome in outcomes for error in outcome.value["errors"]]
    assert {name for _, name, _, _ in errors} == {"TokenEndpointUnavailableError"}
    assert all(retry_after_s is not None and 0 <= retry_after_s <= 30 for *_, retry_after_s in errors)
    assert max(left_s for outcome in outcomes for left_s in outcome.value["left_s"]) < 1.1, "until then the token lives"
    assert server.ended_calls == 0
    assert len(asked_in_vain) <= 12


@contextmanager
def long_calls(nursery: Nursery, environment: dict[str, str], stop: Path) -> Iterator[list[Worker]]:
    """Let twelve processes call the API until the file *stop* is there."""
    arguments = {"stop": str(stop), "pause_s": 0.3}
    workers = [nursery.start(long_tasks.call_until, environment, **arguments) for _ in range(12)]
    try:
        for started in workers:
            started.go()
        yield workers
    finally:
        end_all(workers)


def down_until(server: OAuthServer, back_at: float, asked_in_vain: list[Seen]) -> Callable[[Seen], Reply]:
    def reply(seen: Seen) -> Reply:
        if seen.at >= back_at:
            return server.issue()
        asked_in_vain.append(seen)
        return Reply(502, b"bad gateway")

    return reply


def callers(server: OAuthServer, token: str = "", since: float = 0.0) -> set[tuple[str, int]]:
    """Return the connections, one a process, that called the API with *token* or any other."""
    return {
        seen.client
        for seen in server.api_requests
        if seen.at >= since and seen.headers["authorization"].endswith(token)
    }
