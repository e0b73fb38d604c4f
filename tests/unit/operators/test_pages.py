"""Small paginated results in XCom: all pages, their size looked at while they come."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests_mock as mocking
from airflow.providers.common.compat.sdk import DAG

from airflow_oauth_provider.exceptions import ResponseCheckError, SettingsError, XComTooLargeError
from airflow_oauth_provider.operators.http import OAuth2HttpOperator
from airflow_oauth_provider.pull.pagination import Function, LinkHeader, PageNumber
from tests.support.clock import Clock
from tests.support.operator_runs import Run, TaskInstance
from tests.support.pulls import ORDERS, PAGED, calls, numbered, padded, small_limits


@pytest.fixture
def api(api: mocking.Mocker, clock: Clock) -> mocking.Mocker:
    """Let pauses pass at once."""
    clock.skip_pauses()
    return api


@pytest.mark.parametrize("concurrency", [1, 4])
def test_the_records_of_all_pages_are_the_xcom_value(api: mocking.Mocker, concurrency: int) -> None:
    assert Run(**PAGED, concurrency=concurrency)() == list(range(25))


@pytest.mark.parametrize(
    ("parameters", "value"),
    [
        ({"records": "data"}, [0, 1, 2]),
        ({"max_pages": 1}, [{"data": [0, 1, 2]}]),
        ({"records": "data", "max_records": 2}, [0, 1]),
        ({"records": "data[?@ > `0`]"}, [1, 2]),
        ({}, {"data": [0, 1, 2]}),
    ],
)
def test_any_parameter_of_a_pull_makes_it_one(api: mocking.Mocker, parameters: Any, value: Any) -> None:
    api.get(ORDERS, json={"data": [0, 1, 2]}, headers={"Content-Type": "application/json"})
    assert Run(**parameters)() == value


def test_limits_are_obeyed(api: mocking.Mocker) -> None:
    assert Run(**PAGED, max_pages=2)() == list(range(20))
    assert Run(**PAGED, max_records="7")() == list(range(7))


def test_no_records_are_an_empty_list(api: mocking.Mocker) -> None:
    api.get(ORDERS, json={"data": []})
    assert Run(**PAGED)() == []


def test_a_huge_document_is_streamed(api: mocking.Mocker, monkeypatch: pytest.MonkeyPatch) -> None:
    small_limits(monkeypatch)
    api.get(ORDERS, content=padded('{"x": "PAD", "data": [1, 2]}'))
    assert Run(records="data", max_xcom_bytes=6)() == [1, 2]


def test_request_info_counts_pages_records_and_attempts(api: mocking.Mocker) -> None:
    api.get(ORDERS, [{"json": {"data": [1, 2]}}, {"status_code": 503}, {"json": {"data": []}}])
    run = Run(**PAGED)
    run()
    info = run.ti.pushed["request_info"]
    assert info == {
        "status": 200, "elapsed_s": pytest.approx(0, abs=60), "bytes": 28, "attempts": 3, "pages": 2, "records": 2,
    }  # fmt: skip
    assert json.loads(json.dumps(info)) == info


# Size -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pages", [[[]], [["x" * 50]], [["é"], [1.5, None]], [[{"a": 1}], [{"b": [2]}], [{"c": "d"}]], [[1], [], [2]]]
)
def test_the_limit_is_the_size_of_the_json_to_the_byte(api: mocking.Mocker, pages: list[list[Any]]) -> None:
    value = [record for page in pages for record in page]
    size = len(json.dumps(value).encode())

    def answers() -> None:
        linked = [{"json": page, "headers": {"Link": f"<?p={number}>; rel=next"}} for number, page in enumerate(pages)]
        api.get(ORDERS, [*linked[:-1], {"json": pages[-1]}])

    answers()
    assert Run(pagination=LinkHeader(), max_xcom_bytes=size)() == value
    answers()
    if value:
        with pytest.raises(XComTooLargeError, match=f"more than max_xcom_bytes={size - 1}"):
            Run(pagination=LinkHeader(), max_xcom_bytes=size - 1)()


def test_too_much_ends_the_pull_while_pages_come(api: mocking.Mocker) -> None:
    api.get(ORDERS, json=numbered(100_000))
    run = Run(**PAGED, max_xcom_bytes=100)
    with pytest.raises(XComTooLargeError, match=r"at least [\d,]+ bytes .*use a transfer"):
        run()
    assert len(calls(api)) == 3
    assert run.ti.pushed == {}


def test_too_much_in_one_huge_page_ends_it_before_it_is_in_memory(
    api: mocking.Mocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_limits(monkeypatch)
    read: list[Any] = []

    def reading(value: Any) -> Any:
        read.append(value)
        return value

    monkeypatch.setattr("airflow_oauth_provider.pull.huge._with_floats", reading)
    api.get(ORDERS, json=list(range(100_000)))
    with pytest.raises(XComTooLargeError):
        Run(max_pages=1, max_xcom_bytes=1000)()
    assert len(read) < 3000


def test_without_xcom_nothing_is_pushed_and_no_size_is_checked(api: mocking.Mocker) -> None:
    run = Run(**PAGED, do_xcom_push=False, max_xcom_bytes=1)
    assert run() == list(range(25))
    assert run.ti.pushed == {}
    assert Run(**PAGED, max_xcom_bytes=None)() == list(range(25))


# With what else the operator can do -----------------------------------------------------------------------------------


def test_every_page_is_checked(api: mocking.Mocker) -> None:
    seen: list[int] = []

    def check(response: Any, run_id: str) -> bool:
        seen.append(len(response.json()["data"]))
        return run_id == "run-1" and len(response.json()["data"]) > 5

    run = Run(**PAGED, response_check=check)
    with pytest.raises(ResponseCheckError, match=r"response_check returned false for GET .*/orders \(200\)"):
        run()
    assert seen == [10, 10, 5]
    assert run.ti.pushed == {}


def test_every_page_is_logged_on_demand(
    api: mocking.Mocker, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    small_limits(monkeypatch)
    Run(**PAGED, log_response=True)()
    assert [line for line in log.messages if "Body:" in line][2] == 'Body: {"data": [20, 21, 22, 23, 24]}'
    api.get(ORDERS, content=padded('{"x": "PAD", "data": [1]}'))
    Run(records="data", log_response=True)()
    assert "Body: (a large body, which was streamed)" in log.text


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"pagination": {"kind": "curser"}}, "pagination: the kind 'curser'"),
        ({"records": "a["}, "records: "),
        ({"max_pages": 0}, "max_pages is '0'"),
        ({"max_records": "many"}, "max_records is 'many'"),
        ({"concurrency": 2}, "concurrency needs pagination"),
        ({"concurrency": 0}, "concurrency is '0'"),
        ({"concurrency": 33, "pagination": PageNumber()}, "concurrency is 33"),
        ({"records": "data", "response_filter": len}, "response_filter takes one response, not pages"),
        ({"records": "{{ x }}", "response_filter": len}, "response_filter takes one response, not pages"),
        ({"pagination": LinkHeader(), "json": {}, "data": {}}, "json and data are both given"),
    ],
)
def test_what_cannot_be_right_fails_in_the_constructor(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        Run(**wrong)


def test_what_comes_with_the_run_is_looked_at_then(api: mocking.Mocker) -> None:
    run = Run(max_pages="{{ pages }}", records="data")
    run.operator.max_pages = "0"  # type: ignore[assignment]
    with pytest.raises(SettingsError, match="max_pages is '0'"):
        run()
    assert api.call_count == 0


def test_the_parameters_of_a_pull_are_templated(api: mocking.Mocker) -> None:
    with DAG("made_up", schedule=None) as dag:
        operator = OAuth2HttpOperator(
            task_id="orders",
            oauth2_conn_id="shop",
            endpoint="orders",
            pagination={"kind": "offset", "limit": "{{ 5 * 2 }}"},
            records="{{ 'data' }}",
            max_pages="{{ 2 }}",  # type: ignore[arg-type]
            max_records="{{ 15 }}",  # type: ignore[arg-type]
        )
        other = OAuth2HttpOperator(task_id="other", pagination=next_page)
    context: Any = {"ti": TaskInstance(), "dag": dag}
    operator.render_template_fields(context)
    other.render_template_fields(context)
    assert operator.execute(context) == list(range(15))
    assert other.pagination == Function(next_page)


def next_page(response: Any) -> None:
    return None
