"""The parameters that all transfers share: what is templated, and what fails in the constructor or when rendered."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, Asset

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.pull.pagination import Function, Offset, PageNumber
from airflow_oauth_provider.transfers.base import PULL_TEMPLATE_FIELDS, RENDERERS, OAuth2TransferOperator
from tests.support.transfer_runs import ListTransfer, try_of

ORDERS = Asset("s3://bucket/orders")
WATERMARK = {"watermark": "at", "watermark_param": "since", "outlets": [ORDERS]}
INTERVAL = {"interval_params": {"since": "start"}}

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"pagination": {"kind": "curser"}}, "pagination: the kind 'curser'"),
    ({"pagination": 5}, "pagination: "),
    ({"records": "a["}, r"records: 'a\['"),
    ({"records": ""}, "records: "),
    ({"response_format": "yaml"}, "response_format: 'yaml'"),
    ({"csv_options": {"delimiter": ";"}}, "csv_options are given"),
    ({"max_pages": 0}, "max_pages is '0'"),
    ({"max_records": "many"}, "max_records is 'many'"),
    ({"concurrency": 2}, "concurrency needs pagination"),
    ({"concurrency": 33, "pagination": PageNumber()}, "concurrency is 33"),
    ({"json": {}, "data": {}}, "json and data are both given"),
    ({"use_decimal": "false"}, "use_decimal must be True or False"),
    ({"resume": None}, "resume must be True or False"),
    ({"method": None}, "method must be a text"),
    ({"method": 5}, "method must be a text"),
    ({"endpoint": 5}, "endpoint must be a text"),
    ({"endpoint": ["orders"]}, "endpoint must be a text"),
    ({"headers": ["X-Mine"]}, "headers must be a dict"),
    ({"headers": "X-Mine: 1"}, "headers must be a dict"),
    ({"interval_params": {"since": "begin"}}, "interval_params: since is 'begin'"),
    ({"interval_params": ["since"]}, "interval_params must be a dict"),
    ({**INTERVAL, "interval_format": "iso8601"}, "interval_format is 'iso8601'"),
    ({"interval_lookback": -1}, "interval_lookback is '-1'"),
    ({"interval_lookback": "a day"}, "interval_lookback is 'a day'"),
    ({**WATERMARK, **INTERVAL}, "watermark and interval_params are both given"),
    ({**WATERMARK, "watermark_param": None}, "watermark and watermark_param belong together"),
    ({**WATERMARK, "watermark": None}, "watermark and watermark_param belong together"),
    ({**WATERMARK, "watermark": "at["}, r"watermark: 'at\['"),
    ({**WATERMARK, "outlets": []}, "watermark needs exactly one Asset in outlets"),
    ({**WATERMARK, "response_format": "raw"}, "watermark: raw bodies have no records"),
]


@pytest.mark.parametrize(("wrong", "why"), WRONG)
def test_what_cannot_be_right_fails_in_the_constructor(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        ListTransfer(**wrong)


@pytest.mark.parametrize(
    "right",
    [
        {},
        {"pagination": {"kind": "offset", "limit": "100"}, "concurrency": 8, "records": "data"},
        {"json": {}, "method": "POST", "idempotent": True},
        {"endpoint": None, "headers": {"X-Mine": "1"}, "resume": False, "use_decimal": True},
        {"method": "{{ method }}", "endpoint": "{{ endpoint }}", "headers": "{{ headers }}"},
        {"response_format": "csv", "csv_options": {"delimiter": ";"}},
        {**INTERVAL, "interval_format": "%Y-%m-%d", "interval_lookback": timedelta(days=1)},
        WATERMARK,
    ],
)
def test_what_can_be_right_does_not(right: dict[str, Any]) -> None:
    ListTransfer(**right)


@pytest.mark.parametrize(
    ("templated", "wrong", "why"),
    [
        ({"max_pages": "{{ pages }}"}, {"max_pages": "0"}, "max_pages is '0'"),
        ({"records": "{{ where }}"}, {"records": "a["}, "records: "),
        (
            {"pagination": {"kind": "offset", "limit": "{{ n }}"}},
            {"pagination": {"kind": "offset", "limit": ""}},
            "limit",
        ),
        ({"headers": "{{ headers }}"}, {"headers": "X-Mine"}, "headers must be a dict"),
        ({"endpoint": "{{ where }}"}, {"endpoint": 5}, "endpoint must be a text"),
        ({"pagination": {"kind": "{{ kind }}"}}, {"pagination": {"kind": "nope"}}, "the kind 'nope'"),
        (
            {"interval_params": {"since": "{{ edge }}"}},
            {"interval_params": {"since": "x"}},
            "interval_params: since is 'x'",
        ),
        ({"interval_params": "{{ params.interval }}"}, {"interval_params": "x"}, "interval_params must be a dict"),
    ],
)
def test_what_comes_with_the_run_is_looked_at_then_before_anything_is_opened(
    templated: dict[str, Any], wrong: dict[str, Any], why: str
) -> None:
    transfer = ListTransfer(**templated)
    for name, value in wrong.items():
        setattr(transfer, name, value)
    with pytest.raises(SettingsError, match=why):
        transfer.execute(try_of(1))
    assert transfer.events == []


def test_all_that_a_dag_author_would_template_is_templated() -> None:
    given: dict[str, Any] = {
        "oauth2_conn_id": "{{ 'shop' }}",
        "endpoint": "orders/{{ ds }}",
        "method": "{{ 'POST' }}",
        "query": {"day": "{{ ds }}"},
        "json": {"list": ["{{ ds }}"], "number": 1},
        "headers": {"X-Day": "{{ ds }}"},
        "pagination": {"kind": "offset", "limit": "{{ 50 * 2 }}"},
        "records": "{{ 'data' }}.items",
        "max_pages": "{{ 5 }}",
        "max_records": "{{ 7 }}",
        "interval_params": {"since": "{{ 'start' }}"},
    }
    with DAG("made_up", schedule=None) as dag:
        transfer = ListTransfer(**given)
    assert {*given, "data"} == set(PULL_TEMPLATE_FIELDS) == set(transfer.template_fields)
    assert set(RENDERERS) <= set(PULL_TEMPLATE_FIELDS)
    transfer.render_template_fields(try_of(1, ds="2026-01-02", dag=dag))
    assert {name: getattr(transfer, name) for name in given} == {
        "oauth2_conn_id": "shop",
        "endpoint": "orders/2026-01-02",
        "method": "POST",
        "query": {"day": "2026-01-02"},
        "json": {"list": ["2026-01-02"], "number": 1},
        "headers": {"X-Day": "2026-01-02"},
        "pagination": {"kind": "offset", "limit": "100"},
        "records": "data.items",
        "max_pages": "5",
        "max_records": "7",
        "interval_params": {"since": "start"},
    }
    transfer._check_pull(templated=True)


def next_page(response: Any) -> None:
    return None


@pytest.mark.parametrize("pagination", [next_page, Offset(5), None])
def test_a_paginator_goes_through_rendering_as_it_is(pagination: Any) -> None:
    with DAG("made_up", schedule=None) as dag:
        transfer = ListTransfer(pagination=pagination)
    transfer.render_template_fields(try_of(1, dag=dag))
    assert transfer.pagination == (Function(next_page) if pagination is next_page else pagination)


def test_partial_and_expand_map_over_what_is_asked_for() -> None:
    with DAG("made_up", schedule=None):
        mapped = ListTransfer.partial(task_id="orders", pagination={"kind": "page_number"}).expand(
            endpoint=["orders/1", "orders/2"]
        )
    made: Any = mapped.unmap({"endpoint": "orders/1"})
    assert (made.endpoint, made.pagination) == ("orders/1", {"kind": "page_number"})


def test_all_parameters_are_keyword_only_and_making_one_reads_no_connection() -> None:
    parameters = inspect.signature(OAuth2TransferOperator.__init__).parameters
    kinds = {parameter.kind for name, parameter in parameters.items() if name != "self"}
    assert kinds == {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD}
    assert "made-up-key" not in repr(ListTransfer(oauth2_conn_id="missing", headers={"X-Key": "made-up-key"}))


def test_a_transfer_says_where_its_records_go() -> None:
    transfer = OAuth2TransferOperator(task_id="orders")
    for missing in (transfer.destination_identity, lambda: transfer.open_sink(try_of(1), None)):  # type: ignore[arg-type]
        with pytest.raises(NotImplementedError):
            missing()


@pytest.mark.parametrize("use_decimal", [True, False])
def test_the_pull_is_planned_as_told(use_decimal: bool) -> None:
    told: dict[str, Any] = {
        "pagination": Offset(5),
        "records": "data",
        "response_format": "json",
        "csv_options": None,
        "max_pages": 5,
        "max_records": 7,
        "concurrency": 4,
        "use_decimal": use_decimal,
    }
    assert ListTransfer(**told).plan_parameters() == told
    ListTransfer().on_kill()  # before anything began
