"""What the transfer into a table refuses in its constructor, and what has to wait for the run."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, BaseOperator

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.transfers.sql import OAuth2HttpToSqlOperator
from tests.support.sql_runs import Transfer

UPSERT: dict[str, Any] = {"mode": "upsert", "key_columns": ["id"]}


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"table": ""}, "table: '' is not a name"),
        ({"table": None}, "table: 'None' is not a name"),
        ({"checkpoint_table": "a."}, "checkpoint_table: 'a.' is not a name"),
        ({"columns": []}, "columns must be a list of names, or a dict"),
        ({"columns": "id,name"}, "columns must be a list of names, or a dict"),
        ({"columns": {"id": "a["}}, "columns['id']: 'a[' is not a JMESPath"),
        ({"columns": ["id", "id"]}, "columns: 'id' is named twice"),
        ({"mode": "insert"}, "mode: 'insert' is none of append, replace, upsert"),
        ({"mode": "upsert"}, "key_columns must be a list of columns"),
        ({"mode": "upsert", "key_columns": []}, "key_columns must be a list of columns"),
        ({"mode": "upsert", "key_columns": "id"}, "key_columns must be a list of columns"),
        ({"mode": "upsert", "key_columns": ["id", "id"]}, "key_columns must be a list of columns, each once"),
        ({"mode": "upsert", "key_columns": ["nr"]}, "key_columns: 'nr' is none of the columns"),
        ({"key_columns": ["id"]}, "key_columns: mode is 'append', and only 'upsert' goes by keys"),
        ({"mode": "replace", "key_columns": ["id"]}, "key_columns: mode is 'replace'"),
        ({"mode": "replace", "commit_every": 10}, "commit_every: mode='replace' would lose the old rows"),
        ({"commit_every": 0}, "commit_every is '0', not a whole number"),
        ({"commit_every": True}, "commit_every is 'True', not a whole number"),
        ({"commit_every": "many"}, "commit_every is 'many', not a whole number"),
        ({"batch_size": 0}, "batch_size is '0', not a whole number"),
        ({"hook_params": "schema=shop"}, "hook_params must be a dict"),
        ({"batch_size": None}, "batch_size is 'None', not a whole number"),
        ({"response_format": "raw"}, "response_format='raw': bodies as they are have no records"),
        ({"json": {}, "data": {}}, "json and data are both given"),
    ],
)
def test_what_cannot_be_right_fails_in_the_constructor(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Transfer(**parameters).operator()
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "parameters",
    [
        {"table": "{{ params.table }}"},
        {"table": "orders_{{ ds_nodash }}"},
        {"columns": "{{ params.columns }}"},
        {"columns": {"id": "{{ params.path }}"}},
        {"columns": ["{{ params.column }}"], **UPSERT},
        {"mode": "{% if params.full %}replace{% else %}append{% endif %}", "commit_every": 10},
        {"mode": "{{ params.mode }}", "key_columns": ["id"]},
        {"mode": "upsert", "key_columns": "{{ params.keys }}"},
        {"commit_every": "{{ params.rows }}", "batch_size": "{{ params.rows }}"},
        {"checkpoint_table": "{{ params.schema }}.checkpoints"},
    ],
)
def test_templates_are_looked_at_when_they_are_rendered(parameters: dict[str, Any]) -> None:
    operator = Transfer(**parameters).operator()
    if parameters.get("mode", "append") == "append":
        with pytest.raises(SettingsError):
            Transfer(**{**parameters, "mode": "no such mode"}).operator()
    assert operator.mode == parameters.get("mode", "append")


def test_the_result_of_another_task_is_looked_at_when_it_is_there() -> None:
    with DAG("shop", schedule=None):
        before = BaseOperator(task_id="before")
        output: Any = before.output
        operator = OAuth2HttpToSqlOperator(
            task_id="rows", destination_conn_id="warehouse", table=output["table"], columns=output
        )
    assert operator.upstream_task_ids == {"before"}


def test_what_a_template_rendered_to_is_checked_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_SHOP", raising=False)
    operator = Transfer(mode="{{ mode }}", key_columns="{{ keys }}").operator()
    context: Any = {"mode": "replace", "keys": ["id"]}
    operator.render_template_fields(context)
    with pytest.raises(SettingsError, match=r"^key_columns: mode is 'replace'"):
        operator.execute(context)


@pytest.mark.parametrize(
    "name",
    ["destination_conn_id", "table", "columns", "mode", "key_columns", "commit_every", "checkpoint_table", "endpoint"],
)
def test_what_differs_from_run_to_run_can_be_a_template(name: str) -> None:
    assert name in OAuth2HttpToSqlOperator.template_fields


def test_a_retry_goes_on_only_with_the_same_rows_in_the_same_table() -> None:
    first = Transfer().operator().destination_identity()
    assert first == Transfer(batch_size=5, commit_every=5).operator().destination_identity()
    for other in ({"table": "t"}, {"columns": ["id"]}, {"destination_conn_id": "x"}, UPSERT, {"hook_params": {"a": 1}}):
        assert first != Transfer(**other).operator().destination_identity()
