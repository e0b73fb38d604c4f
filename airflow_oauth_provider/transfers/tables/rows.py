"""Records → rows: the values of the chosen columns, as a database driver takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from airflow_oauth_provider.exceptions import OAuth2Error, PermanentError, SettingsError
from airflow_oauth_provider.pull.paginator import kind_of
from airflow_oauth_provider.transfers.exact_json import json_text

Row = tuple[Any, ...]
Getter = Callable[[Any], Any]
Converters = Mapping[type, Callable[[Any], Any]]

_UNWRITABLE = object()
_SQLITE_INTEGERS = range(-(2**63), 2**63)


def getters(columns: Sequence[str] | Mapping[str, str]) -> dict[str, Getter]:
    """
    Return how the value of each column is found in a record.

    :param columns: names that are the records' keys as they stand, or JMESPath by name
    :raises SettingsError: no columns, no names, a name twice, or no JMESPath
    """
    if not isinstance(columns, Sequence | Mapping) or isinstance(columns, str | bytes) or not columns:
        raise SettingsError("columns must be a list of names, or a dict of column: JMESPath.")
    for name in columns:
        if not isinstance(name, str) or not name or "\0" in name:
            raise SettingsError(f"columns: {str(name)[:100]!r} is not the name of a column.")
        if list(columns).count(name) > 1:
            raise SettingsError(f"columns: {name!r} is named twice.")
    if isinstance(columns, Mapping):
        from airflow_oauth_provider.pull.paths import path

        return {name: path(text, f"columns[{name!r}]").find for name, text in columns.items()}
    return {name: _by_name(name) for name in columns}


def _by_name(name: str) -> Getter:
    return lambda record: record.get(name)


def converters(dialect: str, *, exact_floats: bool = False) -> Converters:
    """
    Return what becomes of values that a driver cannot take, or would change, by their type.

    :param dialect: the database's, as SQLAlchemy names it
    :param exact_floats: the driver hands floats over in binary, of which NUMERIC columns keep 15 digits
    """
    made: dict[type, Callable[[Any], Any]] = {dict: json_text, list: json_text}
    if dialect == "sqlite":
        made |= {Decimal: str, int: lambda value: value if value in _SQLITE_INTEGERS else str(value)}
    if exact_floats:
        made |= {float: lambda value: Decimal(repr(value))}
    return made


class RowMaker:
    """
    Makes rows of records.

    :param columns: see :func:`getters`
    :param keys: columns that must have a value
    :param convert: see :func:`converters`
    """

    def __init__(self, columns: Mapping[str, Getter], keys: Sequence[str], convert: Converters) -> None:
        self._columns = list(columns.items())
        self._keys = [(key, list(columns).index(key)) for key in keys]
        self._convert = convert
        self._empty = dict(enumerate(columns))

    @property
    def never_seen(self) -> list[str]:
        """Columns for which no record had a value so far."""
        return list(self._empty.values())

    def rows(self, records: Sequence[Any], first: int) -> list[Row]:
        """
        Return a row for each record.

        :param first: number of the first record, for errors
        :raises OAuth2Error: a record is no object, has no key, or a value that cannot be written
        """
        rows = [self._row(record, number) for number, record in enumerate(records, first)]
        if self._empty:
            self._empty = {i: name for i, name in self._empty.items() if all(row[i] is None for row in rows)}
        return rows

    def _row(self, record: Any, number: int) -> Row:
        if not isinstance(record, Mapping):
            raise PermanentError(
                f"Record {number:,} is {kind_of(record)}, not an object with columns: select the list of objects by "
                "records."
            )
        values = []
        for name, find in self._columns:
            value = self._found(find, record, number)
            if type(value) in self._convert:
                try:
                    value = self._convert[type(value)](value)
                except (ValueError, TypeError, RecursionError):
                    value = _UNWRITABLE
            if value is _UNWRITABLE:
                raise PermanentError(f"Record {number:,}: what it has for column {name!r} cannot be written as JSON.")
            values.append(value)
        for key, position in self._keys:
            if values[position] is None:
                raise PermanentError(
                    f"Record {number:,} has nothing for the key column {key!r}: a row without a key would be added "
                    "again each time."
                )
        return tuple(values)

    @staticmethod
    def _found(find: Getter, record: Any, number: int) -> Any:
        try:
            return find(record)
        except OAuth2Error as error:
            raise type(error)(f"Record {number:,}: {error}") from None


def last_of_each_key(rows: list[Row], keys: Sequence[int]) -> list[Row]:
    """Return *rows* without those that a later one replaces: a statement may touch a row only once."""
    return list({tuple(row[i] for i in keys): row for row in rows}.values()) if keys else rows
