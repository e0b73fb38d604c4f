"""What the token endpoint refused is remembered for all processes, and for how long."""

from __future__ import annotations

import pytest

from airflow_oauth_provider.exceptions import (
    CertificateError,
    InvalidClientError,
    InvalidScopeError,
    OAuth2Error,
    SettingsError,
    TokenEndpointUnavailableError,
    UnauthorizedClientError,
)
from tests.support.clock import Clock
from tests.support.made_up import SECRET, client_settings
from tests.support.token_sources import Processes, in_threads

DOWN = TokenEndpointUnavailableError("down")


@pytest.mark.parametrize("failure", [DOWN, InvalidClientError("no", error="invalid_client"), InvalidScopeError("no")])
def test_a_failure_is_recorded_before_the_lease_is_given_back_and_waiters_raise_it(
    clock: Clock, failure: OAuth2Error
) -> None:
    processes = Processes()
    processes.endpoint.script = [failure] * 99
    results = in_threads(40, lambda: processes.start().get())
    assert len(results) == 40
    assert {type(result) for result in results} == {type(failure)}
    assert len(processes.endpoint.asked) == 1


@pytest.mark.statement(55)
def test_a_throttled_client_is_left_alone_by_all_processes_and_requests_for_retry_after(clock: Clock) -> None:
    processes = Processes()
    processes.endpoint.script = [TokenEndpointUnavailableError("slow", status_code=429, retry_after_s=1800)]
    with pytest.raises(TokenEndpointUnavailableError):
        processes.start().get()
    for scope in (None, "another"):
        with pytest.raises(TokenEndpointUnavailableError, match="Remembered since") as caught:
            processes.start(client_settings(scope=scope)).get()
        assert 1700 < (caught.value.retry_after_s or 0) <= 1800
    assert len(processes.endpoint.asked) == 1
    clock.advance(1801)
    assert processes.start().get().value == "token-1"


@pytest.mark.statement(55)
def test_a_wrong_secret_is_remembered_for_its_credential_and_a_changed_one_works_at_once() -> None:
    processes = Processes()
    processes.endpoint.script = [InvalidClientError("invalid_client: no", error="invalid_client")]
    for scope in ("a", "b", "a"):
        with pytest.raises(InvalidClientError):
            processes.start(client_settings(scope=scope)).get()
    assert len(processes.endpoint.asked) == 1
    assert processes.start(client_settings(client_secret=SECRET + " corrected")).get().value == "token-1"


def test_a_refused_scope_does_not_stop_another_scope() -> None:
    processes = Processes()
    processes.endpoint.script = [InvalidScopeError("no")]
    with pytest.raises(InvalidScopeError):
        processes.start(client_settings(scope="a")).get()
    assert processes.start(client_settings(scope="b")).get().value == "token-1"


def test_a_remembered_refusal_ends_and_doubles_when_it_repeats(clock: Clock) -> None:
    processes = Processes()
    processes.endpoint.script = [InvalidClientError("no")] * 9
    for pause_s in (60, 120, 240):
        for _ in range(3):
            with pytest.raises(InvalidClientError):
                processes.start().get()
        clock.advance(pause_s + 1)
    assert len(processes.endpoint.asked) == 3


def test_a_success_forgets_what_was_remembered(clock: Clock) -> None:
    processes = Processes(lifetime_s=100)
    processes.endpoint.script = [InvalidClientError("no"), processes.endpoint.token(), InvalidClientError("no")]
    with pytest.raises(InvalidClientError):
        processes.start().get()
    clock.advance(61)
    processes.start().get()
    clock.advance(100)
    with pytest.raises(InvalidClientError):
        processes.start().get()
    clock.advance(61)  # a first refusal again, not the second in a row
    assert processes.start().get().value == "token-2"


def test_a_test_of_the_connection_fetches_a_new_token_that_replaces_the_stored_one() -> None:
    processes = Processes()
    processes.start().get()
    tester = processes.start()
    assert tester.fetch_new().value == "token-2"
    assert tester.get().value == "token-2"
    assert processes.start().get().value == "token-2"
    assert processes.endpoint.asked[1] is not None


def test_after_a_rotation_of_the_store_key_a_tests_token_replaces_one_that_lives_longer() -> None:
    processes = Processes(lifetime_s=3600)
    processes.start(store_keys=("old",)).get()
    processes.endpoint.lifetime_s = 600
    assert processes.start(store_keys=("new", "old")).fetch_new().value == "token-2"
    assert processes.start(store_keys=("new", "old")).get().value == "token-2"


