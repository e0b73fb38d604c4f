"""One huge JSON document: its records stream by, and what a paginator needs is read in a second pass."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import ijson

from airflow_oauth_provider.exceptions import ResponseFormatError
from airflow_oauth_provider.pull.paths import path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_oauth_provider.pull.body import Body
    from airflow_oauth_provider.pull.paths import Path


def huge_json(body: Body, where: Path | None, *, use_decimal: bool) -> tuple[Iterator[Any], Callable[[str], Any]]:
    """
    Return the records of the list at *where*, one after the other, and what looks up something else.

    :param where: a plain dotted path; without one the document is the list, or the one record
    """
    prefix = ".".join(where.keys or ()) if where else ""
    return _records(body, prefix, use_decimal=use_decimal), lambda text: _found(body, text)


def _records(body: Body, prefix: str, *, use_decimal: bool) -> Iterator[Any]:
    count, why = 0, ""
    try:
        with body.open() as file:
            items = ijson.items(file, f"{prefix}.item" if prefix else "item")
            for count, record in enumerate(items, start=1):  # noqa: B007  # told when it breaks
                yield record if use_decimal else _with_floats(record)
        if count == 0:
            yield from _without_list(body, prefix, use_decimal=use_decimal)
    except (ijson.JSONError, UnicodeDecodeError) as error:
        why = "it broke off" if "premature" in str(error) else str(error).split("\n")[0][:100]
    if why:
        raise ResponseFormatError(f"the JSON of {body.size:,} bytes is broken after {count:,} records: {why}.")


def _without_list(body: Body, prefix: str, *, use_decimal: bool) -> Iterator[Any]:
    """Yield nothing for an empty list; what is no list is an error, and an object where none is named is the record."""
    keys: list[str] = []
    event = None
    with body.open() as file:
        for place, kind, value in ijson.parse(file):
            if place == "" and kind == "map_key" and len(keys) < 20:
                keys.append(value)
            if place == prefix and kind != "map_key":
                event = kind
                break
    if event in ("start_array", "null") or (event is None and not prefix):
        return
    if not prefix and event == "start_map":
        with body.open() as file:
            record = next(iter(ijson.items(file, "")))
        yield record if use_decimal else _with_floats(record)
        return
    what = "is not there" if event is None else "is not a list"
    raise ResponseFormatError(f"records={prefix[:100]!r} {what}. The page has the keys {', '.join(keys)}.")


def _found(body: Body, text: str) -> Any:
    where = path(text, "pagination")
    if where.keys is None:
        raise ResponseFormatError(
            f"pagination: {text[:100]!r} cannot be looked up in a document that is streamed: "
            "give a plain path such as meta.next."
        )
    with body.open() as file:
        return next(iter(ijson.items(file, ".".join(where.keys))), None)


def _with_floats(value: Any) -> Any:
    """Return *value* with floats for decimals; lists and objects are changed in place."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, Decimal | dict | list):
                value[key] = _with_floats(item)
    elif isinstance(value, list):
        value[:] = [_with_floats(item) for item in value]
    return value
