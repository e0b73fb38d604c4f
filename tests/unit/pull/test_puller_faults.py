"""What goes wrong names its page; and what is said when a pull ends."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests_mock as mocking

from airflow_oauth_provider.exceptions import (
    ApiUnavailableError,
    OAuth2Error,
    PaginationLoopError,
    PermanentError,
    ResponseFormatError,
    TransientError,
)
from airflow_oauth_provider.http.pace import Stopped
from airflow_oauth_provider.pull.page import Page
from airflow_oauth_provider.pull.pagination import Cursor, Keyset, LinkHeader, NextUrl, Offset, PageNumber
from airflow_oauth_provider.pull.progress import Progress
from airflow_oauth_provider.pull.request import PageRequest
from tests.support.made_up import SECRET
from tests.support.pulls import ORDERS, numbered, padded, records_of

Pull = Callable[..., Iterator[Page]]


# Loops ----------------------------------------------------------------------------------------------------------------


def test_a_circle_names_its_page_and_is_permanent(api: mocking.Mocker, pull: Pull) -> None:
    api.get(
        ORDERS, [{"json": [n], "headers": {"Link": f"<?p={p}>; rel=next"}} for n, p in ((1, "a"), (2, "b"), (3, "a"))]
    )
    got: list[Any] = []
    with pytest.raises(PaginationLoopError, match=rf"Page 4 \(GET {ORDERS}\): .* circle") as caught:
        got.extend(record for page in pull(pagination=LinkHeader()) for record in page.records)
    assert got == [1, 2, 3]
    assert isinstance(caught.value, PermanentError)
    assert api.call_count == 3


@pytest.mark.parametrize("paginator", [Offset(1), PageNumber(), Keyset("id", "after")], ids=repr)
def test_the_same_page_again_is_a_loop_unless_a_total_tells_the_end(
    api: mocking.Mocker, pull: Pull, paginator: Any
) -> None:
    api.get(ORDERS, json={"data": [{"id": 7}], "n": 3})
    with pytest.raises(PaginationLoopError, match=rf"Page 2 \(GET {ORDERS}\): .* same as the page before"):
        records_of(pull(pagination=paginator, records="data"))
    if not isinstance(paginator, Keyset):
        told = Offset(1, total_path="n") if isinstance(paginator, Offset) else PageNumber(total_pages_path="n")
        assert records_of(pull(pagination=told, records="data")) == [{"id": 7}] * 3


def test_equal_pages_of_other_kinds_are_no_loop(api: mocking.Mocker, pull: Pull) -> None:
    api.get(ORDERS, [{"json": {"data": [1], "next": cursor}} for cursor in ("a", "b", None)])
    assert records_of(pull(pagination=Cursor("next", param="after"), records="data")) == [1, 1, 1]


# What goes wrong ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bodies", "options", "why"),
    [
        (["[1]", "<html>"], {}, "is not JSON"),
        (["[1]", '{"error": "x"}'], {"records": "[]"}, r"records='\[\]' is not there"),
        (["1\n", "1\nnope\n"], {"response_format": "ndjson"}, "line 2 is not JSON"),
        (["a\n1\n", "a\n1,2\n"], {"response_format": "csv"}, "line 2 of the CSV has 2 fields"),
        (["<r/>", "<r><a></r>"], {"response_format": "xml"}, "is not XML"),
    ],
)
def test_a_bad_body_names_its_page(
    api: mocking.Mocker, pull: Pull, bodies: list[str], options: dict[str, Any], why: str
) -> None:
    api.get(ORDERS, [{"text": body, "headers": {"Link": "<?page=2&key=made-up>; rel=next"}} for body in bodies])
    with pytest.raises(ResponseFormatError, match=rf"^Page 2 \(GET {ORDERS}\): .*{why}") as caught:
        records_of(pull(pagination=LinkHeader(), **options))
    assert "made-up" not in str(caught.value)
    assert isinstance(caught.value, TransientError)
    assert api.call_count == 2  # it would be as bad again


def test_a_bad_line_of_a_stream_names_its_page_and_comes_behind_the_good_ones(api: mocking.Mocker, pull: Pull) -> None:
    good = "".join(f'{{"id": {n}, "x": "{"y" * 100}"}}\n' for n in range(2000))
    api.get(ORDERS, text=good + "nope\n")
    got: list[Any] = []
    with pytest.raises(ResponseFormatError, match=r"^Page 1 .*: line 2,001 is not JSON"):
        got.extend(record for page in pull(response_format="ndjson") for record in page.records)
    assert [record["id"] for record in got] == list(range(len(got)))
    assert len(got) >= 1000


def test_what_a_server_wrote_is_masked_escaped_and_cut(api: mocking.Mocker, pull: Pull) -> None:
    api.get(ORDERS, text=f"not json {SECRET}\nforged \x1b[31m" + "x" * 5000)
    with pytest.raises(ResponseFormatError) as caught:
        list(pull())
    assert SECRET not in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 900
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("document", "paginator", "why"),
    [
        ('{"data": [1], "next": 5}', NextUrl("next"), "next is .*, not the URL"),
        ('{"data": [1], "next": {}}', Cursor("next", param="a"), "next is an object, not a cursor"),
        ('{"data": [1]}', Keyset("id", "after"), "the last record's id is missing"),
        ('{"data": [1], "x": "PAD", "next": {}}', Cursor("next", param="a"), "next is an object, not a cursor"),
    ],
)
def test_a_page_that_does_not_say_what_is_next_is_named(
    api: mocking.Mocker, pull: Pull, document: str, paginator: Any, why: str
) -> None:
    api.get(ORDERS, content=padded(document))
    with pytest.raises(ResponseFormatError, match=rf"^Page 1 \(GET {ORDERS}\): pagination: {why}"):
        records_of(pull(pagination=paginator, records="data"))


@pytest.mark.parametrize("body", ['{"data": [1', '{"data"', '["x'])
def test_a_body_that_broke_off_is_asked_for_again(api: mocking.Mocker, pull: Pull, body: str) -> None:
    api.get(ORDERS, [{"text": body}, {"text": "[1]"}])
    progress = Progress(logging.getLogger("made_up_pull"))
    assert records_of(pull(progress=progress)) == [1]
    assert (api.call_count, progress.pace.retries, progress.pages) == (2, 1, 1)


def test_a_body_that_always_breaks_off_is_the_apis_fault(api: mocking.Mocker, pull: Pull) -> None:
    api.get(ORDERS, text="[1")
    with pytest.raises(ApiUnavailableError, match="the JSON broke off after 2 bytes"):
        list(pull())
    assert api.call_count == 5


def test_a_post_is_repeated_only_when_that_does_no_harm(api: mocking.Mocker, pull: Pull) -> None:
    api.post(ORDERS, status_code=503)
    for idempotent, calls in ((None, 1), (True, 5)):
        before = api.call_count
        with pytest.raises(ApiUnavailableError):
            list(pull(method="POST", json={}, idempotent=idempotent))
        assert api.call_count - before == calls


# What is said ---------------------------------------------------------------------------------------------------------


class Said:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, text: str, *parts: Any) -> None:
        self.lines.append(text % parts)


@pytest.mark.parametrize(
    ("body", "leave", "word"),
    [("[1]", False, "Done: 1 pages"), ("[1]", True, "Left: 1 pages"), ("<", False, "Broken off")],
)
def test_the_last_line_says_how_it_ended(api: mocking.Mocker, pull: Pull, body: str, leave: bool, word: str) -> None:
    api.get(ORDERS, text=body)
    said = Said()
    pages = pull(progress=Progress(said))
    try:
        if leave:
            next(pages)
            pages.close()  # type: ignore[attr-defined]
        else:
            list(pages)
    except OAuth2Error:
        assert word == "Broken off"
    assert [line.startswith(word) for line in said.lines] == [True]


def test_a_total_that_is_told_once_stays_known(api: mocking.Mocker, pull: Pull) -> None:
    api.get(ORDERS, [{"json": {"data": [1], "n": 2}}, {"json": {"data": [2]}}, {"json": {"data": []}}])
    said = Said()
    records_of(pull(pagination=Offset(1, total_path="n"), records="data", progress=Progress(said)))
    assert "2 records of 2" in said.lines[-1]


def test_a_pull_that_is_stopped_sends_nothing_more(api: mocking.Mocker, pull: Pull) -> None:
    api.get(ORDERS, json=numbered(100))
    progress = Progress(logging.getLogger("made_up_pull"))
    pages = pull(pagination=Offset(2), records="data", progress=progress)
    next(pages)
    progress.pace.stop()
    with pytest.raises(Stopped):
        next(pages)
    assert api.call_count == 1


def test_json_can_hold_where_a_pull_is(api: mocking.Mocker, pull: Pull) -> None:
    api.get(ORDERS, json=numbered(4))
    begun = PageRequest("GET", "orders")
    for page in pull(pagination=Offset(2), records="data"):
        assert begun.with_changes(json.loads(json.dumps(page.request.changes_since(begun)))) == page.request
