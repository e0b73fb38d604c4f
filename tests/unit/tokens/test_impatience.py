"""Those who have a token do not wait for long, and what they do not wait for harms nobody."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_oauth_provider.exceptions import InvalidClientError, TokenEndpointUnavailableError
from airflow_oauth_provider.oauth2.token import AccessToken
from tests.support.clock import Clock
from tests.support.token_sources import Processes, settle


def cut_after(clock: Clock, seconds: float) -> Callable[[], AccessToken]:
    """Return a request that is broken off when it has taken so long."""

    def cut() -> AccessToken:
        clock.advance(seconds)
        raise TokenEndpointUnavailableError(f"did not finish its answer within {seconds:g} s")

    return cut


def test_a_token_that_ends_while_a_slow_server_is_asked_fails_nobody(clock: Clock) -> None:
    processes = Processes(lifetime_s=40)
    source = processes.start()
    source.get()
    clock.advance(36.5)
    processes.endpoint.script = [cut_after(clock, 5)]
    assert source.get().value == "token-2"
    assert processes.endpoint.asked == [None, 5, None]


def test_a_slow_server_is_no_refusal_to_those_who_come_when_the_token_has_ended(clock: Clock) -> None:
    processes = Processes()
    source = processes.start()
    source.get()
    clock.advance(3600 - 20)
    processes.endpoint.script = [cut_after(clock, 5)]
    for present in (source, source, processes.start(), processes.start()):
        assert present.get().value == "token-1"
        settle()
    assert processes.endpoint.asked == [None, 5]
    assert source.status().refusal is None
    clock.advance(15)
    assert processes.start().get().value == "token-2"
    assert processes.endpoint.asked == [None, 5, None]


def test_after_a_slow_answer_those_who_have_a_token_ask_again_after_a_pause(clock: Clock) -> None:
    processes = Processes()
    source = processes.start()
    source.get()
    clock.advance(3600 - 50)
    processes.endpoint.script = [cut_after(clock, 5)]
    assert source.get().value == "token-1"
    settle()
    clock.advance(31)
    assert source.get().value == "token-2"
    settle()


def test_an_early_refresh_that_a_slow_server_did_not_answer_in_time_is_the_only_one(clock: Clock) -> None:
    processes = Processes()
    source = processes.start()
    source.get()
    clock.advance(3600 - 300)
    processes.endpoint.script = [cut_after(clock, 5)]
    for _ in range(6):
        assert source.get().value == "token-1"
        settle()
        assert processes.start().get().value == "token-1"
        settle()
        clock.advance(32)
    assert processes.endpoint.asked == [None, 5]
    clock.advance(60)
    assert source.get().value == "token-2"
    settle()


def test_whoever_waits_while_the_token_ends_waits_on_for_the_next_one(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = Processes(lifetime_s=60)
    source = processes.start()
    source.get()
    clock.advance(60 - 4)
    lease = processes.entries().try_lease()
    assert lease is not None

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if sum(clock.slept) > 8:
            processes.entries().write_token(processes.endpoint.token(), expected=processes.entries().generation())

    monkeypatch.setattr("time.sleep", sleep)
    assert source.get().value == "token-2"
    assert 8 < sum(clock.slept) < 10
    assert processes.endpoint.asked == [None], "the holder of the lease asks, nobody else"


@pytest.mark.statement(54)
def test_a_client_that_is_refused_meanwhile_goes_on_with_the_token_that_it_has(clock: Clock) -> None:
    processes = Processes()
    source = processes.start()
    source.get()
    clock.advance(3600 - 40)
    processes.endpoint.script = [InvalidClientError("rotated")]
    for present in (source, source, processes.start()):
        assert present.get().value == "token-1"
        settle()
    assert len(processes.endpoint.asked) == 2
    clock.advance(40)
    with pytest.raises(InvalidClientError, match="Remembered"):
        source.get()
    assert len(processes.endpoint.asked) == 2
