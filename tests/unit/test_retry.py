from __future__ import annotations

import logging
import time
from email.utils import formatdate
from typing import Any

import pytest
import tenacity

from airflow_oauth_provider.exceptions import ApiUnavailableError, CertificateError, SettingsError
from airflow_oauth_provider.retry import API_CALL_POLICY, TOKEN_REQUEST_POLICY, RetryPolicy, retry_after_s
from tests.support.clock import Clock

NOW = 1_790_000_000.0
log = logging.getLogger("test")


def busy(pause_s: float | None = None) -> ApiUnavailableError:
    return ApiUnavailableError("busy", status_code=503, retry_after_s=pause_s)


def attempts(policy: RetryPolicy, clock: Clock, *errors: Exception, took_s: float = 0.0, retry: bool = True) -> int:
    """Return the number of attempts that end with the first one that is not scripted to fail."""
    made = 0

    def attempt() -> int:
        nonlocal made
        made += 1
        clock.advance(took_s)
        if made <= len(errors):
            raise errors[made - 1]
        return made

    return policy.retrying(log, retry_if=lambda _: retry, sleep=clock.sleep)(attempt)


def test_an_api_call_is_tried_five_times_and_a_token_request_three_times(clock: Clock) -> None:
    assert attempts(API_CALL_POLICY, clock, *[busy()] * 4) == 5
    assert attempts(TOKEN_REQUEST_POLICY, clock, *[busy()] * 2) == 3
    with pytest.raises(ApiUnavailableError):
        attempts(API_CALL_POLICY, clock, *[busy()] * 5)
    with pytest.raises(ApiUnavailableError):
        attempts(TOKEN_REQUEST_POLICY, clock, *[busy()] * 3)


def test_the_last_error_is_raised_itself_and_no_retry_error(clock: Clock) -> None:
    last = busy()
    with pytest.raises(ApiUnavailableError) as caught:
        attempts(API_CALL_POLICY, clock, *[busy()] * 4, last)
    assert caught.value is last
    assert not isinstance(caught.value, tenacity.RetryError)


@pytest.mark.parametrize("error", [SettingsError("no"), CertificateError("no"), ValueError("no")])
def test_what_trying_again_cannot_change_is_tried_once(clock: Clock, error: Exception) -> None:
    with pytest.raises(type(error)):
        attempts(API_CALL_POLICY, clock, error)
    assert clock.slept == []


def test_a_transient_error_is_not_retried_where_the_call_may_not_be_repeated(clock: Clock) -> None:
    with pytest.raises(ApiUnavailableError):
        attempts(API_CALL_POLICY, clock, busy(), retry=False)
    assert clock.slept == []


def test_back_off_grows_exponentially_with_full_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds: list[tuple[float, float]] = []

    def latest(low: float, high: float) -> float:
        bounds.append((low, high))
        return high

    monkeypatch.setattr("random.uniform", latest)
    assert [API_CALL_POLICY.pause_s(n, None) for n in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]
    assert {low for low, _ in bounds} == {0}


def test_the_pauses_of_two_processes_differ() -> None:
    assert len({API_CALL_POLICY.pause_s(5, None) for _ in range(20)}) > 10


def test_retry_after_is_obeyed_to_the_second(clock: Clock) -> None:
    assert attempts(API_CALL_POLICY, clock, busy(7), busy(60)) == 3
    assert clock.slept == [7, 60]


@pytest.mark.parametrize(("policy", "too_long_s"), [(API_CALL_POLICY, 60.5), (TOKEN_REQUEST_POLICY, 31)])
def test_a_longer_retry_after_is_not_waited_for_and_not_clipped(
    clock: Clock, policy: RetryPolicy, too_long_s: float
) -> None:
    with pytest.raises(ApiUnavailableError) as caught:
        attempts(policy, clock, busy(too_long_s))
    assert caught.value.retry_after_s == too_long_s
    assert clock.slept == []


def test_no_attempt_begins_beyond_the_total_time(clock: Clock) -> None:
    with pytest.raises(ApiUnavailableError):
        attempts(API_CALL_POLICY, clock, busy(50), busy(50), busy(50), took_s=90)
    assert clock.slept == [50, 50]


def test_each_pause_is_one_log_line(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="test"):
        attempts(API_CALL_POLICY, clock, busy(7), busy(8))
    lines = [record.getMessage() for record in caplog.records if record.name == "test"]
    assert lines == [
        "busy Attempt 1 of 5 failed; the next one comes in 7.0 s.",
        "busy Attempt 2 of 5 failed; the next one comes in 8.0 s.",
    ]


@pytest.mark.parametrize(("value", "seconds"), [("7", 7), (" 120 ", 120), (3600, 3600), ("0007", 7)])
def test_retry_after_may_be_a_number_of_seconds(value: Any, seconds: float) -> None:
    assert retry_after_s({"Retry-After": value}, NOW) == seconds


@pytest.mark.usefixtures("clock")
def test_retry_after_may_be_a_date() -> None:
    assert retry_after_s({"Retry-After": formatdate(NOW + 90, usegmt=True)}, NOW) == 90
    assert retry_after_s({"Retry-After": formatdate(time.time() + 90, usegmt=True)}) == pytest.approx(90, abs=2)


def test_a_date_is_held_against_the_servers_own_clock() -> None:
    skewed = NOW + 5000
    headers = {"Retry-After": formatdate(skewed + 30, usegmt=True), "Date": formatdate(skewed, usegmt=True)}
    assert retry_after_s(headers, NOW) == 30


@pytest.mark.parametrize(
    "value",
    [
        "0",
        "00",
        "",
        None,
        "-5",
        "1.5.2",
        "1, soon",
        "0, 0.0",
        "soon",
        "²",
        "٣",
        formatdate(NOW - 10, usegmt=True),
        "1 Jan 99999999",
    ],
)
def test_zero_the_past_and_nonsense_mean_back_off(value: str | None) -> None:
    assert retry_after_s({"Retry-After": value}, NOW) is None


@pytest.mark.parametrize(
    ("value", "seconds"), [("1.5", 1.5), ("120, 120", 120), ("5,7.5 , 6", 7.5), ("3.", 3), ("0, 4", 4)]
)
def test_fractions_and_several_are_understood(value: str, seconds: float) -> None:
    assert retry_after_s({"Retry-After": value}, NOW) == seconds


def test_a_retry_after_of_absurd_length_is_a_long_one() -> None:
    assert (retry_after_s({"Retry-After": "9" * 400}, NOW) or 0) > 10**9
