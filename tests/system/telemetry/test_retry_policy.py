"""When the tasks of a real Airflow come back."""

from __future__ import annotations

import pytest

from tests.system.telemetry.run import FAR_S, SOON_S, TelemetryRun

THROTTLED = {
    "throttled/-1": "throttled",
    "mapped/0": "throttled/a",
    "mapped/1": "throttled/b",
    "transfer/-1": "throttled/c",
    "of_the_task/-1": "throttled/task",
}


@pytest.mark.parametrize("task", THROTTLED)
def test_a_throttled_task_ends_at_once_and_comes_back_when_the_api_said(telemetry_run: TelemetryRun, task: str) -> None:
    attempt = telemetry_run.attempts[task]

    assert (attempt.state, attempt.tries, attempt.comes_back_in_s) == ("up_for_retry", 1, FAR_S)
    assert attempt.reason == f"HTTP 429: comes back in {FAR_S} s"
    assert len(telemetry_run.shop.asked(THROTTLED[task])) == 1


def test_a_task_that_was_sent_away_has_come_back_in_time(telemetry_run: TelemetryRun) -> None:
    first, second = telemetry_run.shop.asked("soon")

    assert telemetry_run.attempts["soon/-1"].tries == 2
    assert second.at - first.at >= SOON_S


def test_tasks_that_meet_a_remembered_refusal_come_back_at_its_end(telemetry_run: TelemetryRun) -> None:
    attempts = [telemetry_run.attempts[f"remembered/{number}"] for number in range(2)]
    pauses_s = [attempt.comes_back_in_s or 0 for attempt in attempts]

    assert telemetry_run.shop.token_requests_of("busy") == 1
    assert [attempt.state for attempt in attempts] == ["up_for_retry"] * 2
    assert max(pauses_s) == FAR_S
    assert FAR_S / 2 < min(pauses_s) < FAR_S


@pytest.mark.parametrize(
    "task", ["permanent/-1", "wrapped/-1", "of_the_dag/-1", "of_the_dag_mapped/0", "no_retries/-1"]
)
def test_these_tasks_fail_at_their_first_try(telemetry_run: TelemetryRun, task: str) -> None:
    attempt = telemetry_run.attempts[task]
    assert (attempt.state, attempt.tries) == ("failed", 1)


def test_a_task_without_a_policy_retries_as_it_always_did(telemetry_run: TelemetryRun) -> None:
    attempt = telemetry_run.attempts["off/-1"]

    assert (attempt.state, attempt.tries, attempt.comes_back_in_s) == ("failed", 2, None)
    assert len(telemetry_run.shop.asked("throttled/off")) == 2


def test_no_policy_was_broken(telemetry_run: TelemetryRun) -> None:
    logs = "".join(telemetry_run.log(task.partition("/")[0]) for task in telemetry_run.attempts)
    assert "Retry policy decision" in logs
    assert "Retry policy evaluation failed" not in logs
