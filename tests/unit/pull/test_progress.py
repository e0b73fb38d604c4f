"""What is said of a pull, and how records are read from a page that is streamed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import OAuth2Error, ResponseFormatError, SettingsError
from airflow_oauth_provider.pull.page import BATCH, Page, Stream
from airflow_oauth_provider.pull.progress import LINE_EVERY_S, Progress
from airflow_oauth_provider.pull.request import PageRequest
from tests.support.clock import Clock
from tests.support.pulls import answer

LOGGER = logging.getLogger("made_up_pull")


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    with caplog.at_level(logging.INFO, LOGGER.name):
        said: list[str] = []
        monkeypatch.setattr(LOGGER, "handle", lambda record: said.append(record.getMessage()))
        yield said


def test_a_line_says_how_far_it_is(clock: Clock, lines: list[str]) -> None:
    progress = Progress(LOGGER)
    progress.page_came(2_000_000, 1.5)
    progress.page_came(345_678, 0.75)
    progress.records_came(20_000)
    progress.pace.paused(None, 1)
    clock.advance(10)
    progress.say("Done")
    (line,) = lines
    assert line.startswith("Done: 2 pages, 20,000 records, 2,345,678 bytes in 10.0 s (")
    assert line.endswith(" records/s); 1 retries, 2.2 s waited for the API.")
    assert 1900 <= float(line.partition("(")[2].partition(" ")[0].replace(",", "")) <= 2000


def test_the_total_is_said_where_the_api_tells_it(lines: list[str]) -> None:
    progress = Progress(LOGGER)
    progress.total = 123_456
    progress.records_came(1000)
    progress.say("So far")
    assert "1,000 records of 123,456, 0 bytes" in lines[0]


def test_there_is_a_line_every_thirty_seconds(clock: Clock, lines: list[str]) -> None:
    progress = Progress(LOGGER)
    for _ in range(100):
        progress.records_came(10)
        clock.advance(LINE_EVERY_S / 4.9)
    assert len(lines) == 19
    assert all(line.startswith("So far: 0 pages, ") for line in lines)


def test_former_tries_count_in_all_but_the_rate(clock: Clock, lines: list[str]) -> None:
    progress = Progress(LOGGER, pages=7, records=700, seconds=100.0)
    progress.page_came(5, 0)
    progress.records_came(100)
    clock.advance(10)
    assert progress.seconds == pytest.approx(110, abs=1)
    progress.say("Done")
    assert "8 pages, 800 records, 5 bytes in 110." in lines[0]
    assert float(lines[0].partition("(")[2].partition(" ")[0]) == pytest.approx(10, abs=1)
    assert progress.summary() == {"pages": 8, "records": 800, "seconds": pytest.approx(110, abs=1)}


def test_a_pull_without_a_moment_has_a_rate_too(monkeypatch: pytest.MonkeyPatch, lines: list[str]) -> None:
    monkeypatch.setattr("airflow_oauth_provider.pull.progress.time.monotonic", lambda: 5.0)
    Progress(LOGGER).say("Done")
    assert "(0 records/s)" in lines[0]


# A page that is streamed ----------------------------------------------------------------------------------------------


def explained(error: ResponseFormatError) -> OAuth2Error:
    return ResponseFormatError(f"Page 3: {error}")


def test_a_stream_is_read_once_and_knows_what_went_by() -> None:
    came: list[int] = []
    stream = Stream(iter(range(2 * BATCH + 5)), came.append, explained)
    assert (stream.count, stream.first, stream.last) == (0, None, None)
    reading = iter(stream)
    assert [next(reading) for _ in range(3)] == [0, 1, 2]
    assert list(stream) == list(range(3, 2 * BATCH + 5))  # it goes on, wherever it was left
    assert list(stream) == []
    assert (stream.count, stream.first, stream.last) == (2 * BATCH + 5, 0, 2 * BATCH + 4)
    assert came == [BATCH, BATCH, 5]
    stream.pass_by()
    assert list(stream) == []


def test_an_empty_stream_has_neither_first_nor_last() -> None:
    came: list[int] = []
    stream = Stream(iter(()), came.append, explained)
    stream.pass_by()
    assert (stream.count, stream.first, stream.last, list(stream), came) == (0, None, None, [], [])


@pytest.mark.parametrize("read", [0, 5])
def test_records_that_were_passed_by_cannot_be_read_any_more(read: int) -> None:
    came: list[int] = []
    stream = Stream(iter(range(12)), came.append, explained, batch=10)
    reading = iter(stream)
    assert [next(reading) for _ in range(read)] == list(range(read))
    stream.pass_by()
    assert (stream.count, stream.last, sum(came)) == (12, 11, 12)
    with pytest.raises(SettingsError, match="read them before the next page is asked for"):
        iter(stream)


def test_an_error_says_where_it_happened_and_what_came_before_it_is_out() -> None:
    def records() -> Iterator[Any]:
        yield 1
        raise ResponseFormatError("line 2 is bad")

    got: list[Any] = []
    stream = Stream(records(), lambda _: None, explained, batch=1)
    with pytest.raises(ResponseFormatError, match=r"^Page 3: line 2 is bad$") as caught:
        got.extend(stream)
    assert caught.value.__context__ is None
    assert got == [1]


def test_a_page_shows_none_of_its_records() -> None:
    shown = repr(Page(3, [{"key": "made-up"}], answer(), PageRequest("GET", "orders?key=made-up"), total=5))
    assert "made-up" not in shown
    assert "number=3" in shown
    assert "total=5" in shown
