"""When an API says 401: what is dropped, what is fetched, and what is not."""

from __future__ import annotations

import pytest

from airflow_oauth_provider.exceptions import ApiRefusedTokenError, TokenEndpointUnavailableError
from tests.support.clock import Clock
from tests.support.token_sources import Processes


@pytest.mark.statement(21)
def test_a_token_that_is_old_enough_is_dropped_and_replaced_for_everybody(clock: Clock) -> None:
    processes = Processes()
    source = processes.start()
    refused = source.get()
    clock.advance(61)
    assert source.renew(refused).value == "token-2"
    assert source.get().value == processes.start().get().value == "token-2"


@pytest.mark.statement(21)
@pytest.mark.parametrize(("lifetime_s", "age_s"), [(3600, 59), (100, 9)])
def test_a_fresh_token_is_not_replaced_and_the_error_says_when_it_would_be(
    clock: Clock, lifetime_s: float, age_s: float
) -> None:
    processes = Processes(lifetime_s=lifetime_s)
    source = processes.start()
    refused = source.get()
    clock.advance(age_s)
    with pytest.raises(ApiRefusedTokenError, match="check audience, scope and roles") as caught:
        source.renew(refused)
    assert caught.value.retry_after_s == pytest.approx(1, abs=0.5)
    assert source.get() is refused
    assert processes.start().get().value == refused.value
    assert len(processes.endpoint.asked) == 1


@pytest.mark.statement(21)
def test_only_the_refused_token_is_dropped_and_a_newer_one_is_used(clock: Clock) -> None:
    processes = Processes()
    slow = processes.start()
    refused = slow.get()
    clock.advance(61)
    processes.start().renew(refused)
    assert slow.renew(refused).value == "token-2"
    assert len(processes.endpoint.asked) == 2


@pytest.mark.statement(21)
def test_an_api_that_refuses_every_token_costs_one_renewal_a_pause_over_all_processes(clock: Clock) -> None:
    processes = Processes()
    processes.start().get()
    clock.advance(100)
    for _ in range(40):
        source = processes.start()
        token = source.get()
        with pytest.raises(ApiRefusedTokenError):
            source.renew(source.renew(token))
    assert len(processes.endpoint.asked) == 2
    clock.advance(30)
    with pytest.raises(ApiRefusedTokenError):
        processes.start().renew(processes.start().get())
    clock.advance(31)
    assert processes.start().renew(processes.start().get()).value == "token-3"


@pytest.mark.statement(21)
def test_every_process_knows_when_the_next_renewal_may_come(clock: Clock) -> None:
    processes = Processes()
    source = processes.start()
    refused = source.get()
    assert source.renewable_in_s(refused) == pytest.approx(60, abs=1)
    clock.advance(61)
    assert source.renewable_in_s(refused) == 0
    renewed = source.renew(refused)
    for process in (source, processes.start()):
        assert process.renewable_in_s(renewed) == pytest.approx(60, abs=1)
        assert process.renewable_in_s(refused) == pytest.approx(60, abs=1)


def test_a_renewal_that_fails_is_the_endpoints_error_and_the_refused_token_is_not_used_again(clock: Clock) -> None:
    processes = Processes()
    source = processes.start()
    refused = source.get()
    clock.advance(61)
    processes.endpoint.script = [TokenEndpointUnavailableError("down")]
    with pytest.raises(TokenEndpointUnavailableError, match="down"):
        source.renew(refused)
    clock.advance(6)
    assert source.get().value == "token-2"


def test_without_a_store_a_renewal_is_remembered_by_the_process(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    processes = Processes()
    monkeypatch.setattr(type(processes.guarded), "available", property(lambda _: False))
    source = processes.start()
    refused = source.get()
    clock.advance(61)
    renewed = source.renew(refused)
    assert renewed.value == "token-2"
    with pytest.raises(ApiRefusedTokenError):
        source.renew(renewed)
    assert len(processes.endpoint.asked) == 2


def test_a_store_that_did_not_answer_for_a_moment_does_not_bring_the_refused_token_back(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = Processes()
    source = processes.start()
    refused = source.get()
    clock.advance(100)
    # What is asked for just before the fetch: the generation on which its token builds.
    monkeypatch.setattr(source._entries, "generation", lambda: 0)
    monkeypatch.setattr(source._entries, "drop_token", lambda _: None)
    assert source.renew(refused).value == "token-2"
    assert source.get().value == processes.start().get().value == "token-2"
