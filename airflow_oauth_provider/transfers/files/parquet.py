"""The Parquet format."""

from __future__ import annotations

import base64
import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.pull.paginator import kind_of
from airflow_oauth_provider.transfers.exact_json import json_text
from airflow_oauth_provider.transfers.files.formats import (
    UNFIT_ERRORS,
    UnfitError,
    as_object,
    refuse_unknown_keys,
    unfit,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow_oauth_provider.transfers.files.formats import Limits
    from airflow_oauth_provider.transfers.files.output_file import OutputFile

# Counted from the beginning of a file, so that the same records give the same file however they came in batches.
_ROWS_AT_ONCE = 1_000
_ROW_GROUP_BYTES = 16 << 20
_DEFAULT_CODEC = "snappy"

_DECIMAL = re.compile(r"decimal(?:128)?\( *(\d+) *, *(\d+) *\)")
_TIMESTAMP = re.compile(r"timestamp\[ *(s|ms|us|ns) *, *tz *= *([^\] ]+) *\]")


class ParquetFormat:
    """
    Parquet, with the types of the first 1,000 records or those that are told.

    Nested values are JSON text, and so is text that looks like a date. Nothing is rounded, cut or left out to make it
    fit.

    :param columns: keys to write, in this order; None for those of the first 1,000 records, and no other may come later
    :param schema: the columns with their types, to which values are converted: names of Arrow such as ``int64``,
        ``double``, ``string``, ``bool``, ``date32``, ``timestamp[us, tz=UTC]``, ``decimal128(18, 2)``; or
        ``pyarrow.DataType``
    :param compression: ``gzip``, ``zstd`` or None for snappy
    :raises SettingsError: pyarrow is not installed, or there is no such type
    """

    extension = ".parquet"

    def __init__(
        self, columns: Sequence[str] | None, schema: Mapping[str, Any] | None, compression: str | None
    ) -> None:
        pa = _pyarrow()
        self._columns = list(columns) if columns is not None else None
        self._told = schema is not None
        self._schema: Any = None
        if schema is not None:
            self._schema = pa.schema([(name, _arrow_type(name, kind)) for name, kind in schema.items()])
        self.codec = compression or _DEFAULT_CODEC

    @property
    def layout(self) -> Any:
        """The schema, once it is settled."""
        return None if self._schema is None else base64.b64encode(self._schema.serialize()).decode()

    @layout.setter
    def layout(self, value: Any) -> None:
        pa = _pyarrow()
        self._schema = None if value is None else pa.ipc.read_schema(pa.py_buffer(base64.b64decode(value)))

    def writer(self, file: OutputFile, limits: Limits) -> ParquetWriter:
        """Return the writer of one file."""
        return ParquetWriter(self, file, limits)

    def open(self, file: OutputFile) -> Any:
        """Return pyarrow's writer; without any record, columns hold text."""
        pa = _pyarrow()
        schema = self._schema or pa.schema([(name, pa.string()) for name in self._columns or ()])
        return pa.parquet.ParquetWriter(file, schema, compression=self.codec)

    def table(self, records: Sequence[Any], number: int) -> Any:
        """
        Return the records, whose first one is that *number* of the run, as a table; the first ones settle the schema.

        :raises SettingsError: one of them does not fit
        """
        pa = _pyarrow()
        rows = [_checked(as_object, record, number + offset) for offset, record in enumerate(records)]
        schema = self._schema = self._schema or self._settled(rows)
        if not self._told and self._columns is None:
            known = frozenset(schema.names)
            for offset, row in enumerate(rows):
                _checked(lambda row: refuse_unknown_keys(row, known), row, number + offset)
        columns = [self._column(rows, field.name, field.type, number) for field in schema]
        return pa.table(columns, schema=schema)

    def _settled(self, rows: list[dict[str, Any]]) -> Any:
        """Return the schema of the rows; nothing but nulls is taken for text."""
        pa = _pyarrow()
        names = self._columns if self._columns is not None else dict.fromkeys(key for row in rows for key in row)
        fields = []
        for name in names:
            values = [_flat(row.get(name)) for row in rows]
            try:
                kind = pa.array(values).type
            except UNFIT_ERRORS:
                kind = pa.array([next(value for value in values if value is not None)]).type
            fields.append((name, pa.string() if pa.types.is_null(kind) else kind))
        return pa.schema(fields)

    def _column(self, rows: list[dict[str, Any]], name: str, kind: Any, number: int) -> Any:
        convert = self._converted if self._told else self._unchanged
        values = [row.get(name) for row in rows]
        try:
            return convert(values, kind)
        except UNFIT_ERRORS:
            offset = next((i for i, value in enumerate(values) if not _is_fit(convert, value, kind)), 0)
        what = f"holds {kind_of(values[offset])} in column {name[:60]!r}, which does not fit {kind} without loss"
        raise unfit(number + offset, UnfitError(f"{what}: name a type by schema, string takes all."))

    def _unchanged(self, values: list[Any], kind: Any) -> Any:
        """Return values of the kind that the first records had; numbers may take another form of the same value."""
        pa = _pyarrow()
        # With the type given, pyarrow would cut fractions off.
        array = pa.array([_flat(value) for value in values])
        if array.type == kind or pa.types.is_null(array.type) or (_is_number(array.type) and _is_number(kind)):
            return array.cast(kind)
        raise TypeError

    def _converted(self, values: list[Any], kind: Any) -> Any:
        """Return values as the kind that was asked for, where nothing is lost by that."""
        pa = _pyarrow()
        if pa.types.is_nested(kind):
            return pa.array(values, kind)
        if pa.types.is_decimal(kind):
            return pa.array([None if value is None else Decimal(str(value)) for value in values], kind)
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return pa.array([_as_text(value) for value in values], kind)
        if pa.types.is_boolean(kind) and any(_is_other_than_bool(value) for value in values):
            raise ValueError
        try:
            array = pa.array(values).cast(kind)
        except UNFIT_ERRORS:  # numbers and text of numbers, perhaps
            array = pa.concat_arrays([pa.array([value]).cast(kind) for value in values])
        if pa.types.is_floating(kind) and kind.bit_width < 64 and any(map(_is_infinite, array.to_pylist())):
            raise ValueError
        return array


class ParquetWriter:
    """Writes one file: records gather to tables, tables to row groups."""

    def __init__(self, file_format: ParquetFormat, file: OutputFile, limits: Limits) -> None:
        self._format = file_format
        self.file = file
        self._limits = limits
        self._writer: Any = None
        self._rows: list[Any] = []
        self._tables: list[Any] = []
        self._size = self._waiting = 0
        self._next = 0
        self.records = 0
        self.full = False

    def write(self, batch: Sequence[Any], number: int) -> int:
        """Take what makes the next table whole."""
        room = _ROWS_AT_ONCE - len(self._rows)
        if self._limits.records is not None:
            room = min(room, self._limits.records - self.records)
        taken = batch[:room]
        self._rows += taken
        self._next = number + len(taken)
        self.records += len(taken)
        self.full = self.records == self._limits.records
        if len(self._rows) == _ROWS_AT_ONCE:
            self._gather()
        return len(taken)

    def close(self) -> None:
        """Write what has gathered, and the end of the file."""
        if self._rows:
            self._gather()
        if self._tables or self._writer is None:
            self._write_row_group()
        if self._writer is not None:
            self._writer.close()
        self.file.close()

    def _gather(self) -> None:
        table = self._format.table(self._rows, self._next - len(self._rows))
        self._rows = []
        self._tables.append(table)
        self._size += table.nbytes
        self._waiting += table.nbytes
        if self._limits.bytes is not None and self._size >= self._limits.bytes:
            self.full = True
        if self._waiting >= _ROW_GROUP_BYTES:
            self._write_row_group()

    def _write_row_group(self) -> None:
        pa = _pyarrow()
        if self._writer is None:
            self._writer = self._format.open(self.file)
        if self._tables:
            self._writer.write_table(pa.concat_tables(self._tables))
        self._tables, self._waiting = [], 0


def _pyarrow() -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise SettingsError("file_format='parquet' needs the extra airflow-oauth-provider[parquet].") from None
    return pyarrow


def _flat(value: Any) -> Any:
    return json_text(value) if isinstance(value, dict | list) else value


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json_text(value)


def _is_number(kind: Any) -> bool:
    pa = _pyarrow()
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_other_than_bool(value: Any) -> bool:
    """Whether it is a number that Arrow would take for true."""
    return isinstance(value, int | float | Decimal) and value not in (0, 1)


def _is_infinite(value: float | None) -> bool:
    return value is not None and math.isinf(value)


def _is_fit(convert: Callable[[list[Any], Any], Any], value: Any, kind: Any) -> bool:
    try:
        convert([value], kind)
    except UNFIT_ERRORS:
        return False
    return True


def _checked(check: Callable[[Any], Any], record: Any, number: int) -> Any:
    try:
        return check(record)
    except UnfitError as error:
        raise unfit(number, error) from None


def _arrow_type(name: str, kind: Any) -> Any:
    pa = _pyarrow()
    if isinstance(kind, pa.DataType):
        return kind
    text = str(kind).strip()
    try:
        if match := _DECIMAL.fullmatch(text):
            return pa.decimal128(int(match[1]), int(match[2]))
        if match := _TIMESTAMP.fullmatch(text):
            return pa.timestamp(match[1], tz=match[2])
        return pa.type_for_alias(text)
    except ValueError:
        raise SettingsError(f"schema: {name[:60]!r} has the type {text[:60]!r}, which Arrow does not know.") from None
