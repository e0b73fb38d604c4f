"""Several pages in flight: in order, bounded, ended by the first error, and slowed down together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import ApiRefusedError, PaginationLoopError
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.http.pace import Pace
from airflow_oauth_provider.pull.pagination import Offset, PageNumber
from tests.support.paged_api import OFFSET, Crowd, Numbers, ids, items, nothing_left, pulled, serve
from tests.support.processes import wait_until
from tests.support.servers import OAuthServer, Reply, Seen

PAGES: dict[str, Any] = {"pagination": PageNumber(), "records": "items"}
BY_PAGES: dict[str, Any] = {"pagination": PageNumber(total_pages_path="pages"), "records": "items"}


def page_of(seen: Seen) -> int:
    """Return the number of the page that is asked for, from 1."""
    asked = dict(seen.query)
    return int(asked["page"]) if "page" in asked else int(asked["offset"]) // 3 + 1


def held(server: OAuthServer, condition: Callable[[], object]) -> None:
    """Hold an answer back until *condition* holds; give up when the test ends."""
    while not condition() and not server.stopping.wait(0.002):
        pass


# Order and bounds -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pull", [OFFSET, BY_PAGES, PAGES, {"pagination": Offset(3), "records": "items"}])
@pytest.mark.parametrize("number", [1, 2, 5, 32])
def test_records_come_in_order_however_the_answers_come(
    server: OAuthServer, hook: OAuth2Hook, pull: dict[str, Any], number: int
) -> None:
    # The first of each group of pages answers last.
    answered: set[int] = set()
    latest = threading.Lock()

    def hold(seen: Seen) -> None:
        page = page_of(seen)
        behind = page + 1
        if page > 1 and behind <= 10 and page % number:
            held(server, lambda: behind in answered or crowd.now < 2)
        with latest:
            answered.add(page)

    crowd = Crowd(Numbers(total=30, size=3), hold)
    serve(server, crowd)

    with nothing_left():
        assert ids(hook.records("items", concurrency=number, **pull)) == list(range(30))

    asked = [page_of(seen) for seen in server.api_requests]
    assert sorted(asked) == list(range(1, max(asked) + 1))  # none is asked for twice
    assert crowd.most <= number
    assert max(asked) <= (10 if pull in (OFFSET, BY_PAGES) else 11 + number)


def test_a_search_by_post_goes_side_by_side_too(server: OAuthServer, hook: OAuth2Hook) -> None:
    numbers = Numbers(total=30, size=3)
    together = threading.Barrier(3, timeout=60)

    def script(seen: Seen) -> Reply:
        if numbers.start(seen):
            together.wait()
        return numbers(seen)

    serve(server, script)
    paginator = Offset(3, total_path="total", in_body=True)

    got = hook.records("items", pagination=paginator, records="items", method="POST", json={"q": "a"}, concurrency=3)

    assert ids(got) == list(range(30))


def test_as_many_pages_are_in_flight_as_were_allowed_and_the_first_one_is_alone(
    server: OAuthServer, hook: OAuth2Hook
) -> None:
    together = threading.Barrier(4, timeout=60)
    first_alone: list[bool] = []

    def hold(seen: Seen) -> None:
        if page_of(seen) == 1:
            first_alone.append(len(server.api_requests) == 1 and not server.stopping.wait(0.1))
            first_alone.append(len(server.api_requests) == 1)
        elif page_of(seen) <= 9:
            together.wait()

    crowd = Crowd(Numbers(total=27, size=3), hold)
    serve(server, crowd)

    assert ids(hook.records("items", concurrency=4, **OFFSET)) == list(range(27))
    assert (crowd.most, first_alone) == (4, [True, True])
    assert len({seen.client for seen in server.api_requests}) <= 4


def test_a_slow_reader_finds_no_more_pages_waiting_than_were_allowed(server: OAuthServer, hook: OAuth2Hook) -> None:
    read = 0
    ahead: list[int] = []
    crowd = Crowd(Numbers(total=60, size=3), lambda _: ahead.append(len(server.api_requests) - read))
    serve(server, crowd)

    for page in hook.pages("items", concurrency=4, **OFFSET):
        assert ids(page.records) == [3 * read, 3 * read + 1, 3 * read + 2]
        read += 1
        wait_until(lambda: crowd.now == 0)

    assert read == 20
    assert max(ahead) <= 5  # one in the reader's hands, four on the way


@pytest.mark.parametrize(
    ("limits", "expected", "last"),
    [({"max_records": 10}, 10, 4), ({"max_records": 3}, 3, 1), ({"max_pages": 3}, 9, 3), ({"max_pages": 1}, 3, 1)],
    ids=str,
)
def test_no_page_is_asked_for_behind_a_limit(
    server: OAuthServer, hook: OAuth2Hook, limits: dict[str, int], expected: int, last: int
) -> None:
    serve(server, Numbers(total=300, size=3))

    with nothing_left():
        assert ids(hook.records("items", concurrency=8, **OFFSET, **limits)) == list(range(expected))

    asked = max(page_of(seen) for seen in server.api_requests)
    assert asked <= last + (0 if "max_pages" in limits or last == 1 else 8)


# Ends and errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pull", [OFFSET, PAGES], ids=["offset", "page number"])
@pytest.mark.parametrize("total", [0, 1, 3, 4, 7])
def test_an_early_end_is_the_end(server: OAuthServer, hook: OAuth2Hook, pull: dict[str, Any], total: int) -> None:
    serve(server, Numbers(total=total, size=3))

    with nothing_left():
        assert ids(hook.records("items", concurrency=8, **pull)) == list(range(total))


@pytest.mark.parametrize("totals", [(7, 13), ("7", "13"), (13, None)], ids=str)
def test_a_total_that_grows_is_followed(server: OAuthServer, hook: OAuth2Hook, totals: tuple[Any, Any]) -> None:
    first, later = totals

    def growing(seen: Seen) -> Reply:
        reply = Numbers(total=13, size=3)(seen)
        assert isinstance(reply.body, dict)
        return Reply(200, {**reply.body, "total": first if page_of(seen) == 1 else later})

    serve(server, growing)

    assert ids(hook.records("items", concurrency=4, **OFFSET)) == list(range(13))


@pytest.mark.parametrize("cap", [1, 3, 4, 7])
def test_a_server_that_caps_the_limit_or_ignores_it_costs_no_record(
    server: OAuthServer, hook: OAuth2Hook, caplog: pytest.LogCaptureFixture, cap: int
) -> None:
    serve(server, Numbers(total=40, size=cap))

    with caplog.at_level("INFO"), nothing_left():
        got = ids(hook.records("items", pagination=Offset(5, total_path="total"), records="items", concurrency=4))

    assert got == list(range(40))
    assert "one after the other" in caplog.text


@pytest.mark.parametrize("short", [1, 3, 4])
def test_a_short_page_in_the_middle_costs_no_record(server: OAuthServer, hook: OAuth2Hook, short: int) -> None:
    def script(seen: Seen) -> Reply:
        start = int(dict(seen.query)["offset"])
        end = start + (2 if start == 3 * short else 3)
        return Reply(200, {"items": items(*range(start, min(end, 30))), "total": 30})

    serve(server, script)

    with nothing_left():
        assert ids(hook.records("items", concurrency=4, **OFFSET)) == list(range(30))


def test_the_last_page_for_ever_is_a_loop(server: OAuthServer, hook: OAuth2Hook) -> None:
    serve(server, lambda seen: Reply(200, {"items": items(min(page_of(seen), 6))}))

    with nothing_left():
        came, error = pulled(hook.records("items", concurrency=4, **PAGES))

    assert isinstance(error, PaginationLoopError)
    assert "Page 7 " in str(error)
    assert came == [1, 2, 3, 4, 5, 6]
    assert len(server.api_requests) <= 7 + 4


@pytest.mark.parametrize("status", [400, 404, 403])
def test_the_first_error_ends_it_and_nothing_is_sent_behind_it(
    server: OAuthServer, hook: OAuth2Hook, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    failed = threading.Event()

    def look_at(done: Future[Any]) -> None:
        if not done.cancelled() and done.exception() is not None:
            failed.set()

    class Watched(ThreadPoolExecutor):
        def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
            future = super().submit(*args, **kwargs)
            future.add_done_callback(look_at)
            return future

    monkeypatch.setattr("airflow_oauth_provider.pull.ahead.ThreadPoolExecutor", Watched)

    def hold(seen: Seen) -> None:
        if 1 < page_of(seen) < 5:
            held(server, failed.is_set)  # the client has seen the error

    def refusing(seen: Seen) -> Reply:
        if page_of(seen) < 5:
            return Numbers(total=60, size=3)(seen)
        held(server, lambda: len(server.api_requests) == 5)
        return Reply(status, {"reason": "made-up"})

    serve(server, Crowd(refusing, hold))

    with nothing_left():
        came, error = pulled(hook.records("items", concurrency=4, **OFFSET))

    assert (type(error), error.status_code) == (ApiRefusedError, status)
    assert came == list(range(12))  # what came before the page that failed
    assert sorted(page_of(seen) for seen in server.api_requests) == [1, 2, 3, 4, 5]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return when a call of a pull was asked for a pause, by the clock of :class:`Seen`."""
    begun: list[float] = []
    paused = Pace.paused

    def watched(pace: Pace, error: BaseException | None, seconds: float) -> None:
        now = time.time()
        paused(pace, error, seconds)
        begun.append(now)

    monkeypatch.setattr(Pace, "paused", watched)
    return begun


