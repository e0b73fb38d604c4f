"""How far an asset's data reaches: compared as what it is, kept exactly, moved forward only."""

from __future__ import annotations

import json
import logging
from decimal import Decimal
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Asset

from airflow_oauth_provider.exceptions import ResponseFormatError, SettingsError
from airflow_oauth_provider.transfers.interval import later
from airflow_oauth_provider.transfers.watermark import Watermark, check_watermark, from_text, to_text
from tests.support.transfer_runs import LOGGER, StateStore, try_of

ORDERS = Asset("s3://bucket/orders")
KEY = "oauth2_watermark.shop.orders"


def watermark(store: Any, path: str = "at", **identity: Any) -> Watermark:
    """Return what a run finds."""
    return Watermark(try_of(1, asset_state_store={ORDERS: store}, **identity), path, [ORDERS], LOGGER)


def kept(store: StateStore, key: str = KEY) -> Any:
    """Return which value stands with the asset."""
    return json.loads(store[key])["value"] if key in store else None


# Which is later -------------------------------------------------------------------------------------------------------

IN_ORDER: list[tuple[Any, Any]] = [
    (None, 0),
    (None, "a"),
    (1, 2),
    (-1, 0),
    (1, 1.5),
    (Decimal("1.10"), Decimal("1.11")),
    (Decimal("20260101.000000000000000001"), Decimal("20260101.000000000000000002")),
    (1, Decimal("1.5")),
    (10**30, 10**30 + 1),
    # Instants, whatever their offset and precision.
    ("2026-01-01", "2026-01-02"),
    ("2026-01-01", "2026-01-01T00:00:01"),
    ("2026-01-01T01:00:00+02:00", "2026-01-01T00:00:00Z"),
    ("2026-01-01 00:00:00", "2026-01-01T00:00:00.001Z"),
    ("2026-01-01T09:00:00Z", "2026-01-01T10:00:00.5+00:00"),
    # Other texts: no guess is made.
    ("10", "9"),
    ("20240101", "20249999"),
    ("12345678", "99991231"),
    ("2026-W01", "2026-W02"),
    ("abc", "abd"),
    ("01HZX", "01HZY"),
    ("", "a"),
]


@pytest.mark.parametrize(("first", "second"), IN_ORDER)
def test_the_later_of_two_is_found_from_both_sides(first: Any, second: Any) -> None:
    assert later(first, second) == second
    assert later(second, first) == second
    assert later(second, second) == second


def test_of_equal_ones_the_first_stays_as_it_was_written() -> None:
    assert later("2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00") == "2026-01-01T00:00:00Z"
    assert later(None, None) is None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (1, "1"), ("a", 1), (Decimal(1), "1"), ("2026-01-01", "abc"), ("2026-99-99", "2026-01-01"), (True, False),
        (None, True), (None, [1]), (None, {"a": 1}), ([], []), (b"a", b"b"), (1, [1]),
    ],
)  # fmt: skip
def test_what_has_no_order_is_the_apis_error(first: Any, second: Any) -> None:
    with pytest.raises(ResponseFormatError, match="watermark: the records hold values there that have no order"):
        later(first, second)


@pytest.mark.parametrize(
    ("values", "before", "latest"),
    [
        ([], None, None), ([], 5, 5), ([1, 3, 2], None, 3), ([1, 3, 2], 7, 7), ([None, "", 4, None], None, 4),
        ([None, ""], None, None), ([""], "a", "a"), (["2026-01-02", "2026-01-01"], "2026-01-01", "2026-01-02"),
        ([Decimal("1.10"), Decimal("1.2")], 1, Decimal("1.2")), ([0], None, 0), ([-1], 0, 0),
    ],
)  # fmt: skip
def test_the_largest_of_a_batch_counts_and_what_is_empty_does_not(values: list[Any], before: Any, latest: Any) -> None:
    found = watermark(StateStore(), "meta.at")
    assert found.latest([{"meta": {"at": value}} for value in values], before) == latest
    assert found.latest([{"id": 1}, {"meta": None}, "text", None, [1]], before) == before


@pytest.mark.parametrize("batch", [[1, "a"], [True], [[1]], [{"a": 1}], ["2026-01-01", "soon"]])
def test_a_batch_of_different_kinds_is_an_error(batch: list[Any]) -> None:
    with pytest.raises(ResponseFormatError, match="of different kinds"):
        watermark(StateStore()).latest([{"at": value} for value in batch], None)


# What is kept ---------------------------------------------------------------------------------------------------------

VALUES: list[tuple[Any, Any]] = [
    ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
    (7, 7),
    (10**30, 10**30),
    (Decimal("1.10"), "1.10"),
    (Decimal("20260101000000.123456789012345678"), "20260101000000.123456789012345678"),
    (Decimal("1E+3"), "1000"),
    ('quote " and é', 'quote " and é'),
]


@pytest.mark.parametrize(("value", "sent"), VALUES)
def test_the_next_run_sends_what_this_one_saw(value: Any, sent: Any) -> None:
    store = StateStore()
    watermark(store).advance(value)
    found = watermark(store, run_id="run-2")
    assert (found.value, type(found.value)) == (value, type(value))
    assert (found.shown(), type(found.shown())) == (sent, type(sent))
    assert from_text(to_text(value)) == value
    assert kept(store) == (float(value) if isinstance(value, Decimal) else value)


