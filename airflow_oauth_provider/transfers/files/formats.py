"""Formats of a file: records in, bytes out. One batch of records is in memory, whatever the file grows to."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.pull.paginator import kind_of
from airflow_oauth_provider.transfers.exact_json import encoder, json_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_oauth_provider.transfers.files.output_file import OutputFile

UNFIT_ERRORS = (TypeError, ValueError, ArithmeticError, RecursionError, NotImplementedError)


class UnfitError(ValueError):
    """A record that a format cannot hold; the text goes on after "Record 5"."""


@dataclass(frozen=True)
class Limits:
    """
    Where a file ends and the next one begins; None is nowhere.

    :param records: at most so many
    :param bytes: at most so many before compression; a larger record stands alone
    """

    records: int | None = None
    bytes: int | None = None


class FileWriter(Protocol):
    """Writes one ``file``. So many ``records`` are in it; when it is ``full``, the next one is due."""

    file: OutputFile
    records: int
    full: bool

    def write(self, batch: Sequence[Any], number: int) -> int:
        """Write the beginning of *batch*, whose first record is that *number* of the run; return how many it took."""

    def close(self) -> None:
        """Write what belongs at the end, and close the file."""


class FileFormat(Protocol):
    """
    What the files of one run are written in.

    ``layout`` is what the records so far have settled for all files (a header, a schema), as a JSON value: a run that
    goes on sets it.
    """

    extension: str
    layout: Any

    def writer(self, file: OutputFile, limits: Limits) -> FileWriter:
        """Return the writer of one file."""


class JsonLinesFormat:
    """JSON, one record a line; and what the other formats of text have in common with it."""

    extension = ".jsonl"
    layout: Any = None
    # Between one batch and the next, and at the end of a file.
    joint = closing = b""

    def writer(self, file: OutputFile, limits: Limits) -> FileWriter:
        """Return the writer of one file."""
        return TextWriter(self, file, limits)

    def opening(self, batch: Sequence[Any]) -> bytes:  # noqa: ARG002
        """Return what a file that begins with *batch* begins with."""
        return b""

    def encode(self, batch: Sequence[Any]) -> bytes:
        """Return the records as they stand in the file, joints between them included."""
        return encoder().encode_lines(batch)


class JsonFormat(JsonLinesFormat):
    """A JSON array, one record a line."""

    extension = ".json"
    joint = b","
    closing = b"\n]\n"

    def opening(self, batch: Sequence[Any]) -> bytes:  # noqa: ARG002
        """Return the bracket."""
        return b"["

    def encode(self, batch: Sequence[Any]) -> bytes:
        """Return the records; the line breaks between them are the only ones."""
        return b"\n" + super().encode(batch)[:-1].replace(b"\n", b",\n")


class CsvFormat(JsonLinesFormat):
    """
    CSV (RFC 4180) with a header, in UTF-8; nested values are JSON text, null is empty.

    :param columns: keys to write, in this order; None for those of the first record, and no other may come later
    """

    extension = ".csv"

    def __init__(self, columns: Sequence[str] | None = None) -> None:
        self.layout = list(columns) if columns is not None else None
        self._chosen = columns is not None
        self._known: frozenset[str] = frozenset()
        self._text = io.StringIO()
        # A lone carriage return is quoted only when lines end with it, too (before Python 3.13).
        self._writer = csv.writer(self._text, lineterminator="\r\n")

    def opening(self, batch: Sequence[Any]) -> bytes:
        """Return the header; the first record of the run settles it."""
        if self.layout is None and batch:
            self.layout = list(as_object(batch[0]))
        self._known = frozenset(self.layout or ())
        return self._lines([self.layout]) if self.layout else b""

    def encode(self, batch: Sequence[Any]) -> bytes:
        """Return the records as lines."""
        return self._lines([self._row(as_object(record)) for record in batch])

    def _row(self, record: dict[str, Any]) -> list[Any]:
        if not self._chosen:
            refuse_unknown_keys(record, self._known)
        return [
            json_text(value) if value.__class__ in (bool, dict, list) else value
            for value in map(record.get, self.layout or ())
        ]

    def _lines(self, rows: list[list[Any]]) -> bytes:
        self._text.seek(0)
        self._text.truncate()
        self._writer.writerows(rows)
        return self._text.getvalue().encode()


class TextWriter:
    """Writes one file of a format whose records stand one after the other."""

    def __init__(self, file_format: JsonLinesFormat, file: OutputFile, limits: Limits) -> None:
        self._format = file_format
        self.file = file
        self._limits = limits
        self.records = 0
        self.full = False

    def write(self, batch: Sequence[Any], number: int) -> int:
        """Write as many records as the limits let in."""
        limits = self._limits
        if limits.records is not None:
            batch = batch[: limits.records - self.records]
        try:
            if not self.records:
                self.file.write(self._format.opening(batch))
            data = self._format.encode(batch)
            if limits.bytes is not None and len(data) > self._room(limits.bytes):
                batch = batch[: self._fitting(batch, limits.bytes)]
                data = self._format.encode(batch) if batch else b""
                self.full = True
        except UNFIT_ERRORS as error:
            raise self._unfit(batch, number, error) from None
        self.file.write(self._format.joint + data if self.records and batch else data)
        self.records += len(batch)
        self.full = self.full or self.records == limits.records
        return len(batch)

    def close(self) -> None:
        """Write the end of the file."""
        if not self.records:
            self.file.write(self._format.opening(()))
        self.file.write(self._format.closing)
        self.file.close()

    def _room(self, limit: int) -> int:
        return limit - self.file.size - len(self._format.closing) - len(self._format.joint) * bool(self.records)

    def _fitting(self, batch: Sequence[Any], limit: int) -> int:
        """Return how many of the records fit: at least one in an empty file."""
        room = self._room(limit)
        for count, record in enumerate(batch):
            room -= len(self._format.encode((record,))) + len(self._format.joint) * bool(count)
            if room < 0 and self.records + count:
                return count
        return len(batch)

    def _unfit(self, batch: Sequence[Any], number: int, error: Exception) -> SettingsError:
        """Return the error of the whole batch with the number of the record that caused it."""
        for offset, record in enumerate(batch):
            try:
                self._format.encode((record,))
            except UNFIT_ERRORS as cause:
                return unfit(number + offset, cause)
        return unfit(number, error)


class RawFormat:
    """Bytes as they came."""

    extension = ".bin"
    layout: Any = None

    def writer(self, file: OutputFile, limits: Limits) -> FileWriter:  # noqa: ARG002
        """Return the writer of one file."""
        return RawWriter(file)


class RawWriter:
    """Writes one file of bytes; it is never full."""

    full = False

    def __init__(self, file: OutputFile) -> None:
        self.file = file
        self.records = 0

    def write(self, batch: Sequence[Any], number: int) -> int:  # noqa: ARG002
        """Write all the chunks."""
        for chunk in batch:
            self.file.write(chunk)
        return len(batch)

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def as_object(record: Any) -> dict[str, Any]:
    """
    Return the record.

    :raises UnfitError: it has no keys
    """
    if not isinstance(record, dict):
        raise UnfitError(f"is {kind_of(record)}, not an object: select objects by records, or take jsonl or json.")
    return record


def refuse_unknown_keys(record: dict[str, Any], known: frozenset[str]) -> None:
    """
    Look whether a record has nothing that would be lost.

    :raises UnfitError: it has
    """
    if not record.keys() <= known:
        new = next(key for key in record if key not in known)
        raise UnfitError(f"has the key {new[:60]!r}, for which there is no column: say by columns which to write.")


def unfit(number: int, error: Exception) -> SettingsError:
    """Return the error that names the record."""
    why = str(error) if isinstance(error, UnfitError) else f"cannot be written: {error}."
    return SettingsError(f"file_format: record {number:,} {why[:400]}")