def test_an_error_wakes_those_who_wait_for_the_api(server: OAuthServer, hook: OAuth2Hook, pauses: list[float]) -> None:
    def script(seen: Seen) -> Reply:
        page = page_of(seen)
        if page == 1:
            return Numbers(total=60, size=3)(seen)
        held(server, lambda: len(server.api_requests) >= 5)
        if page > 2:
            return Reply(429, b"", {"Retry-After": "50"})
        held(server, lambda: len(pauses) == 3)
        return Reply(400, {"reason": "made-up"})

    serve(server, script)

    with nothing_left(), pytest.raises(ApiRefusedError):
        list(hook.pages("items", concurrency=4, **OFFSET))

    assert time.time() - max(pauses) < 40  # of the 50 s
    assert len(server.api_requests) == 5


def test_429_pauses_all(server: OAuthServer, hook: OAuth2Hook, pauses: list[float]) -> None:
    throttled = threading.Event()

    def script(seen: Seen) -> Reply:
        page = page_of(seen)
        if page == 3 and not throttled.is_set():
            held(server, lambda: len(server.api_requests) == 5)
            throttled.set()
            return Reply(429, b"", {"Retry-After": "1"})
        if page in (2, 4, 5):
            held(server, lambda: pauses)  # the client has seen it
        return Numbers(total=60, size=3)(seen)

    serve(server, script)

    assert ids(hook.records("items", concurrency=4, **OFFSET)) == list(range(60))

    (paused_at,) = pauses
    later = [seen.at - paused_at for seen in server.api_requests[5:]]
    assert len(later) == 16
    assert [at for at in later if at < 0.95] == []


