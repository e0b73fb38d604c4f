"""Page after page: records, what is next, limits, several at once, and where it goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests_mock as mocking

from airflow_oauth_provider.exceptions import (
    ApiRefusedError,
    ResponseFormatError,
    SettingsError,
)
from airflow_oauth_provider.pull.page import Page
from airflow_oauth_provider.pull.pagination import Cursor, Keyset, LinkHeader, NextUrl, Offset
from airflow_oauth_provider.pull.plan import Position
from airflow_oauth_provider.pull.progress import LINE_EVERY_S, Progress
from airflow_oauth_provider.pull.request import PageRequest
from tests.support.clock import Clock
from tests.support.pulls import HUGE, ORDERS, numbered, padded, records_of

Pull = Callable[..., Iterator[Page]]


def offsets(api: mocking.Mocker) -> list[int]:
    return [int(request.qs["offset"][0]) for request in api.request_history]


# Pages ----------------------------------------------------------------------------------------------------------------


def test_a_page_has_records_response_number_request_next_and_total(api: mocking.Mocker, pull: Pull) -> None:
    api.get(ORDERS, json=numbered(5, n="5"))
    first, second, third = pull(pagination=Offset(2, total_path="n"), records="data", params={"sort": "id"})
    assert [page.records for page in (first, second, third)] == [[0, 1], [2, 3], [4]]
    assert [page.number for page in (first, second, third)] == [1, 2, 3]
    assert first.response.json()["data"] == [0, 1]
    assert first.request.params == {"sort": "id", "offset": 0, "limit": 2}
    assert first.next == second.request
    assert third.next is None
    assert first.total == third.total == 5


def test_nothing_is_sent_before_a_page_is_wanted_nor_beyond(api: mocking.Mocker, pull: Pull) -> None:
    api.get(ORDERS, json=numbered(100))
    pages = pull(pagination=Offset(2), records="data")
    assert api.call_count == 0
    next(pages)
    next(pages)
    assert offsets(api) == [0, 2]


@pytest.mark.parametrize(
    ("name", "accept"), [("json", "application/json"), ("csv", "text/csv, */*;q=0.5"), ("raw", "*/*")]
)
def test_each_format_is_asked_for_unless_the_caller_asks(
    api: mocking.Mocker, pull: Pull, name: str, accept: str
) -> None:
    api.get(ORDERS, text="[]" if name == "json" else "")
    list(pull(response_format=name))
    list(pull(response_format=name, headers={"accept": "made/up"}))
    assert [request.headers["Accept"] for request in api.request_history] == [accept, "made/up"]


@pytest.mark.parametrize("status", [204, 200])
@pytest.mark.parametrize("name", ["json", "ndjson", "csv", "xml", "raw"])
def test_an_answer_without_a_body_is_a_page_without_records(
    api: mocking.Mocker, pull: Pull, status: int, name: str
) -> None:
    api.get(ORDERS, content=b"", status_code=status)
    (page,) = pull(response_format=name)
    assert list(page.records) == []


@pytest.mark.parametrize("status", [304, 300])
def test_an_answer_that_is_neither_refused_nor_a_page_is_an_error(api: mocking.Mocker, pull: Pull, status: int) -> None:
    api.get(ORDERS, json=[1], status_code=status)
    with pytest.raises(ResponseFormatError, match=rf"Page 1 \(GET {ORDERS}\): it was answered with {status}"):
        list(pull())


def test_what_a_function_says_reaches_the_api(api: mocking.Mocker, pull: Pull) -> None:
    api.get(ORDERS, [{"json": [1]}, {"json": [2]}, {"json": [3]}])
    answers: list[dict[str, Any] | None] = [
        {"params": {"page": 2}, "headers": {"X-Mine": "2"}, "extra_options": {"timeout": 7}},
        {"params": {"page": 3}},
        None,
    ]
    assert records_of(pull(pagination=lambda _: answers.pop(0), params={"sort": "id"})) == [1, 2, 3]
    first, second, third = api.request_history
    assert (first.qs, second.qs) == ({"sort": ["id"]}, {"sort": ["id"], "page": ["2"]})
    assert (second.headers["X-Mine"], second.timeout) == ("2", 7)
    assert third.qs == {"sort": ["id"], "page": ["3"]}
    assert "X-Mine" not in third.headers


# Streams --------------------------------------------------------------------------------------------------------------


def huge_pages(api: mocking.Mocker) -> None:
    pages = [padded(f'{{"data": [{n}, {n + 1}], "x": "PAD", "next": "?page={n + 2}"}}') for n in (0, 2)]
    pages.append(padded('{"data": [4], "x": "PAD", "next": null}'))
    api.get(ORDERS, [{"content": page} for page in pages])


def test_of_a_streamed_page_the_next_is_known_when_its_records_were_read(api: mocking.Mocker, pull: Pull) -> None:
    huge_pages(api)
    pages = pull(pagination=NextUrl("next"), records="data")
    first = next(pages)
    before = first.next
    assert list(first.records) == [0, 1]
    second = next(pages)
    assert (before, first.next) == (None, second.request)
    assert [list(page.records) for page in pages] == [[4]]
    with pytest.raises(SettingsError, match="read them before the next page"):
        list(second.records)


def test_records_that_nobody_reads_lead_on_all_the_same(api: mocking.Mocker, pull: Pull) -> None:
    huge_pages(api)
    progress = Progress(logging.getLogger("made_up_pull"))
    assert [page.number for page in pull(pagination=NextUrl("next"), records="data", progress=progress)] == [1, 2, 3]
    assert progress.records == 5


def test_the_last_record_of_a_stream_is_a_key(api: mocking.Mocker, pull: Pull) -> None:
    lines = ["".join(f'{{"id": {n}, "x": "{"y" * 100}"}}\n' for n in range(at, at + 500)) for at in (0, 500)]
    api.get(ORDERS, [{"text": text} for text in (*lines, "")])
    got = records_of(pull(pagination=Keyset("id", "after"), response_format="ndjson"))
    assert [record["id"] for record in got] == list(range(1000))
    assert [request.qs for request in api.request_history] == [{}, {"after": ["499"]}, {"after": ["999"]}]


def test_pieces_of_raw_bodies_are_no_records(api: mocking.Mocker, pull: Pull) -> None:
    api.get(ORDERS, [{"content": b"a" * 300_000, "headers": {"Link": "<?p=2>; rel=next"}}, {"content": b"b"}])
    progress = Progress(logging.getLogger("made_up_pull"))
    pages = pull(pagination=LinkHeader(), response_format="raw", progress=progress)
    assert [b"".join(page.records) for page in pages] == [b"a" * 300_000, b"b"]
    assert (progress.pages, progress.records, progress.bytes) == (2, 0, 300_001)


def test_a_pull_of_raw_bodies_says_how_far_it_is(
    api: mocking.Mocker, pull: Pull, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    api.get(ORDERS, [{"content": b"a", "headers": {"Link": "<?p=2>; rel=next"}}, {"content": b"b"}])
    progress = Progress(logging.getLogger("made_up_pull"))
    for page in pull(pagination=LinkHeader(), response_format="raw", progress=progress):
        clock.advance(LINE_EVERY_S)
        assert list(page.records)
    assert [line.partition(" bytes")[0] for line in caplog.messages if line.startswith("So far")] == [
        "So far: 1 pages, 0 records, 1",
        "So far: 2 pages, 0 records, 2",
    ]


def test_a_path_that_cannot_be_looked_up_piece_by_piece_is_looked_up_in_the_whole_of_a_huge_document(
    api: mocking.Mocker, pull: Pull
) -> None:
    pages = ['{"data": [1, 2], "next": ["c"], "x": "PAD"}', '{"data": [3], "next": [], "x": "PAD"}']
    api.get(ORDERS, [{"content": padded(text, HUGE)} for text in pages])
    assert records_of(pull(pagination=Cursor("next[0]", param="cursor"), records="data")) == [1, 2, 3]


# Limits ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "pages"), [(1, 1), (2, 2), (3, 3), (9, 3)])
def test_it_ends_after_max_pages(api: mocking.Mocker, pull: Pull, limit: int, pages: int) -> None:
    api.get(ORDERS, json=numbered(5, n=5))
    assert len(list(pull(pagination=Offset(2, total_path="n"), records="data", max_pages=limit))) == pages
    assert api.call_count == pages


@pytest.mark.parametrize(("limit", "calls"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (99, 3)])
@pytest.mark.parametrize("concurrency", [1, 4])
def test_it_ends_after_max_records_in_the_midst_of_a_page(
    api: mocking.Mocker, pull: Pull, limit: int, calls: int, concurrency: int
) -> None:
    api.get(ORDERS, json=numbered(5, n=5))
    paginator = Offset(2, total_path="n")
    got = records_of(pull(pagination=paginator, records="data", max_records=limit, concurrency=concurrency))
    assert got == list(range(5))[:limit]
    assert api.call_count == calls


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
def test_a_stream_ends_after_max_records_too(api: mocking.Mocker, pull: Pull, limit: int) -> None:
    huge_pages(api)
    assert records_of(pull(pagination=NextUrl("next"), records="data", max_records=limit)) == list(range(5))[:limit]


def test_a_limit_is_told_when_the_api_has_more(
    api: mocking.Mocker, pull: Pull, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "airflow_oauth_provider")
    api.get(ORDERS, json=numbered(4, n=4))
    list(pull(pagination=Offset(2, total_path="n"), records="data", max_pages=2))
    assert "has more" not in caplog.text
    list(pull(pagination=Offset(2, total_path="n"), records="data", max_records=2))
    assert "the API has more" in caplog.text


# Going on -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("huge", [False, True])
@pytest.mark.parametrize("skip", [0, 1, 2])
def test_it_goes_on_where_a_former_try_stopped(api: mocking.Mocker, pull: Pull, skip: int, huge: bool) -> None:
    document = '{"data": [5, 6], "x": "PAD", "next": "?page=4"}'
    last = '{"data": [7, 8], "x": "PAD", "next": null}'
    api.get(ORDERS, [{"content": padded(text, HUGE if huge else 1)} for text in (document, last)])
    start = Position(PageRequest("GET", ORDERS, {"page": 3}), 3, 5, skip)
    pages = pull(pagination=NextUrl("next"), records="data", start=start)
    got = [(page.number, list(page.records)) for page in pages]
    assert got == [(3, [5, 6][skip:]), (4, [7, 8])]
    assert api.request_history[0].qs == {"page": ["3"]}


@pytest.mark.parametrize(("limit", "expected"), [(6, []), (7, [6]), (8, [6, 7]), (9, [6, 7, 8])])
@pytest.mark.parametrize("huge", [False, True])
def test_limits_count_what_former_tries_brought(
    api: mocking.Mocker, pull: Pull, limit: int, expected: list[int], huge: bool
) -> None:
    texts = ('{"data": [5, 6], "x": "PAD", "next": "?page=4"}', '{"data": [7, 8], "x": "PAD"}')
    api.get(ORDERS, [{"content": padded(text, HUGE if huge else 1)} for text in texts])
    start = Position(PageRequest("GET", ORDERS), 3, 5, 1)
    got = records_of(pull(pagination=NextUrl("next"), records="data", start=start, max_records=limit))
    assert got == expected
    assert len(list(pull(pagination=NextUrl("next"), records="data", start=start, max_pages=3))) == 1


def test_a_key_of_a_page_that_was_done_already_leads_on(api: mocking.Mocker, pull: Pull) -> None:
    lines = "".join(f'{{"id": {n}, "x": "{"y" * 100}"}}\n' for n in range(300))
    api.get(ORDERS, [{"text": lines}, {"text": ""}])
    start = Position(PageRequest("GET", ORDERS), 1, 0, 300)
    assert records_of(pull(pagination=Keyset("id", "after"), response_format="ndjson", start=start)) == []
    assert api.request_history[1].qs == {"after": ["299"]}


# Several at once ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("paginator", [Offset(10), Offset(10, total_path="n")], ids=["an empty page", "a total"])
def test_pages_that_are_asked_for_at_once_come_in_order(api: mocking.Mocker, pull: Pull, paginator: Offset) -> None:
    api.get(ORDERS, json=numbered(95, n=95))
    assert records_of(pull(pagination=paginator, records="data", concurrency=4)) == list(range(95))
    asked = sorted(offsets(api))
    assert asked[:10] == list(range(0, 100, 10))
    assert len(asked) == len(set(asked))
    assert paginator.total_path is None or len(asked) == 10


def test_an_api_that_caps_its_pages_loses_no_record(api: mocking.Mocker, pull: Pull) -> None:
    def capped(request: Any, context: Any) -> Any:
        offset = int(request.qs["offset"][0])
        return list(range(20))[offset : offset + 3]

    api.get(ORDERS, json=capped)
    assert records_of(pull(pagination=Offset(10), concurrency=4)) == list(range(20))


def test_max_pages_limits_what_is_sent_ahead(api: mocking.Mocker, pull: Pull) -> None:
    api.get(ORDERS, json=numbered(1000))
    assert records_of(pull(pagination=Offset(10), records="data", concurrency=8, max_pages=3)) == list(range(30))
    assert sorted(offsets(api)) == [0, 10, 20]


def test_an_error_comes_behind_the_pages_before_it(api: mocking.Mocker, pull: Pull) -> None:
    def failing(request: Any, context: Any) -> Any:
        if int(request.qs["offset"][0]) == 30:
            context.status_code = 400
        return numbered(1000)(request, context)

    api.get(ORDERS, json=failing)
    got: list[Any] = []
    with pytest.raises(ApiRefusedError, match="400"):
        got.extend(r for page in pull(pagination=Offset(10), records="data", concurrency=4) for r in page.records)
    assert got == list(range(30))
    assert max(offsets(api)) <= 60