def test_a_test_of_the_connection_ignores_and_ends_a_remembered_refusal() -> None:
    processes = Processes()
    processes.endpoint.script = [InvalidClientError("no")]
    other = processes.start(client_settings(scope="other"))
    with pytest.raises(InvalidClientError):
        processes.start().get()
    assert processes.start().fetch_new().value == "token-1"
    assert other.get().value == "token-2"


def test_a_test_that_fails_leaves_the_stored_token_alone() -> None:
    processes = Processes()
    processes.start().get()
    processes.endpoint.script = [DOWN]
    with pytest.raises(TokenEndpointUnavailableError):
        processes.start().fetch_new()
    assert processes.start().get().value == "token-1"


def test_a_quota_without_an_end_in_sight_is_remembered_for_longer_each_time_and_says_when_to_come_back(
    clock: Clock,
) -> None:
    processes = Processes()
    processes.endpoint.script = [TokenEndpointUnavailableError("slow", status_code=429) for _ in range(6)]
    waits = []
    for _ in range(6):
        with pytest.raises(TokenEndpointUnavailableError) as first:
            processes.start().get()
        with pytest.raises(TokenEndpointUnavailableError, match="Remembered since") as second:
            processes.start().get()
        assert second.value.retry_after_s == pytest.approx(first.value.retry_after_s, abs=1)
        waits.append(first.value.retry_after_s)
        clock.advance((first.value.retry_after_s or 0) + 1)
    assert waits == pytest.approx([60, 120, 240, 480, 600, 600], abs=1)
    assert processes.start().get().value == "token-1"


def test_whoever_meets_an_outage_is_told_when_the_server_is_asked_again() -> None:
    processes = Processes()
    processes.endpoint.script = [DOWN]
    with pytest.raises(TokenEndpointUnavailableError) as caught:
        processes.start().get()
    assert caught.value.retry_after_s == pytest.approx(5, abs=1)


@pytest.mark.parametrize("failure", [CertificateError("no"), SettingsError("a SOCKS proxy needs PySocks")], ids=repr)
def test_what_is_wrong_with_one_machine_stops_no_other(clock: Clock, failure: OAuth2Error) -> None:
    processes = Processes()
    processes.endpoint.script = [failure]
    ill, well = processes.start(), processes.start()
    for _ in range(3):
        with pytest.raises(type(failure)):
            ill.get()
    assert len(processes.endpoint.asked) == 1
    told = well.status().refusal
    assert told is not None
    assert str(failure) in told.message
    assert well.get().value == "token-1"
    assert well.status().refusal is None
    assert ill.get().value == "token-1"


@pytest.mark.parametrize(
    ("failure", "wrong", "right"),
    [
        (InvalidClientError("no"), {"extra_params": (("tenant", "typo"),)}, {"extra_params": (("tenant", "t"),)}),
        (InvalidClientError("no"), {"secret_params": (("pin", "typo"),)}, {"secret_params": (("pin", "1"),)}),
        (InvalidClientError("no"), {}, {"dpop": "true"}),
        (UnauthorizedClientError("no"), {"audience": "typo"}, {"audience": "https://api.example.com"}),
        (UnauthorizedClientError("no"), {"scope": "typo"}, {"scope": "read"}),
    ],
)
def test_a_mended_connection_is_tried_at_once_and_a_wrong_one_stops_no_other(
    failure: OAuth2Error, wrong: dict[str, object], right: dict[str, object]
) -> None:
    processes = Processes()
    processes.endpoint.script = [failure]
    for _ in range(2):
        with pytest.raises(type(failure)):
            processes.start(client_settings(**wrong)).get()
    assert processes.start(client_settings(**right)).get().value == "token-1"
    assert len(processes.endpoint.asked) == 2


def test_what_is_wrong_with_one_machine_leaves_the_refusals_of_all_alone(clock: Clock) -> None:
    processes = Processes()
    well, ill = processes.start(), processes.start()
    for pause_s in (60, 120):
        processes.endpoint.script = [InvalidScopeError("no")]
        with pytest.raises(InvalidScopeError):
            well.get()
        clock.advance(pause_s + 1)
    processes.endpoint.script = [CertificateError("not to be trusted"), InvalidScopeError("no")]
    with pytest.raises(CertificateError):
        ill.get()
    with pytest.raises(CertificateError) as again:
        ill.get()
    assert "forget" not in str(again.value)
    with pytest.raises(InvalidScopeError):
        well.get()
    clock.advance(239)
    with pytest.raises(InvalidScopeError, match="Remembered since"):
        well.get()
