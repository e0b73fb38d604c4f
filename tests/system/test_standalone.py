"""A real Airflow with LocalExecutor: every task in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from demo.run import PAGINATED_PULL, RESULTS
from tests.system.expected import assert_a_day_was_pulled, expected_xcoms
from tests.system.sweep import files, rows, search

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.running import SystemRun


def test_24_mapped_tasks_share_one_token_request(system_run: SystemRun) -> None:
    tasks = system_run.task_instances("shop_mapped_tasks")

    assert [task["state"] for task in tasks] == ["success"] * 24
    assert [task["try_number"] for task in tasks] == [1] * 24
    assert len({task["pid"] for task in tasks}) == 24
    assert system_run.token_requests_of_mapped_tasks == 1


def test_all_dags_of_one_connection_share_one_token(system_run: SystemRun) -> None:
    assert len(system_run.server.ledger.issued()) == 1


@pytest.mark.parametrize("dag_id", RESULTS)
def test_an_example_dag_leaves_what_the_api_answered_in_xcom(system_run: SystemRun, dag_id: str) -> None:
    day = system_run.interval_start(dag_id)[:10]

    assert system_run.states[dag_id] == "success"
    assert system_run.xcoms(dag_id) == expected_xcoms(day)[dag_id]


def test_a_paginated_pull_delivers_the_records_of_its_data_interval(system_run: SystemRun) -> None:
    assert system_run.states[PAGINATED_PULL] == "success"
    assert_a_day_was_pulled(system_run.destinations, system_run.interval_start(PAGINATED_PULL))


def test_a_wrong_secret_fails_the_task_without_a_retry_and_says_what_to_do(system_run: SystemRun) -> None:
    (task,) = system_run.task_instances("wrong_secret")
    (error,) = system_run.task_errors("wrong_secret", "status")

    assert (task["state"], task["try_number"], task["max_tries"]) == ("failed", 1, 2)
    assert "invalid_client" in error
    assert "Client secret" in error
    assert "\n" not in error


def test_a_returned_token_fails_the_task_instead_of_landing_in_xcom(system_run: SystemRun) -> None:
    states = {task["task_id"]: task["state"] for task in system_run.task_instances("careless")}

    assert states == {"returns_token": "failed", "shows_token": "success", "raises_with_token": "failed"}


@pytest.mark.parametrize(
    ("task_id", "said"),
    [("shows_token", "print"), ("shows_token", "log"), ("raises_with_token", "raise")],
)
def test_a_token_that_a_task_shows_is_masked_in_its_log(system_run: SystemRun, task_id: str, said: str) -> None:
    assert f"careless {said}: ***" in system_run.task_log("careless", task_id)


def test_the_stored_tokens_are_closed_to_other_users(system_run: SystemRun) -> None:
    store = system_run.airflow.home / "oauth2_tokens"
    stored = [path for path in store.rglob("*") if path.is_file()]
    folders = [path for path in store.rglob("*") if path.is_dir()]

    assert stored
    assert {permissions(path) for path in stored} == {0o600}
    assert {permissions(path) for path in folders} == {0o700}


def test_no_secret_and_no_token_lies_anywhere_in_clear(system_run: SystemRun) -> None:
    home = system_run.airflow.home
    searched = [name for name, _ in files(home, {})]
    tables = {place.split(",")[0].removeprefix("table ") for place, _ in rows(home / "airflow.db")}

    # The search has seen what it is about: logs of tasks and components, the store, tables with values.
    assert sum(name.endswith(".log") for name in searched) > 24
    assert "standalone.log" in searched
    assert any(name.startswith("oauth2_tokens/") for name in searched)
    assert {"connection", "xcom", "rendered_task_instance_fields", "log", "task_instance"} <= tables
    # Airflow's LocalExecutor copies what a task prints to the scheduler's output, and does not mask that copy:
    # what the careless Dag says on purpose is left out there, and only there.
    assert search(home, system_run.secrets(), passing_over={"standalone.log": b"careless"}) == []


def permissions(path: Path) -> int:
    return path.stat().st_mode & 0o777
