"""Connections, variables and the token, as a task, a trigger, the API server and the CLI see them."""

from __future__ import annotations

import pytest

from tests.system.access.run import AccessRun

PLACES = ("task", "trigger", "api_server", "cli")


@pytest.mark.parametrize("place", PLACES)
def test_connections_and_variables_are_the_same_from_everywhere(access_run: AccessRun, place: str) -> None:
    look = access_run.looks[place]
    supervised = place in {"task", "trigger"}
    client = access_run.server.client
    assert look["supervised"] is supervised
    assert look["stored"] == ["oauth2", client.client_id, client.scope]
    assert look["environment"] == "https://made-up.example/token"
    assert look["missing variable"] is None
    assert look["variable"] == f"by {place}"
    assert look["other variable"] == "made up"
    # Whoever has no supervisor can list; the connection in the environment is not among them.
    assert look["ids"] == (None if supervised else ["shop", "shop_0", "shop_1", "shop_2"])


@pytest.mark.parametrize("place", PLACES)
def test_a_connection_that_is_missing_is_named(access_run: AccessRun, place: str) -> None:
    kind, message = access_run.looks[place]["missing connection"]
    assert kind == "AirflowNotFoundException"
    assert "nobody_made_this" in message


def test_task_trigger_api_server_and_cli_share_one_token(access_run: AccessRun) -> None:
    seen = [(access_run.looks[place]["token"], access_run.looks[place]["store"]) for place in PLACES]
    assert seen == [("Bearer", "variable://")] * 4
    assert access_run.server.ledger.counts()["token_requests"] == sum(access_run.token_requests) + 1


def test_threads_of_a_task_get_the_answers_to_their_own_questions(access_run: AccessRun) -> None:
    assert access_run.crossed == []


def test_what_a_task_or_a_trigger_logs_of_a_connection_is_masked(access_run: AccessRun) -> None:
    logged = access_run.logged()
    for place in ("task", "trigger"):
        assert any(f"careless in the {place}: ***" in line for line in logged)
    # Airflow masks neither the output of its servers nor the copy of a task's log in the scheduler's.
    output = [line for line in access_run.output() if "careless in the" not in line]
    assert len(access_run.output()) > len(output) > 0
    assert [line for line in logged + output if any(secret in line for secret in access_run.secrets())] == []
