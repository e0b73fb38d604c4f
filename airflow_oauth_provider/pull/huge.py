"""One huge JSON document: its records stream by, and what a paginator needs is read in a second pass."""

from __future__ import annotations

from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any

import ijson

from airflow_oauth_provider.exceptions import ResponseFormatError
from airflow_oauth_provider.pull.lines import BOM
from airflow_oauth_provider.pull.paths import path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_oauth_provider.http.received import ReceivedBody
    from airflow_oauth_provider.pull.paths import Path

_DIGITS = 2048
_LEVELS = 2000


def can_stream(where: Path | None) -> bool:
    """Whether the list at *where* can be read piece by piece: ijson joins keys by dots, and says ``item`` for all."""
    if where is None:
        return True
    return where.keys is not None and not any("." in key or key == "item" for key in where.keys)


def huge_json(
    body: ReceivedBody, where: Path | None, *, use_decimal: bool
) -> tuple[Iterator[Any], Callable[[str], Any]]:
    """
    Return the records of the list at *where*, one after the other, and what looks up something else.

    :param where: see :func:`can_stream`; without one the document is the list, or the one record
    :raises ResponseFormatError: there is no such list
    """
    keys = where.keys or () if where else ()
    kind, seen = _kind_at(body, keys)
    prefix = ".".join(keys)
    if kind == "start_array":
        prefix = f"{prefix}.item" if prefix else "item"
    elif kind == "null" and keys:
        return iter(()), lambda text: _found(body, text)
    elif kind != "start_map" and not keys:
        raise ResponseFormatError("the body is neither a list nor an object.")
    elif keys:
        what = "is not there" if kind is None else "is not a list"
        raise ResponseFormatError(f"records={prefix[:100]!r} {what}. The page has the keys {', '.join(seen)}.")
    return _records(body, prefix, use_decimal=use_decimal), lambda text: _found(body, text)


def _records(body: ReceivedBody, prefix: str, *, use_decimal: bool) -> Iterator[Any]:
    count, why = 0, ""
    try:
        with body.open() as file:
            for record in ijson.items(_Checked(file), prefix):
                yield record if use_decimal else _with_floats(record)
                count += 1
    except (ijson.JSONError, UnicodeDecodeError, ArithmeticError, RecursionError) as error:
        why = _why(error)
    if why:
        raise ResponseFormatError(f"the JSON of {body.size:,} bytes is broken after {count:,} records: {why}.")


def _kind_at(body: ReceivedBody, keys: tuple[str, ...]) -> tuple[str | None, list[str]]:
    """Return with which event the value at *keys* begins, None when it is not there; and the page's keys before it."""
    seen: list[str] = []
    try:
        with body.open() as file:
            return _descend(iter(ijson.basic_parse(_Checked(file))), keys, seen), seen
    except (ijson.JSONError, UnicodeDecodeError, ArithmeticError) as error:
        why = _why(error)
    raise ResponseFormatError(f"the JSON of {body.size:,} bytes is broken: {why}.")


def _descend(events: Iterator[tuple[str, Any]], keys: tuple[str, ...], seen: list[str]) -> str | None:
    kind, _ = next(events)
    if not keys:
        return kind
    if kind != "start_map":
        return None
    for event, key in events:
        if event == "end_map":
            return None
        seen.append(key)
        if key == keys[0]:
            return _descend(events, keys[1:], [])
        _pass_by(events)
    return None


def _pass_by(events: Iterator[tuple[str, Any]]) -> None:
    depth = 0
    for event, _ in events:
        if event in ("start_map", "start_array"):
            depth += 1
        elif event in ("end_map", "end_array"):
            depth -= 1
        if depth == 0:
            return


def _found(body: ReceivedBody, text: str) -> Any:
    where = path(text, "pagination")
    if where.keys is None or not can_stream(where):
        raise ResponseFormatError(
            f"pagination: {text[:100]!r} cannot be looked up in a document that is streamed: "
            "give a plain path such as meta.next."
        )
    try:
        with body.open() as file:
            return next(iter(ijson.items(_Checked(file), ".".join(where.keys))), None)
    except (ijson.JSONError, UnicodeDecodeError, ArithmeticError) as error:
        why = _why(error)
    raise ResponseFormatError(f"the JSON of {body.size:,} bytes is broken: {why}.")


class _Checked:
    """
    Reads a file, and refuses what ijson cannot stand.

    Numbers of thousands of digits end the process in its parser in C: it reads blocks of a size that 2,048 divides, so
    that one fills a part of them. Memory grows with the square of the levels of nested lists and objects.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._begins = True

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        if self._begins:
            block, self._begins = block.removeprefix(BOM), False
        if any(block[start : start + _DIGITS].isdigit() for start in range(0, len(block) - _DIGITS + 1, _DIGITS)):
            raise OverflowError(f"a number has more than {_DIGITS:,} digits")
        if block.count(b"[") + block.count(b"{") - block.count(b"]") - block.count(b"}") > _LEVELS:
            raise OverflowError(f"lists or objects are nested in more than {_LEVELS:,} levels")
        return block


def _why(error: Exception) -> str:
    return "it broke off" if "premature" in str(error) else str(error).split("\n")[0][:100]


def _with_floats(value: Any) -> Any:
    """Return *value* with floats for decimals; lists and objects are changed in place."""
    if isinstance(value, Decimal):
        number = float(value)
        if number in (float("inf"), float("-inf")):
            raise OverflowError(f"the number {value:E} is out of range")
        return number
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, Decimal | dict | list):
                value[key] = _with_floats(item)
    elif isinstance(value, list):
        value[:] = [_with_floats(item) for item in value]
    return value
