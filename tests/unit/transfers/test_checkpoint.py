"""A retry goes on where the try before it stopped, a Clear does not."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from airflow_oauth_provider.pull.plan import Position
from airflow_oauth_provider.pull.request import PageRequest
from tests.support.transfer_runs import BEGUN, LOGGER, SINK, StateStore, checkpoint, page, saved

# Going on -------------------------------------------------------------------------------------------------------------


def test_a_first_try_begins_at_the_beginning() -> None:
    first = checkpoint(StateStore())
    assert (first.resumed, first.records, first.position(), first.watermark) == (None, 0, None, None)
    assert first.active
    assert first.attempt_number == 1


@pytest.mark.usefixtures("clock")
def test_a_retry_goes_on_behind_the_records_that_are_safe() -> None:
    second = checkpoint(saved(25), 2)
    assert (second.resumed, second.records) == (SINK, 25)
    assert second.position() == Position(BEGUN.with_params(page=3), 3, 20, 5)
    assert second.state_of_former_try["pages"] == 2
    assert second.state_of_former_try["seconds"] == pytest.approx(12.5, abs=1)


@pytest.mark.parametrize(
    ("records", "number", "before", "skip"),
    [(0, 1, 0, 0), (1, 1, 0, 1), (9, 1, 0, 9), (10, 2, 10, 0), (15, 2, 10, 5), (20, 3, 20, 0), (25, 3, 20, 5)],
)
def test_a_count_of_records_is_a_page_and_how_many_of_its_records_to_skip(
    records: int, number: int, before: int, skip: int
) -> None:
    second = checkpoint(saved(records), 2)
    assert second.position() == Position(BEGUN.with_params(page=number), number, before, skip)


def test_empty_pages_are_passed_by() -> None:
    store = StateStore()
    first = checkpoint(store)
    for number, before in ((1, 0), (2, 10), (3, 10), (4, 10)):
        first.at_page(page(number, before))
    first.save(10, SINK)
    assert checkpoint(store, 2).position() == page(4, 10)


def test_a_retry_that_saves_before_its_first_page_stays_where_it_was() -> None:
    store = saved(25)
    checkpoint(store, 2).save(25, {"parts": 4})
    third = checkpoint(store, 3)
    assert (third.resumed, third.records) == ({"parts": 4}, 25)
    assert third.position() == Position(BEGUN.with_params(page=3), 3, 20, 5)


def test_tries_follow_each_other_whatever_their_numbers() -> None:
    assert checkpoint(saved(), 5).records == 25
    assert checkpoint(saved(map_index=2), 2, map_index=2).records == 25


def test_where_a_link_leads_is_kept_and_what_a_dag_author_wrote_is_not() -> None:
    store = StateStore()
    first = checkpoint(store)
    first.at_page(Position(BEGUN.at("https://api.example.com/v1/orders?page=2"), 2, 10))
    first.save(10, SINK)
    assert "made-up-key" not in json.dumps(store)
    position = checkpoint(store, 2).position()
    assert position is not None
    assert position.request == PageRequest("GET", "https://api.example.com/v1/orders?page=2")


@pytest.mark.parametrize("value", ["2026-01-02", 7, 10**30, 1.5])
def test_the_watermark_so_far_is_kept(value: Any) -> None:
    store = StateStore()
    first = checkpoint(store)
    first.watermark = value
    first.save(0, SINK)
    assert checkpoint(store, 2).watermark == value


def test_what_a_function_made_of_a_request_is_kept_as_text() -> None:
    class Date:
        def __str__(self) -> str:
            return "2026-01-02"

    store = StateStore()
    first = checkpoint(store)
    first.at_page(Position(BEGUN.with_params(day=Date()), 2, 0))
    first.save(0, SINK)
    assert checkpoint(store, 2).position() == Position(BEGUN.with_params(day="2026-01-02"), 2, 0)


# Starting over --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ({}, {"digest": "another request"}),
        ({}, {"max_tries": 6}),  # a Clear on Airflow before 3.2
        ({}, {"clear_number": 1}),
        ({"clear_number": None}, {"clear_number": 0}),
        ({}, {"number": 1}),  # the same try again: somebody else may be at work
        ({"number": 2}, {"number": 1}),
    ],
)
def test_another_request_a_clear_or_an_earlier_try_starts_over(
    written: dict[str, Any], read: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOGGER.name)
    store = saved(**written)
    other = checkpoint(store, **{"number": 2, **read})
    assert (other.resumed, other.records, other.position(), other.watermark) == (None, 0, None, None)
    assert "This try starts over: the checkpoint is of another request, or the task was cleared." in caplog.text


def test_task_instances_are_told_apart() -> None:
    keys = {
        checkpoint(None, **other).key
        for other in ({}, {"dag_id": "x"}, {"run_id": "x"}, {"task_id": "x"}, {"map_index": 0}, {"map_index": 1})
    }
    assert len(keys) == 6
    assert all(len(key) == 64 and int(key, 16) for key in keys)
    assert checkpoint(None, 5, digest="other").key in keys


@pytest.mark.parametrize(
    "text",
    ["", "nope", "[]", "5", '"x"', "null", "{}", '{"digest": "same"}', None, 5, b"{}"],
)
def test_what_was_not_written_by_us_is_a_miss(text: Any) -> None:
    store = StateStore()
    store["oauth2_transfer"] = text
    assert (checkpoint(store, 2).resumed, checkpoint(store, 2).position()) == (None, None)


@pytest.mark.parametrize(
    "damage",
    [
        {"sink": None}, {"sink": 5}, {"sink": [1]}, {"records": None}, {"records": "many"}, {"records": []},
        {"page": 5}, {"page": []}, {"page": {}}, {"page": {"number": 1}}, {"try": None}, {"try": "1"}, {"try": [1]},
    ],
)  # fmt: skip
def test_a_state_of_another_shape_is_a_miss(damage: dict[str, Any]) -> None:
    store = saved()
    state = json.loads(store["oauth2_transfer"])
    store["oauth2_transfer"] = json.dumps({**state, **damage})
    assert checkpoint(store, 2).resumed is None
    for name in damage:
        store["oauth2_transfer"] = json.dumps({key: value for key, value in state.items() if key != name})
        assert checkpoint(store, 2).resumed is None


def test_starting_over_forgets_everything() -> None:
    store = saved()
    second = checkpoint(store, 2)
    second.watermark = 5
    second.at_page(page(3, 20))
    second.start_over()
    assert (second.resumed, second.records, second.position(), second.watermark) == (None, 0, None, None)
    assert store == {}
    second.save(0, SINK)
    assert checkpoint(store, 3).position() is None


# A state elsewhere ----------------------------------------------------------------------------------------------------


def test_a_state_can_be_kept_elsewhere_and_is_the_truth_when_it_is_adopted() -> None:
    first = checkpoint(StateStore())
    first.at_page(page(1, 0))
    state = json.loads(json.dumps(first.state(7, {"rows": 7})))
    second = checkpoint(saved(25), 2)
    assert second.adopt(state)
    assert (second.resumed, second.records) == ({"rows": 7}, 7)
    assert second.position() == Position(BEGUN.with_params(page=1), 1, 0, 7)


@pytest.mark.parametrize("state", [None, {}, {"digest": "same"}])
def test_what_cannot_be_adopted_changes_nothing(state: Any) -> None:
    second = checkpoint(saved(25), 2)
    assert not second.adopt(state)
    assert second.records == 25


def test_a_pull_that_is_done_has_no_page_to_go_on_from() -> None:
    store = StateStore()
    first = checkpoint(store)
    first.at_page(page(1, 0))
    first.save(10, SINK, done=True)
    second = checkpoint(store, 2)
    assert (second.resumed, second.records, second.position()) == (SINK, 10, None)