def test_a_run_that_overlaps_with_a_later_one_does_not_move_it_back() -> None:
    store = StateStore()
    watermark(store).advance(10)
    slow, quick = (watermark(store, run_id=run) for run in ("run-2", "run-3"))
    quick.advance(30)
    slow.advance(20)
    assert kept(store) == 30
    assert watermark(store, run_id="run-4").value == 30


def test_a_float_is_kept_as_it_is_written() -> None:
    store = StateStore()
    watermark(store).advance(1.1)
    assert kept(store) == 1.1
    assert watermark(store, run_id="run-2").shown() == "1.1"


def test_without_one_there_is_none_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER.name)
    store = StateStore()
    assert watermark(store).value is None
    assert "There is no watermark to begin at: everything is pulled." in caplog.text
    store[KEY] = '"2026-01-01"'
    assert watermark(store).value == "2026-01-01"
    assert "behind the watermark 2026-01-01" in caplog.text
    assert (to_text(None), from_text(None), from_text(5)) == (None, None, None)


@pytest.mark.parametrize("text", ["2026-01-01", "2026-01-01T00:00:00Z", "abc", "", "{"])
def test_what_somebody_typed_in_by_hand_is_a_text(text: str) -> None:
    store = StateStore()
    store[KEY] = text
    assert watermark(store).value == text


@pytest.mark.parametrize(
    ("before", "value", "moves"),
    [(None, 5, True), (5, 6, True), (5, 5, False), (5, 4, False), (5, None, False), (None, None, False),
     ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000+00:00", False)],
)  # fmt: skip
def test_it_only_moves_forward(before: Any, value: Any, moves: bool) -> None:
    events: list[Any] = []
    store = StateStore(events)
    watermark(store).advance(before)
    events.clear()
    watermark(store, run_id="run-2").advance(value)
    assert events == (["store set"] if moves else [])
    assert kept(store) == (value if moves else before)


def test_a_run_that_begins_again_begins_where_it_began() -> None:
    store = StateStore()
    watermark(store, run_id="run-1").advance(5)
    assert watermark(store, run_id="run-1").value is None
    watermark(store, run_id="run-2").advance(9)
    again = watermark(store, run_id="run-2")
    assert again.value == 5
    again.advance(8)  # less than before: what was there may have gone
    assert kept(store) == 9
    again.advance(12)
    assert (kept(store), watermark(store, run_id="run-2").value) == (12, 5)
    assert watermark(store, run_id="run-3").value == 12
    assert watermark(store, run_id="run-1").value == 12  # it is not the last one any more


def test_a_value_that_was_kept_without_its_run_is_good_for_every_run() -> None:
    store = StateStore()
    store[KEY] = "7"
    assert watermark(store).value == 7


@pytest.mark.parametrize(
    ("identity", "key"),
    [
        ({}, "oauth2_watermark.shop.orders"),
        ({"dag_id": "a", "task_id": "b.c"}, "oauth2_watermark.a.b.c"),
        ({"map_index": 0}, "oauth2_watermark.shop.orders.0"),
        ({"map_index": None}, "oauth2_watermark.shop.orders"),
    ],
)
def test_each_task_that_writes_an_asset_has_one_of_its_own(identity: dict[str, Any], key: str) -> None:
    store = StateStore()
    watermark(store, **identity).advance(5)
    watermark(store, **identity, run_id="another").advance(6)
    assert list(store) == [key]
    assert kept(store, key) == 6


def test_it_is_kept_with_the_asset_among_the_outlets() -> None:
    store = StateStore()
    context = try_of(1, asset_state_store={Asset("s3://other"): StateStore(), ORDERS: store})
    Watermark(context, "at", ["not an asset", ORDERS], LOGGER).advance(5)
    assert kept(store) == 5


@pytest.mark.parametrize("context", [{}, {"asset_state_store": None}])
def test_airflow_before_3_3_keeps_none(context: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"watermark needs Airflow 3\.3 or newer.*use interval_params"):
        Watermark(try_of(1, **context), "at", [ORDERS], LOGGER)


# What can be wrong ----------------------------------------------------------------------------------------------------


class MyAsset(Asset):  # type: ignore[misc,unused-ignore]
    """One of somebody's own."""


def test_a_watermark_is_a_value_a_parameter_and_one_asset() -> None:
    check_watermark(None, None, [])
    check_watermark("meta.at", "since", [ORDERS])
    check_watermark("max(a, b)", "since", ["no asset", MyAsset("s3://mine")])


@pytest.mark.parametrize(
    ("place", "param", "outlets", "why"),
    [
        ("at", None, [ORDERS], "watermark and watermark_param belong together"),
        (None, "since", [ORDERS], "watermark and watermark_param belong together"),
        ("at[", "since", [ORDERS], r"watermark: 'at\[' is not a JMESPath"),
        ("", "since", [ORDERS], "watermark: '' is not a JMESPath"),
        (5, "since", [ORDERS], "watermark: 5 is not a JMESPath"),
        ("at", "since", [], "watermark needs exactly one Asset in outlets"),
        ("at", "since", ["s3://bucket"], "watermark needs exactly one Asset in outlets"),
        ("at", "since", [ORDERS, Asset("s3://other")], "watermark needs exactly one Asset in outlets"),
    ],
)
def test_what_cannot_be_kept_or_sent_is_refused(place: Any, param: Any, outlets: list[Any], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        check_watermark(place, param, outlets)
