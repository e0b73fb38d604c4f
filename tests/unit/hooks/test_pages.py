"""``hook.pages`` and ``hook.records``: what they take, and what they do before and while pages come."""

from __future__ import annotations

import inspect
import logging
from decimal import Decimal
from typing import Any

import pytest
import requests
import requests_mock as mocking
import tenacity

from airflow_oauth_provider.exceptions import ApiUnavailableError, SettingsError
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.pull.pagination import LinkHeader, Offset, PageNumber
from airflow_oauth_provider.pull.plan import Position
from airflow_oauth_provider.pull.progress import Progress
from airflow_oauth_provider.pull.request import PageRequest
from tests.support.clock import Clock
from tests.support.made_up import API_URL
from tests.support.pulls import ORDERS, calls, mocked_shop, numbered, records_of


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, requests_mock: mocking.Mocker, clock: Clock) -> mocking.Mocker:
    clock.skip_pauses()
    mocked_shop(monkeypatch, requests_mock)
    return requests_mock


@pytest.fixture
def hook(api: mocking.Mocker) -> OAuth2Hook:
    return OAuth2Hook("shop")


def test_pages_and_records_of_one_answer(api: mocking.Mocker, hook: OAuth2Hook) -> None:
    api.get(ORDERS, json={"data": [{"id": 1}, {"id": 2}]})
    (page,) = hook.pages("orders", records="data")
    assert page.records == [{"id": 1}, {"id": 2}]
    assert isinstance(page.response, requests.Response)
    assert (page.number, page.next, page.total) == (1, None, None)
    assert list(hook.records("orders", records="data")) == page.records
    assert list(hook.records("orders")) == [{"data": page.records}]
    assert hook.request("GET", "orders").json() == page.response.json()


def test_every_page_comes_with_the_token(api: mocking.Mocker, hook: OAuth2Hook) -> None:
    api.get(ORDERS, json=numbered(5))
    assert list(hook.records("orders", pagination=Offset(2), records="data")) == [0, 1, 2, 3, 4]
    assert {request.headers["Authorization"] for request in calls(api)} == {"Bearer made-up-access-token"}
    assert len(calls(api)) == 4


def test_the_request_is_sent_as_told(api: mocking.Mocker, hook: OAuth2Hook) -> None:
    api.post(ORDERS, json=[])
    list(hook.pages("orders", method="post", params={"a": "b"}, json={"c": 1}, headers={"X-Mine": "1"}))
    list(hook.pages(ORDERS, method="POST", data={"d": "e f"}))
    first, second = calls(api)
    assert (first.qs, first.json(), first.headers["X-Mine"]) == ({"a": ["b"]}, {"c": 1}, "1")
    assert second.text == "d=e+f"
    api.get(API_URL, json=[1])
    assert list(hook.records()) == [1]


def test_formats_and_numbers_are_read_as_told(api: mocking.Mocker, hook: OAuth2Hook) -> None:
    api.get(ORDERS, text="a;b\n1;2\n")
    assert list(hook.records("orders", response_format="csv", csv_options={"delimiter": ";"})) == [{"a": "1", "b": "2"}]
    api.get(ORDERS, text="[1.10]")
    assert [str(value) for value in hook.records("orders", use_decimal=True)] == ["1.10"]
    assert list(hook.records("orders", use_decimal=True)) == [Decimal("1.10")]
    assert [type(value) for value in hook.records("orders")] == [float]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"pagination": {"kind": "curser"}}, "pagination"),
        ({"records": "a["}, "records"),
        ({"response_format": "yaml"}, "response_format"),
        ({"csv_options": {"delimiter": ";"}}, "csv_options"),
        ({"max_pages": 0}, "max_pages"),
        ({"max_records": -1}, "max_records"),
        ({"concurrency": 33, "pagination": PageNumber()}, "concurrency"),
        ({"concurrency": 2, "pagination": LinkHeader()}, "concurrency"),
        ({"json": {}, "data": {}}, "json and data"),
        ({"pagination": PageNumber(), "params": "a=b"}, "query"),
        ({"pagination": PageNumber(in_body=True), "json": [1]}, "json must be an object"),
    ],
)
def test_what_cannot_be_right_fails_at_once(
    api: mocking.Mocker, hook: OAuth2Hook, wrong: dict[str, Any], named: str
) -> None:
    for pull in (hook.pages, hook.records):
        with pytest.raises(SettingsError, match=named):
            pull("orders", **wrong)
    assert api.call_count == 0


