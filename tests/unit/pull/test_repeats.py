"""Circles are found, however long; memory does not grow."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import requests

from airflow_oauth_provider.exceptions import PaginationLoopError, PermanentError
from airflow_oauth_provider.pull.repeats import _REMEMBERED, Repeats
from airflow_oauth_provider.pull.request import PageRequest
from tests.support.pulls import answer


@pytest.mark.parametrize("tail", [0, 5])
@pytest.mark.parametrize("length", [1, 2, 30])
def test_a_circle_is_found_before_anything_is_sent_twice(length: int, tail: int) -> None:
    repeats = Repeats()
    requests_ = [PageRequest("GET", f"page-{number}") for number in range(-tail, length)]
    for request in requests_:
        repeats.ask(request)
    with pytest.raises(PaginationLoopError, match=r"this page came before.*max_pages") as caught:
        repeats.ask(requests_[tail])
    assert isinstance(caught.value, PermanentError)


@pytest.mark.parametrize("length", [_REMEMBERED, _REMEMBERED + 1, 3 * _REMEMBERED])
def test_a_circle_that_is_longer_than_what_is_remembered_is_found_too(length: int) -> None:
    repeats, asked = Repeats(), deque([0], maxlen=1)

    def round_and_round() -> Iterator[int]:
        for count, number in enumerate(itertools.cycle(range(length)), start=1):
            repeats.ask(PageRequest("GET", f"page-{number}"))
            yield count

    with pytest.raises(PaginationLoopError):
        asked.extend(round_and_round())
    assert length <= asked[0] <= 4 * length
    assert len(repeats._seen) == len(repeats._order) <= _REMEMBERED


@pytest.mark.parametrize(
    "change",
    [
        {"method": "POST"}, {"endpoint": "others"}, {"params": {"a": 2}}, {"params": {"a": "1", "b": None}},
        {"json": {"a": 1}}, {"data": b"x"}, {"headers": {"X": "1"}}, {"params": {"a": Decimal(1)}},
        {"params": {"a": object()}}, {"json": {(1, 2): 3}},
    ],
)  # fmt: skip
def test_requests_that_differ_anywhere_are_not_the_same(change: dict[str, Any]) -> None:
    known: dict[str, Any] = {"method": "GET", "endpoint": "orders", "params": {"a": 1}}
    repeats = Repeats()
    repeats.ask(PageRequest(**known))
    repeats.ask(PageRequest(**{**known, **change}))
    with pytest.raises(PaginationLoopError):
        repeats.ask(PageRequest(**{**known, **change}))


def answered_from(url: str, *history: str) -> requests.Response:
    response, *before = [answer() for _ in range(1 + len(history))]
    response.request = requests.Request("GET", url).prepare()
    for earlier, at in zip(before, history, strict=True):
        earlier.request = requests.Request("GET", at).prepare()
    response.history = before
    return response


def test_a_link_back_to_the_first_page_is_a_circle_whatever_the_first_page_was_called() -> None:
    repeats, request = Repeats(), PageRequest("GET", "orders", {"size": 5})
    repeats.ask(request)
    repeats.answered(request, answered_from("https://api.example.com/v1/orders?size=5"))
    with pytest.raises(PaginationLoopError):
        repeats.ask(request.at("https://api.example.com/v1/orders?size=5"))


def test_a_redirect_does_not_hide_where_a_page_was_asked_for() -> None:
    repeats, request = Repeats(), PageRequest("GET", "orders")
    repeats.answered(request, answered_from("https://api.example.com/v2/orders", "https://api.example.com/v1/orders"))
    repeats.ask(request.at("https://api.example.com/v2/orders"))
    with pytest.raises(PaginationLoopError):
        repeats.ask(request.at("https://api.example.com/v1/orders"))


@pytest.mark.parametrize("body", [{"json": {"cursor": 1}}, {"data": {"cursor": 1}}])
def test_a_body_makes_another_page_of_the_same_url(body: dict[str, Any]) -> None:
    repeats, url = Repeats(), "https://api.example.com/v1/orders"
    repeats.answered(PageRequest("POST", url, **body), answered_from(url))
    repeats.ask(PageRequest("POST", url))


@pytest.mark.parametrize("page", [[{"id": 1}], [1.5, Decimal("1.5")], [{(1, 2): object}], [b"raw"], [3, "a", "b"]])
def test_the_same_page_twice_is_served_for_ever(page: list[Any]) -> None:
    repeats = Repeats()
    repeats.came(page)
    repeats.came([{"id": 2}])
    repeats.came(page)
    with pytest.raises(PaginationLoopError, match=r"it is the same as the page before.*max_pages"):
        repeats.came(page)


@pytest.mark.parametrize("nothing", [[], None, ()])
def test_empty_pages_are_not_held_against_each_other(nothing: Any) -> None:
    repeats = Repeats()
    for _ in range(3):
        repeats.came(nothing)
    repeats.came([1])
    repeats.came(nothing)
    repeats.came([1])
    with pytest.raises(PaginationLoopError):
        repeats.came([1])
