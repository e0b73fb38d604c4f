"""Requests in flight: in order, no more than told, none after a failure, none left over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import ApiUnavailableError
from airflow_oauth_provider.http.pace import Pace, Stopped
from airflow_oauth_provider.pull.ahead import Ahead
from airflow_oauth_provider.pull.pagination import LinkHeader, Offset, PageNumber, Paginator
from airflow_oauth_provider.pull.request import PageRequest
from tests.support.processes import wait_until

FIRST = PageNumber(0).first(PageRequest("GET", "orders"))


def number_of(request: PageRequest) -> int:
    return int(request.params["page"])


class Api:
    """
    Answers with the number of the page.

    :param hold: whether a page waits until :meth:`release`
    """

    def __init__(self, hold: bool = False, *, bad: dict[int, Exception] | None = None) -> None:
        self.asked: list[int] = []
        self.now = self.most = 0
        self.disposed: list[int] = []
        self._bad = bad or {}
        self._open = threading.Event()
        self._lock = threading.Lock()
        if not hold:
            self._open.set()

    def __call__(self, request: PageRequest) -> int:
        number = number_of(request)
        with self._lock:
            self.asked.append(number)
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            if number:
                assert self._open.wait(30)
            if number in self._bad:
                raise self._bad[number]
            return number
        finally:
            with self._lock:
                self.now -= 1

    def release(self) -> None:
        self._open.set()

    def ahead(self, concurrency: int, paginator: Paginator | None = None, pace: Pace | None = None) -> Ahead[int]:
        return Ahead(self, paginator or PageNumber(0), concurrency, pace or Pace(), dispose=self.disposed.append)


def page(number: int) -> PageRequest:
    return PageNumber(0).shifted(FIRST, number)


def pull(ahead: Ahead[int], pages: int, told: Callable[[int], int | None] = lambda _: None) -> list[int]:
    """Get so many pages as a puller does."""
    got = []
    for number in range(pages):
        got.append(ahead.get(page(number)))
        if number + 1 < pages:
            ahead.look(page(number + 1), told(number))
    return got


@pytest.mark.parametrize("concurrency", [2, 8, 32])
def test_pages_come_in_order_and_each_is_asked_for_once(concurrency: int) -> None:
    api = Api()
    with closing(api.ahead(concurrency)) as ahead:
        assert pull(ahead, 50, lambda number: 49 - number) == list(range(50))
    assert sorted(api.asked) == list(range(50))
    assert api.most <= concurrency


def test_the_first_page_is_asked_for_alone_and_then_as_many_as_told() -> None:
    api = Api(hold=True)
    with closing(api.ahead(3)) as ahead:
        assert ahead.get(page(0)) == 0
        assert api.asked == [0]
        ahead.look(page(1), None)
        wait_until(lambda: api.now == 3)
        assert sorted(api.asked) == [0, 1, 2, 3]
        api.release()
        assert ahead.get(page(1)) == 1
        assert sorted(api.asked) == [0, 1, 2, 3]  # nobody said yet that there is more
        ahead.look(page(2), None)
        wait_until(lambda: len(api.asked) == 5)
        assert max(api.asked) == 4


@pytest.mark.parametrize("pages", [0, 1, 2])
def test_no_more_is_sent_than_there_are_pages(pages: int) -> None:
    api = Api()
    with closing(api.ahead(8)) as ahead:
        ahead.look(page(1), pages)
        assert [ahead.get(page(number)) for number in range(1, 1 + pages)] == list(range(1, 1 + pages))
    assert sorted(api.asked) == list(range(1, 1 + pages))


@pytest.mark.parametrize(
    ("paginator", "concurrency"), [(PageNumber(0), 1), (Offset(5), 1), (LinkHeader(), 8), (LinkHeader(), 1)]
)
def test_without_addresses_or_alone_nothing_is_sent_ahead_and_no_thread_begins(
    paginator: Paginator, concurrency: int
) -> None:
    api, pace, before = Api(), Pace(), set(threading.enumerate())
    with closing(api.ahead(concurrency, paginator, pace)) as ahead:
        assert pull(ahead, 4) == [0, 1, 2, 3]
        assert set(threading.enumerate()) <= before  # those of earlier tests may end meanwhile
    assert api.asked == [0, 1, 2, 3]
    pace.wait()  # which would raise when it was stopped: the caller may go on with it


def test_an_error_comes_in_its_place_and_nothing_is_sent_behind_it() -> None:
    api = Api(hold=True, bad={3: ApiUnavailableError("no 3")})
    got: list[int] = []

    def one_after_the_other() -> Iterator[int]:
        for number in range(20):
            yield ahead.get(page(number))
            ahead.look(page(number + 1), None)
            if number == 0:
                wait_until(lambda: api.now == 4)
                api.release()
            wait_until(lambda: all(future.done() for _, future in ahead._waiting))

    with closing(api.ahead(4)) as ahead, pytest.raises(ApiUnavailableError, match="no 3"):
        got.extend(one_after_the_other())
    assert got == [0, 1, 2]
    assert sorted(api.asked) == [0, 1, 2, 3, 4]  # the fourth was on its way with the third


def test_an_answer_that_leads_elsewhere_ends_the_foresight_and_no_page_is_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    api = Api()
    with caplog.at_level("INFO", "airflow_oauth_provider"), closing(api.ahead(4)) as ahead:
        ahead.look(page(1), None)
        assert ahead.get(page(1)) == 1
        wait_until(lambda: len(api.asked) == 4 and api.now == 0)
        assert ahead.get(page(7)) == 7
        ahead.look(page(8), None)
        assert ahead.get(page(8)) == 8
    assert sorted(api.asked[:4]) == [1, 2, 3, 4]
    assert api.asked[4:] == [7, 8]
    assert sorted(api.disposed) == [2, 3, 4]
    assert "one after the other" in caplog.text


def test_at_the_end_what_is_on_its_way_is_waited_for_and_given_back() -> None:
    api, pace = Api(hold=True), Pace()
    ahead = api.ahead(3, pace=pace)
    ahead.look(page(1), None)
    wait_until(lambda: api.now == 3)
    closed = threading.Thread(target=ahead.close)
    closed.start()
    wait_until(pace._stopped.is_set)
    assert closed.is_alive()
    api.release()
    closed.join(30)
    assert not closed.is_alive()
    assert sorted(api.disposed) == [1, 2, 3]
    assert not [thread for thread in threading.enumerate() if "oauth2-pages" in thread.name]


def test_what_failed_has_nothing_to_give_back_and_what_never_began_is_not_sent() -> None:
    api = Api(hold=True, bad={1: ApiUnavailableError("no"), 2: Stopped()})
    ahead = api.ahead(2)
    ahead.look(page(1), None)
    wait_until(lambda: api.now == 2)
    threading.Thread(target=api.release).start()
    ahead.close()
    assert api.disposed == []
    assert sorted(api.asked) == [1, 2]


def test_whoever_sleeps_between_two_attempts_is_woken_at_the_end() -> None:
    pace, asleep, woken = Pace(), threading.Semaphore(0), []

    def fetch(request: PageRequest) -> Any:
        asleep.release()
        try:
            pace.sleep(600)
        finally:
            woken.append(number_of(request))

    ahead = Ahead(fetch, PageNumber(0), 3, pace)
    ahead.look(page(1), 3)
    assert all(asleep.acquire(timeout=30) for _ in range(3))
    ahead.close()
    assert sorted(woken) == [1, 2, 3]


def test_nothing_is_needed_to_close_what_never_began() -> None:
    api = Api()
    api.ahead(8).close()
    assert api.asked == []
