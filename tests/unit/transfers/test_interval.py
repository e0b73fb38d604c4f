from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pendulum
import pytest

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.transfers.interval import (
    check_interval_format,
    check_interval_params,
    interval_params,
    lookback_of,
    shown,
)

START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
BOTH = {"since": "start", "until": "end"}
NONE = timedelta(0)


def params_of(start: Any, end: Any, lookback: timedelta = NONE, interval_format: str = "iso") -> dict[str, Any]:
    context: Any = {"data_interval_start": start, "data_interval_end": end}
    return interval_params(context, BOTH, interval_format, lookback)


def test_the_edges_of_the_interval_go_where_they_are_told_to() -> None:
    context: Any = {"data_interval_start": START, "data_interval_end": END}
    assert interval_params(context, {"from": "start"}, "iso", NONE) == {"from": "2026-03-01T00:00:00Z"}
    assert interval_params(context, {"a": "end", "b": "end"}, "%d", NONE) == {"a": "02", "b": "02"}
    assert interval_params(context, {}, "iso", NONE) == {}


@pytest.mark.parametrize(
    ("interval_format", "since", "until"),
    [
        ("iso", "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"),
        ("epoch", 1772323200, 1772409600),
        ("epoch_ms", 1772323200000, 1772409600000),
        ("%Y-%m-%d", "2026-03-01", "2026-03-02"),
        ("%Y%m%dT%H%M", "20260301T0000", "20260302T0000"),
    ],
)
def test_each_format_is_in_utc_whatever_the_timetable_says(interval_format: str, since: Any, until: Any) -> None:
    expected = {"since": since, "until": until}
    assert params_of(START, END, interval_format=interval_format) == expected
    west, berlin = timezone(-timedelta(hours=8)), pendulum.timezone("Europe/Berlin")
    assert params_of(START.astimezone(west), END.astimezone(west), interval_format=interval_format) == expected
    start, end = (pendulum.instance(instant).in_timezone(berlin) for instant in (START, END))
    assert params_of(start, end, interval_format=interval_format) == expected


@pytest.mark.parametrize(
    ("microsecond", "iso", "epoch_ms"),
    [(0, "00Z", 0), (1, "00.000Z", 0), (999, "00.000Z", 0), (1000, "00.001Z", 1), (999_999, "00.999Z", 999)],
)
def test_parts_of_a_second_are_milliseconds(microsecond: int, iso: str, epoch_ms: int) -> None:
    instant = START.replace(microsecond=microsecond)
    assert shown(instant, "iso") == f"2026-03-01T00:00:{iso}"
    assert shown(instant, "epoch_ms") == 1772323200000 + epoch_ms
    assert shown(instant, "epoch") == 1772323200


def test_milliseconds_are_exact() -> None:
    for number in range(1000):
        assert shown(START + timedelta(milliseconds=number), "epoch_ms") == 1772323200000 + number
    assert shown(datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC), "epoch") == -1


def test_a_lookback_begins_earlier_and_ends_the_same() -> None:
    assert params_of(START, END, timedelta(hours=1, milliseconds=1)) == {
        "since": "2026-02-28T22:59:59.999Z",
        "until": "2026-03-02T00:00:00Z",
    }


@pytest.mark.parametrize(("start", "end"), [(None, None), (START, None), (None, END)])
def test_a_run_without_an_interval_says_what_to_do(start: Any, end: Any) -> None:
    with pytest.raises(SettingsError, match=r"interval_params: this run has no data interval.*watermark"):
        params_of(start, end)
    with pytest.raises(SettingsError, match="no data interval"):
        interval_params({}, BOTH, "iso", NONE)


@pytest.mark.parametrize(("start", "end"), [(START, START), (END, START)])
def test_an_empty_interval_says_what_to_do(start: Any, end: Any) -> None:
    with pytest.raises(SettingsError, match=r"interval_params: the data interval of this run is empty.*Timetable"):
        params_of(start, end)


def test_an_empty_interval_with_a_lookback_is_not_empty() -> None:
    assert params_of(START, START, timedelta(days=1))["since"] == "2026-02-28T00:00:00Z"


@pytest.mark.parametrize("kind", [lambda instant: instant, pendulum.instance])
def test_there_is_no_time_before_time(kind: Any) -> None:
    with pytest.raises(SettingsError, match=r"interval_lookback: .* there is no time"):
        params_of(kind(START), kind(END), timedelta(days=1_000_000))


@pytest.mark.parametrize(
    ("value", "lookback"),
    [
        (0, NONE), (None, NONE), ("", NONE), (90, timedelta(seconds=90)), (1.5, timedelta(seconds=1.5)),
        ("90", timedelta(seconds=90)), (timedelta(days=1), timedelta(days=1)),
    ],
)  # fmt: skip
def test_a_lookback_is_a_timedelta_or_seconds(value: Any, lookback: timedelta) -> None:
    assert lookback_of(value) == lookback


@pytest.mark.parametrize(
    "value", [-1, timedelta(seconds=-1), "a day", [1], float("nan"), float("inf"), 1e300, {"a": 1}]
)
def test_what_is_no_lookback_is_refused(value: Any) -> None:
    with pytest.raises(SettingsError, match=r"interval_lookback is .*: give a timedelta, or seconds"):
        lookback_of(value)


@pytest.mark.parametrize("right", ["iso", "epoch", "epoch_ms", "%Y", "from %s on", "%"])
def test_a_format_is_known_or_has_a_percent_sign(right: str) -> None:
    check_interval_format(right)


@pytest.mark.parametrize("wrong", ["", "ISO", "iso8601", "YYYY-MM-DD", None, 5, b"%Y", ["iso"]])
def test_a_format_that_would_be_sent_as_it_stands_is_refused(wrong: Any) -> None:
    with pytest.raises(SettingsError, match=r"interval_format is .*: give one of iso, epoch, epoch_ms, or a strftime"):
        check_interval_format(wrong)


@pytest.mark.parametrize("right", [None, {}, BOTH, {"a": "start"}, {"a": "end", "b": "end"}])
def test_parameters_are_edges(right: Any) -> None:
    check_interval_params(right)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"since": "begin"}, "interval_params: since is 'begin', neither 'start' nor 'end'"),
        ({"since": "start", "until": "END"}, "until is 'END'"),
        ({"since": None}, "since is 'None'"),
        ({"since": ["start"]}, "since is "),
        (["start"], "interval_params must be a dict"),
        ("start", "interval_params must be a dict"),
        (5, "interval_params must be a dict"),
    ],
)
def test_what_is_no_edge_is_refused(wrong: Any, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        check_interval_params(wrong)