def test_429_to_all_at_once_costs_one_more_request_each(server: OAuthServer, hook: OAuth2Hook) -> None:
    throttled: set[int] = set()

    def script(seen: Seen) -> Reply:
        page = page_of(seen)
        if 1 < page <= 5 and page not in throttled:
            held(server, lambda: len(server.api_requests) >= 5)
            throttled.add(page)
            return Reply(429, b"", {"Retry-After": "1"})
        return Numbers(total=30, size=3)(seen)

    serve(server, script)

    assert ids(hook.records("items", concurrency=4, **OFFSET)) == list(range(30))
    assert len(server.api_requests) == 10 + 4


@pytest.mark.parametrize("ends", ["by an error", "by whoever leaves"])
def test_what_only_drips_is_broken_off_when_the_pull_ends(server: OAuthServer, hook: OAuth2Hook, ends: str) -> None:
    """By itself it would take an hour to come."""
    dripping = Reply(200, b"[" + b" " * 7200 + b"]", {"Content-Type": "application/json"}, drip_s=0.5)

    def script(seen: Seen) -> Reply:
        if page_of(seen) == 1:
            return Numbers(total=60, size=3)(seen)
        if page_of(seen) == 2 and ends == "by an error":
            held(server, lambda: len(server.api_requests) == 5)
            return Reply(404, {"reason": "made-up"})
        return dripping

    server.api_reply = script
    began = time.monotonic()
    with nothing_left():
        if ends == "by an error":
            with pytest.raises(ApiRefusedError):
                list(hook.pages("items", concurrency=4, **OFFSET))
        else:
            pages = hook.pages("items", concurrency=4, **OFFSET)
            next(iter(pages))
            wait_until(lambda: len(server.api_requests) == 5)
            pages.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 120
