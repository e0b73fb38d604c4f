"""What the calls of one pull share: one is told to wait, all wait; and when it ends, nobody does."""

from __future__ import annotations

import threading
import time

import pytest

from airflow_oauth_provider.exceptions import ApiUnavailableError
from airflow_oauth_provider.http.pace import Pace, Stopped
from tests.support.clock import Clock
from tests.support.processes import wait_until


@pytest.fixture
def pace(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Pace:
    """Return one whose pauses pass at once."""
    made = Pace()
    wait = made._stopped.wait

    def pass_at_once(seconds: float | None = None) -> bool:
        clock.sleep(seconds or 0.0)
        return wait(0)

    monkeypatch.setattr(made._stopped, "wait", pass_at_once)
    return made


def refused(status: int | None) -> ApiUnavailableError:
    return ApiUnavailableError("no", status_code=status)


def test_nobody_waits_for_nothing(pace: Pace, clock: Clock) -> None:
    pace.wait()
    assert clock.slept == []
    assert pace.retries == 0


@pytest.mark.parametrize("status", [429, 503])
def test_all_wait_when_the_api_asked_one_of_them_to(pace: Pace, clock: Clock, status: int) -> None:
    pace.paused(refused(status), 20)
    pace.wait()
    assert clock.slept == [pytest.approx(20, abs=1)]
    pace.wait()
    assert len(clock.slept) == 1


@pytest.mark.parametrize("error", [refused(500), refused(502), refused(None), ValueError("no"), None])
def test_a_failure_of_one_call_holds_up_nobody_else(pace: Pace, clock: Clock, error: Exception | None) -> None:
    pace.paused(error, 20)
    pace.wait()
    assert clock.slept == []
    assert pace.retries == 1


def test_the_longest_pause_counts(pace: Pace, clock: Clock) -> None:
    for seconds in (5, 30, 1):
        pace.paused(refused(429), seconds)
    pace.wait()
    assert sum(clock.slept) == pytest.approx(30, abs=1)
    assert pace.retries == 3


def test_a_pause_that_grows_while_one_waits_is_waited_for_to_its_end(pace: Pace, clock: Clock) -> None:
    pace.paused(refused(429), 5)
    grown: list[bool] = []
    sleep = clock.sleep

    def growing(seconds: float) -> None:
        if not grown:
            grown.append(True)
            pace.paused(refused(429), 30)
        sleep(seconds)

    clock.sleep = growing  # type: ignore[method-assign]
    pace.wait()
    assert sum(clock.slept) == pytest.approx(30, abs=1)
    assert len(clock.slept) == 2


def test_sleeping_takes_as_long_as_told(pace: Pace, clock: Clock) -> None:
    pace.sleep(7)
    assert clock.slept == [7]


def test_at_the_end_nobody_sends_or_sleeps(pace: Pace) -> None:
    pace.stop()
    pace.stop()
    with pytest.raises(Stopped):
        pace.wait()
    with pytest.raises(Stopped):
        pace.sleep(0)
    pace.paused(refused(429), 20)
    with pytest.raises(Stopped):
        pace.wait()


def test_whoever_sleeps_is_woken_at_the_end() -> None:
    pace, woken = Pace(), []
    pace.paused(refused(503), 600)

    def wait() -> None:
        with pytest.raises(Stopped):
            pace.wait()
        woken.append(time.monotonic())

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    pace.stop()
    wait_until(lambda: len(woken) == 3)
    for thread in threads:
        thread.join()


def test_no_attempt_of_many_threads_goes_uncounted() -> None:
    pace = Pace()

    def fail() -> None:
        for _ in range(500):
            pace.paused(refused(500), 1)

    threads = [threading.Thread(target=fail) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pace.retries == 2000