def test_nothing_is_sent_before_a_page_is_wanted(api: mocking.Mocker, hook: OAuth2Hook) -> None:
    hook.pages("orders")
    hook.records("orders")
    assert api.call_count == 0


def test_it_goes_on_where_it_is_told_to(api: mocking.Mocker, hook: OAuth2Hook) -> None:
    api.get(ORDERS, json=numbered(5))
    start = Position(PageRequest("GET", "orders", {"offset": 2, "limit": 2}), 2, 2, 1)
    pages = hook.pages("orders", pagination=Offset(2), records="data", start=start)
    assert [(page.number, page.records) for page in pages] == [(2, [3]), (3, [4]), (4, [])]


@pytest.mark.parametrize("concurrency", [1, 4])
def test_limits_are_obeyed(api: mocking.Mocker, hook: OAuth2Hook, concurrency: int) -> None:
    api.get(ORDERS, json=numbered(100))
    options: dict[str, Any] = {"pagination": Offset(10), "records": "data", "concurrency": concurrency}
    assert list(hook.records("orders", **options, max_records=25)) == list(range(25))
    assert len(list(hook.pages("orders", **options, max_pages=3))) == 3
    assert list(hook.records("orders", **options)) == list(range(100))


def test_repetitions_are_as_told(api: mocking.Mocker, hook: OAuth2Hook) -> None:
    api.get(ORDERS, status_code=503)
    api.post(ORDERS, status_code=503)
    for options, attempts in (
        ({}, 5),
        ({"retry_args": {"stop": tenacity.stop_after_attempt(2)}}, 2),
        ({"method": "POST"}, 1),
        ({"method": "POST", "idempotent": True}, 5),
        ({"idempotent": False}, 1),
    ):
        before = len(calls(api))
        with pytest.raises(ApiUnavailableError):
            list(hook.pages("orders", **options))
        assert len(calls(api)) - before == attempts


def test_the_hook_says_how_far_it_is_unless_somebody_else_counts(
    api: mocking.Mocker, hook: OAuth2Hook, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(OAuth2Hook, "log", logging.getLogger("made_up_hook"))
    caplog.set_level(logging.INFO)
    api.get(ORDERS, json=[1, 2])
    list(hook.pages("orders"))
    assert "Done: 1 pages, 2 records" in "".join(r.getMessage() for r in caplog.records if r.name == "made_up_hook")
    caplog.clear()
    progress = Progress(logging.getLogger("made_up_counter"))
    records_of(hook.pages("orders", progress=progress))
    assert (progress.pages, progress.records, progress.bytes) == (1, 2, 6)
    assert [r.name for r in caplog.records if r.getMessage().startswith("Done")] == ["made_up_counter"]


def test_one_hook_can_pull_several_at_once(api: mocking.Mocker, hook: OAuth2Hook) -> None:
    api.get(ORDERS, json=numbered(6))
    first, second = (hook.records("orders", pagination=Offset(2), records="data") for _ in range(2))
    assert [value for pair in zip(first, second, strict=True) for value in pair] == [
        value for number in range(6) for value in (number, number)
    ]


def test_all_but_the_endpoint_is_named() -> None:
    parameters = list(inspect.signature(OAuth2Hook.pages).parameters.values())[2:]
    assert {parameter.kind for parameter in parameters} == {inspect.Parameter.KEYWORD_ONLY}
