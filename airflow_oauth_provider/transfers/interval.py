"""Which part of the API's data a run asks for: its data interval, or what is newer than the last run saw."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_oauth_provider.exceptions import ResponseFormatError, SettingsError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

EDGES = ("start", "end")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCHS = {"epoch": timedelta(seconds=1), "epoch_ms": timedelta(milliseconds=1)}
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d.*")


def interval_params(
    context: Context, params: Mapping[str, str], interval_format: str, lookback: timedelta
) -> dict[str, Any]:
    """
    Return the query parameters that name the run's data interval.

    :param params: parameter → ``start`` or ``end``
    :param interval_format: ``iso``, ``epoch`` (seconds), ``epoch_ms``, or what ``strftime`` takes; in UTC
    :param lookback: how much earlier the interval shall begin, for records that come late
    :raises SettingsError: the run has no interval, or an empty one
    """
    start, end = context.get("data_interval_start"), context.get("data_interval_end")
    if start is None or end is None:
        raise SettingsError(
            "interval_params: this run has no data interval, as one that was started by hand or by an asset. "
            "Start it with a logical date, give the Dag a timetable with intervals, or use watermark."
        )
    try:
        begin = start - lookback
    except OverflowError:
        raise SettingsError(f"interval_lookback: {lookback} before {start} there is no time.") from None
    if begin >= end:
        raise SettingsError(
            "interval_params: the data interval of this run is empty, so nothing would be pulled. "
            "On Airflow 3 a cron schedule has no intervals: use schedule=CronDataIntervalTimetable(…)."
        )
    return {name: shown(begin if edge == "start" else end, interval_format) for name, edge in params.items()}


def shown(instant: datetime, interval_format: str) -> Any:
    """Return *instant* in UTC as the API wants it."""
    # Airflow's instants are pendulum's, whose differences are not those of the standard library.
    utc = datetime.fromisoformat(instant.isoformat()).astimezone(UTC)
    if interval_format in _EPOCHS:
        return (utc - _EPOCH) // _EPOCHS[interval_format]
    if interval_format == "iso":
        return utc.isoformat(timespec="milliseconds" if utc.microsecond else "seconds").replace("+00:00", "Z")
    return utc.strftime(interval_format)


def lookback_of(value: Any) -> timedelta:
    """
    Return a timedelta, or seconds as one.

    :raises SettingsError: it is neither, or negative
    """
    try:
        lookback = value if isinstance(value, timedelta) else timedelta(seconds=float(value or 0))
    except (TypeError, ValueError, OverflowError):
        lookback = timedelta(days=-1)
    if lookback < timedelta(0):
        raise SettingsError(f"interval_lookback is {str(value)[:30]!r}: give a timedelta, or seconds.")
    return lookback


def check_interval_format(interval_format: Any) -> None:
    """Raise SettingsError for what would be sent as it stands."""
    known = ("iso", *_EPOCHS)
    if interval_format not in known and not (isinstance(interval_format, str) and "%" in interval_format):
        raise SettingsError(
            f"interval_format is {str(interval_format)[:30]!r}: give one of {', '.join(known)}, or a strftime format."
        )


def check_interval_params(params: Mapping[str, str] | None) -> None:
    """Raise SettingsError for anything but parameters with ``start`` and ``end``."""
    if params is not None and not isinstance(params, Mapping):
        raise SettingsError("interval_params must be a dict of query parameters to 'start' or 'end'.")
    for name, edge in (params or {}).items():
        if edge not in EDGES:
            raise SettingsError(f"interval_params: {name} is {str(edge)[:30]!r}, neither 'start' nor 'end'.")


def later(first: Any, second: Any) -> Any:
    """
    Return the later of two watermarks; None is earlier than all.

    Texts that begin with a date are compared as instants, whatever their offset; others as texts, numbers as numbers.

    :raises ResponseFormatError: they cannot be compared
    """
    try:
        if first is None or second is None:
            either = second if first is None else first
            _rank(either)
            return either
        return second if _rank(second) > _rank(first) else first
    except TypeError:
        pass
    raise ResponseFormatError("watermark: the records hold values there that have no order, or are of different kinds.")


def _rank(value: Any) -> Any:
    if isinstance(value, str):
        try:
            instant = datetime.fromisoformat(value) if _INSTANT.fullmatch(value) else None
        except ValueError:
            return value
        if instant is None:
            return value
        return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float | Decimal)):
        raise TypeError
    return value
