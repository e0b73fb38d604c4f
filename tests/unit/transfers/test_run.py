"""A try of a transfer: batches in order, what is safe, and how it ends; the API is mocked, the sink a list."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests_mock as mocking

from airflow_oauth_provider.exceptions import ApiRefusedError
from airflow_oauth_provider.pull.pagination import LinkHeader, Offset
from tests.support.made_up import API_URL
from tests.support.pulls import ORDERS, PAGED, calls, numbered
from tests.support.transfer_runs import ListSink, ListTransfer, StateStore, try_of


def asked(api: mocking.Mocker) -> list[dict[str, list[str]]]:
    """Return the queries that the API saw."""
    return [request.qs for request in calls(api)]


def offsets(api: mocking.Mocker) -> list[int]:
    return [int(query["offset"][0]) for query in asked(api)]


def failing_at(count: int) -> Callable[[str], None]:
    """Return what fails when a batch is written for that time."""
    seen = 0

    def fail(happens: str) -> None:
        nonlocal seen
        seen += happens == "write"
        if happens == "write" and seen == count:
            raise RuntimeError("no")

    return fail


# All is well ----------------------------------------------------------------------------------------------------------


def test_pages_become_batches_in_order_and_the_result_is_what_the_sink_says(api: mocking.Mocker) -> None:
    transfer = ListTransfer(**PAGED)
    assert transfer.execute(try_of(1)) == {"records": 25, "resumed": False}
    (sink,) = transfer.sinks
    assert sink.records == list(range(25))
    assert sink.batches == [10, 10, 5]
    assert transfer.events == ["open", *["write", "end of page"] * 3, "end of page", "finish"]
    assert sink.summary == {"pages": 4, "records": 25, "seconds": pytest.approx(0, abs=30)}


def test_a_batch_has_at_most_a_thousand_records(api: mocking.Mocker) -> None:
    api.get(ORDERS, json=list(range(2500)))
    transfer = ListTransfer()
    transfer.execute(try_of(1))
    assert transfer.sinks[0].batches == [1000, 1000, 500]


def test_raw_bodies_are_handed_on_in_small_batches(api: mocking.Mocker) -> None:
    api.get(ORDERS, content=b"x" * (10 << 17))
    transfer = ListTransfer(response_format="raw")
    assert transfer.execute(try_of(1))["records"] == 0
    assert transfer.sinks[0].batches == [8, 2]
    assert transfer.events[-2:] == ["end of page", "finish"]


def test_the_request_is_sent_as_told(api: mocking.Mocker) -> None:
    api.post(ORDERS, json=[])
    ListTransfer(method="post", query={"q": "x"}, json={"a": 1}, headers={"X-Mine": "1"}).execute(try_of(1))
    last = api.last_request
    assert last is not None
    assert (last.method, last.qs, last.json(), last.headers["X-Mine"]) == ("POST", {"q": ["x"]}, {"a": 1}, "1")


def test_a_sink_that_has_everything_already_needs_no_request(api: mocking.Mocker) -> None:
    class Complete(ListSink):
        complete = True

    transfer = ListTransfer(**PAGED, sink_kind=Complete)
    assert transfer.execute(try_of(1)) == {"records": 0, "resumed": False}
    assert transfer.events == ["open", "finish"]
    assert asked(api) == []


# Going on -------------------------------------------------------------------------------------------------------------


def left_by_a_failed_try() -> StateStore:
    """Return what a first try left behind that failed in its third page, with 20 records that are safe."""
    store = StateStore()
    first = ListTransfer(**PAGED, save_every=5, fail=failing_at(3))
    with pytest.raises(RuntimeError, match="no"):
        first.execute(try_of(1, task_state_store=store))
    return store


@pytest.mark.parametrize("save_every", [1, 4, 10, 25])
@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_a_retry_goes_on_behind_what_is_safe_and_loses_and_doubles_nothing(
    api: mocking.Mocker, save_every: int, fails_at: int, log: pytest.LogCaptureFixture
) -> None:
    store = StateStore()
    first = ListTransfer(**PAGED, save_every=save_every, fail=failing_at(fails_at))
    with pytest.raises(RuntimeError, match="no"):
        first.execute(try_of(1, task_state_store=store))
    safe = len(first.sinks[0].records) // save_every * save_every
    before = len(asked(api))

    second = ListTransfer(**PAGED, save_every=save_every)
    result = second.execute(try_of(2, task_state_store=store))

    assert first.sinks[0].records[:safe] + second.sinks[0].records == list(range(25))
    assert result == {"records": 25, "resumed": safe > 0}
    assert second.sinks[0].checkpoint.resumed == ({"safe": safe} if safe else None)
    assert second.sinks[0].summary["records"] == 25
    assert second.sinks[0].summary["pages"] == 4
    assert offsets(api)[before] == max(safe - 1, 0) // 10 * 10
    assert store == {}
    assert ("Goes on in page" in log.text) is (safe > 0)


def test_what_a_retry_saves_counts_from_the_beginning_of_the_run(api: mocking.Mocker) -> None:
    got: list[Any] = []
    store = StateStore()
    api.get(ORDERS, json=numbered(60))
    for number, fail in ((1, 3), (2, 2)):
        transfer = ListTransfer(**PAGED, save_every=4, fail=failing_at(fail))
        with pytest.raises(RuntimeError):
            transfer.execute(try_of(number, task_state_store=store))
        safe = json.loads(store["oauth2_transfer"])["records"]
        got += transfer.sinks[0].records[: safe - len(got)]
    assert got == list(range(28))
    last = ListTransfer(**PAGED)
    last.execute(try_of(3, task_state_store=store))
    assert got + last.sinks[0].records == list(range(60))
    assert last.sinks[0].summary["records"] == 60


def test_a_retry_of_a_retry_goes_on_too(api: mocking.Mocker) -> None:
    store, got = StateStore(), []
    for number, fail in ((1, 1), (2, 1), (3, 99)):
        transfer = ListTransfer(**PAGED, save_every=5, fail=failing_at(fail + 1))
        try:
            transfer.execute(try_of(number, task_state_store=store))
        except RuntimeError:
            safe = len(transfer.sinks[0].records) // 5 * 5
        else:
            safe = len(transfer.sinks[0].records)
        got += transfer.sinks[0].records[:safe]
    assert got == list(range(25))


@pytest.mark.parametrize(
    "changed",
    [
        {"query": {"status": "open"}}, {"endpoint": f"{ORDERS}?x=y"}, {"pagination": Offset(9)}, {"max_pages": 99},
        {"resume": False}, {"headers": {"X": "1"}}, {"use_decimal": True},
    ],
)  # fmt: skip
def test_a_retry_that_asks_for_something_else_starts_over(api: mocking.Mocker, changed: dict[str, Any]) -> None:
    store = left_by_a_failed_try()
    other = ListTransfer(**{**PAGED, **changed})
    assert other.execute(try_of(2, task_state_store=store)) == {"records": 25, "resumed": False}


def test_a_cleared_task_starts_over(api: mocking.Mocker) -> None:
    store = left_by_a_failed_try()
    again = ListTransfer(**PAGED)
    assert not again.execute(try_of(2, max_tries=5, clear_number=1, task_state_store=store))["resumed"]


def test_functions_are_told_apart_by_their_names(api: mocking.Mocker) -> None:
    def kept_by(pagination: Any) -> str:
        store = _Keeping()
        ListTransfer(pagination=pagination, save_every=1, endpoint="numbers").execute(try_of(1, task_state_store=store))
        return str(json.loads(store["oauth2_transfer"])["digest"])

    api.get(f"{API_URL}/numbers", json=[1])
    assert kept_by(_one) == kept_by(_one)
    assert len({kept_by(_one), kept_by(_other), kept_by(None), kept_by(LinkHeader())}) == 4


def _one(response: Any) -> None:
    return None


def _other(response: Any) -> None:
    return None


class _Keeping(StateStore):
    """Deletes nothing."""

    def delete(self, key: str) -> None:
        """Keep it: the test looks at it."""


def test_a_place_that_has_expired_is_left_and_everything_pulled_anew(
    api: mocking.Mocker, log: pytest.LogCaptureFixture
) -> None:
    store = left_by_a_failed_try()
    refusals = [10]

    def expired(request: Any, context: Any) -> Any:
        if int(request.qs["offset"][0]) in refusals:
            refusals.clear()
            context.status_code = 410
        return numbered(25)(request, context)

    api.get(ORDERS, json=expired)
    second = ListTransfer(**PAGED)
    result = second.execute(try_of(2, task_state_store=store))
    assert result == {"records": 25, "resumed": False}
    assert second.sinks[-1].records == list(range(25))
    assert "this try starts over" in log.text


@pytest.mark.parametrize("refused_at", [20, 10])
def test_a_refusal_later_on_or_of_what_cannot_be_written_twice_fails_the_task(
    api: mocking.Mocker, refused_at: int
) -> None:
    store = left_by_a_failed_try()

    def refusing(request: Any, context: Any) -> Any:
        if int(request.qs["offset"][0]) == refused_at:
            context.status_code = 410
        return numbered(25)(request, context)

    class Appending(ListSink):
        can_start_over = False

    api.get(ORDERS, json=refusing)
    second = ListTransfer(**PAGED, sink_kind=Appending if refused_at == 10 else ListSink)
    with pytest.raises(ApiRefusedError, match="410"):
        second.execute(try_of(2, task_state_store=store))
    assert second.events == ["open", *["end of page"] * (refused_at // 10 - 1), "abort"]
    assert store  # the next try goes on from there
