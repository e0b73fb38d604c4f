from __future__ import annotations

import pytest

from airflow_oauth_provider.exceptions import (
    TokenEndpointUnavailableError,
)
from airflow_oauth_provider.oauth2.token import AccessToken
from airflow_oauth_provider.tokens.stores.base import LEASE_S
from tests.support.clock import Clock
from tests.support.made_up import SECRET, client_settings
from tests.support.token_sources import Processes, in_threads

DOWN = TokenEndpointUnavailableError("down")


@pytest.mark.statement(50)
def test_all_processes_share_one_token() -> None:
    processes = Processes()
    tokens = {processes.start().get().value for _ in range(5)}
    assert tokens == {"token-1"}
    assert len(processes.endpoint.asked) == 1


@pytest.mark.statement(50)
def test_forty_cold_processes_at_once_make_one_request() -> None:
    processes = Processes()
    tokens = in_threads(40, lambda: processes.start().get())
    assert {token.value for token in tokens if isinstance(token, AccessToken)} == {"token-1"}
    assert (len(tokens), len(processes.endpoint.asked)) == (40, 1)


@pytest.mark.statement(50)
def test_the_threads_of_one_process_make_one_request() -> None:
    processes = Processes()
    source = processes.start()
    assert len(in_threads(20, source.get)) == 20
    assert len(processes.endpoint.asked) == 1


@pytest.mark.statement(51)
@pytest.mark.parametrize(
    "change", [{"client_id": "b"}, {"scope": "b"}, {"audience": "b"}, {"extra_params": (("t", "b"),)}]
)
def test_two_clients_side_by_side_have_a_token_each(change: dict[str, object]) -> None:
    processes = Processes()
    other = client_settings(**change)
    values = [processes.start(s).get().value for s in (client_settings(), other, client_settings(), other)]
    assert values == ["token-1", "token-2", "token-1", "token-2"]


def test_a_second_call_looks_neither_into_the_store_nor_at_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = Processes()
    source = processes.start()
    first = source.get()
    monkeypatch.delattr(processes.store.__class__, "read")
    assert source.get() is first


@pytest.mark.statement(52)
@pytest.mark.parametrize("lifetime_s", [5, 15])
def test_a_short_lived_token_costs_no_request_a_call_and_is_not_used_after_its_end(
    clock: Clock, lifetime_s: float
) -> None:
    processes = Processes(lifetime_s=lifetime_s)
    source = processes.start()
    for _ in range(200):
        token = source.get()
        assert token.expires_at > clock.time()
        clock.advance(lifetime_s / 50)
    assert len(processes.endpoint.asked) <= 12


def test_a_token_is_replaced_before_its_end(clock: Clock) -> None:
    processes = Processes(lifetime_s=3600)
    source = processes.start()
    assert source.get().value == "token-1"
    clock.advance(3600 - 59)
    assert source.get().value == "token-2"
    assert processes.start().get().value == "token-2"


def test_leeway_is_configurable(clock: Clock) -> None:
    processes = Processes(lifetime_s=3600)
    source = processes.start(client_settings(leeway_s=300))
    source.get()
    clock.advance(3600 - 299)
    assert source.get().value == "token-2"


@pytest.mark.statement(53)
def test_a_clock_that_jumps_back_does_not_immortalise_a_token(clock: Clock) -> None:
    processes = Processes(lifetime_s=600)
    source = processes.start()
    source.get()
    clock.set_wall(-86_400)
    assert source.get().value == "token-1"
    clock.advance(600)
    assert source.get().value == "token-2"


@pytest.mark.statement(53)
def test_a_stored_token_from_the_future_is_not_believed(clock: Clock) -> None:
    processes = Processes(lifetime_s=600)
    processes.start().get()
    clock.set_wall(-86_400)
    assert processes.start().get().value == "token-2"


@pytest.mark.statement(53)
@pytest.mark.parametrize("skew_s", [-30, 30])
def test_thirty_seconds_of_skew_cost_no_request(clock: Clock, skew_s: float) -> None:
    processes = Processes(lifetime_s=600)
    processes.start().get()
    clock.set_wall(skew_s)
    assert processes.start().get().value == "token-1"


@pytest.mark.statement(53)
def test_a_clock_that_jumps_forward_ends_a_token(clock: Clock) -> None:
    processes = Processes(lifetime_s=600)
    source = processes.start()
    source.get()
    clock.set_wall(700)
    assert source.get().value == "token-2"


@pytest.mark.statement(54)
def test_the_server_is_down_and_a_living_token_is_used_to_its_end(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    processes = Processes(lifetime_s=3600)
    sources = [processes.start(), processes.start()]
    for source in sources:
        source.get()
    clock.advance(3600 - 30)
    processes.endpoint.script = [DOWN] * 99
    for _ in range(10):
        for source in [*sources, processes.start()]:
            assert source.get().value == "token-1"
    assert [record for record in caplog.records if "the present one lives" in record.getMessage()]
    clock.advance(30)
    with pytest.raises(TokenEndpointUnavailableError):
        sources[0].get()


@pytest.mark.statement(54)
def test_whoever_has_a_living_token_is_not_kept_waiting_for_long(clock: Clock) -> None:
    processes = Processes(lifetime_s=3600)
    source = processes.start()
    source.get()
    clock.advance(3600 - 30)
    processes.endpoint.script = [DOWN]
    source.get()
    assert processes.endpoint.asked[1] is not None
    assert processes.endpoint.asked[1] <= 10


@pytest.mark.statement(57)
def test_a_holder_that_was_killed_blocks_nobody_longer_than_its_lease(clock: Clock) -> None:
    clock.skip_sleeps()
    processes = Processes()
    assert processes.entries().try_lease() is not None
    began = clock.monotonic()
    assert processes.start().get().value == "token-1"
    assert LEASE_S - 5 <= clock.monotonic() - began <= LEASE_S + 5


@pytest.mark.statement(57)
def test_a_waiter_with_a_living_token_does_not_wait_for_the_lease_to_end(clock: Clock) -> None:
    clock.skip_sleeps()
    processes = Processes(lifetime_s=3600)
    source = processes.start()
    source.get()
    clock.advance(3600 - 20)
    assert processes.entries().try_lease() is not None
    began = clock.monotonic()
    assert source.get().value == "token-1"
    assert clock.monotonic() - began < 20


def test_a_token_that_appears_while_waiting_is_taken(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    processes = Processes()
    holder = processes.entries()
    assert holder.try_lease() is not None
    monkeypatch.setattr("time.sleep", lambda _: holder.write_token(processes.endpoint.token(), expected=0))
    assert processes.start().get().value == "token-1"
    assert processes.endpoint.asked == []


def test_a_holder_that_slept_past_its_lease_does_not_overwrite_a_newer_token(clock: Clock) -> None:
    processes = Processes()
    sleeper = processes.start()

    def sleep_past_the_lease() -> AccessToken:
        late = processes.endpoint.token()
        clock.advance(LEASE_S + 1)
        assert processes.start().get().value == "token-2"
        return late

    processes.endpoint.script = [sleep_past_the_lease]
    assert sleeper.get().value == "token-2"
    assert sleeper.get().value == "token-2"
    assert processes.start().get().value == "token-2"


def test_no_secret_or_token_stands_in_the_repr_of_a_source() -> None:
    source = Processes().start()
    token = source.get()
    for shown in (repr(source), repr(source._shelf.held), repr(source._entries.token())):
        assert token.value not in shown
        assert SECRET not in shown
