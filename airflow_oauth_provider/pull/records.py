"""A body → its records, and what a paginator looks up beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_oauth_provider.exceptions import ResponseFormatError
from airflow_oauth_provider.http.answers import decoded, named_charset
from airflow_oauth_provider.http.received import BROKEN_ENCODINGS, ReceivedBody
from airflow_oauth_provider.network import BrokenOffError
from airflow_oauth_provider.pull.format import Format, xmltodict_module
from airflow_oauth_provider.pull.lines import (
    BOM,
    UNREADABLE_JSON,
    CutLineError,
    csv_records,
    ndjson_records,
    raw_chunks,
)
from airflow_oauth_provider.pull.paginator import kind_of
from airflow_oauth_provider.pull.paths import path

if TYPE_CHECKING:
    import requests

_SHOWN = 200
# Lines up to here become a list; more would cost many times the memory of the body.
_LISTED_BYTES = 1 << 20


@dataclass(frozen=True)
class Content:
    """
    What a body holds.

    :param records: a list, or for what is streamed an iterator
    :param find: looks a JMESPath up in the document
    """

    records: Iterable[Any]
    find: Callable[[str], Any]


class Reader:
    """
    Takes bodies apart.

    :param format: how
    :param looked_up: JMESPaths that a paginator will look up in documents
    """

    def __init__(self, format: Format, looked_up: Sequence[str] = ()) -> None:  # noqa: A002  # the package's word
        self.format = format
        self._looked_up = [path(text, "pagination") for text in looked_up]
        self._path = format.path
        self._decoder = _decoder(format.use_decimal)

    def read(self, response: requests.Response, body: ReceivedBody) -> Content:
        """
        Return what *body* holds; small ones are taken apart at once.

        :raises BrokenOffError: it is not whole
        :raises ResponseFormatError: it is not what it should be
        """
        try:
            return self._content(response, body)
        except EOFError:
            why = "broke off"
        except BROKEN_ENCODINGS:
            why = "is broken"
        raise BrokenOffError(f"the compressed body of {body.size:,} bytes {why}")

    def _content(self, response: requests.Response, body: ReceivedBody) -> Content:
        if self.format.name == "raw":
            return Content(_streamed(raw_chunks(body), body), _nothing)
        if self.format.name == "ndjson":
            _refuse_html(response, body)
            return Content(_read(ndjson_records(body, self._decoder), body), _nothing)
        if self.format.name == "csv":
            _refuse_html(response, body, also_json=True)
            return Content(_read(csv_records(response, body, self.format.csv_options), body), _nothing)
        if self.format.name == "xml":
            return self._of_xml(response, body)
        if body.content is None:
            from airflow_oauth_provider.pull.huge import can_stream, huge_json

            # What cannot be looked up piece by piece is worth the memory: it would fail behind the last record.
            if all(map(can_stream, (self._path, *self._looked_up))):
                records, find = huge_json(body, self._path, use_decimal=self.format.use_decimal)
                return Content(_streamed(records, body), find)
        return self._of_json(response, body)

    # Documents ------------------------------------------------------------------------------------------------------

    def _of_json(self, response: requests.Response, body: ReceivedBody) -> Content:
        content = body.content
        if content is None:
            with body.open() as file:
                content = file.read()
        if not content.strip():
            return Content([], _nothing)
        document = _loaded(content, response, self._decoder)
        return Content(self._selected(document), lambda text: path(text, "pagination").find(document))

    def _selected(self, document: Any) -> list[Any]:
        if self._path is None:
            if isinstance(document, list):
                return document
            if isinstance(document, dict):
                return [document]
            if document is None:
                return []  # so some servers write an empty list
            raise ResponseFormatError(f"the body is {kind_of(document)}, neither a list nor an object.")
        found = self._path.find(document)
        if isinstance(found, list):
            return found
        return self._without_list(document, found)

    def _without_list(self, document: Any, found: Any) -> list[Any]:
        where = self._path
        if where is None:
            return []
        holder = where.parent_of_last(document)
        if found is None and where.keys and isinstance(holder, Mapping) and where.keys[-1] in holder:
            return []  # so some servers write an empty list
        if self.format.name == "xml":
            if found is not None:
                return [found]  # one element and a list of one look the same
            above = where.keys[:-1] if where.keys else ()
            if above and (holder is None or isinstance(holder, Mapping)) and _has(document, above):
                return []
        what = "is not there" if found is None else f"is {kind_of(found)}, not a list"
        more = f"; [{where.text}] makes it one record" if isinstance(found, Mapping) else ""
        raise ResponseFormatError(f"records={where.text[:100]!r} {what}{more}. {_keys(document)}")

    def _of_xml(self, response: requests.Response, body: ReceivedBody) -> Content:
        from xml.parsers.expat import ExpatError

        _refuse_html(response, body)
        with body.open() as file:
            if body.content is not None and not body.content.strip():
                return Content([], _nothing)
            try:
                document = xmltodict_module().parse(file)
            except (ExpatError, ValueError, LookupError) as error:
                why = str(error)[:100]
            else:
                return Content(self._selected(document), lambda text: path(text, "pagination").find(document))
        if "no element found" in why or "unclosed" in why:
            raise BrokenOffError(f"the XML broke off after {body.size:,} bytes")
        raise ResponseFormatError(f"the body is not XML: {why}. It begins with: {_beginning(response, body)}")


def _read(records: Iterator[Any], body: ReceivedBody) -> Iterable[Any]:
    """Return the lines of a small body as a list, read within the attempt: one that is cut is asked for again."""
    if body.content is None or len(body.content) > _LISTED_BYTES:
        return _streamed(records, body)
    try:
        return list(records)
    except CutLineError as error:
        why = str(error)
    raise BrokenOffError(why)


def _streamed(records: Iterator[Any], body: ReceivedBody) -> Iterator[Any]:
    """Yield them; a compressed body that is cut or broken far behind its beginning shows only here."""
    try:
        yield from records
    except EOFError:
        why = "broke off"
    except BROKEN_ENCODINGS:
        why = "is broken"
    else:
        return
    raise ResponseFormatError(f"the compressed body of {body.size:,} bytes {why}.")


@lru_cache(maxsize=2)
def _decoder(use_decimal: bool) -> msgspec.json.Decoder[Any]:  # noqa: FBT001  # the key of the cache
    return msgspec.json.Decoder(float_hook=Decimal if use_decimal else None)


def _loaded(content: bytes, response: requests.Response, decoder: msgspec.json.Decoder[Any]) -> Any:
    """Decode JSON: UTF-8 (RFC 8259 §8.1), with or without the mark that some begin with, or the charset named."""
    try:
        return decoder.decode(content.removeprefix(BOM))
    except UNREADABLE_JSON as error:
        why = str(error) or type(error).__name__
    text = _in_charset(content, response)
    if text is not None:
        try:
            return decoder.decode(text.removeprefix("\ufeff"))
        except UNREADABLE_JSON as error:
            why = str(error) or type(error).__name__
    if "truncated" in why and not _is_json(content):
        raise BrokenOffError(f"the JSON broke off after {len(content):,} bytes")
    content_type = response.headers.get("Content-Type") or "no content type"
    beginning = content[:_SHOWN].decode("utf-8", "replace") if text is None else text[:_SHOWN]
    raise ResponseFormatError(f"the body ({content_type[:60]}) is not JSON: {why[:100]}. It begins with: {beginning}")


def _in_charset(content: bytes, response: requests.Response) -> str | None:
    """Return *content* as text where a charset other than UTF-8 is named; nobody guesses one."""
    charset = named_charset(response)
    try:
        return content.decode(charset) if charset and charset.lower() not in ("utf-8", "utf8") else None
    except (LookupError, ValueError):
        return None


def _is_json(text: bytes) -> bool:
    """Whether it is whole for a parser that is less strict: half of a surrogate pair looks like a cut to the other."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse_html(response: requests.Response, body: ReceivedBody, *, also_json: bool = False) -> None:
    """Raise when a page for people came: as CSV it would be an odd table, as XML an odd tree."""
    content_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    with body.open() as file:
        beginning = file.read(1024).removeprefix(BOM).lstrip().lower()
    is_html = content_type in ("text/html", "application/xhtml+xml")
    is_html = is_html or beginning.startswith((b"<!doctype html", b"<html"))
    if is_html or (beginning and also_json and (content_type == "application/json" or content_type.endswith("+json"))):
        raise ResponseFormatError(
            f"the body is {'HTML' if is_html else content_type}. It begins with: {_beginning(response, body)}"
        )


def _beginning(response: requests.Response, body: ReceivedBody) -> str:
    with body.open() as file:
        return decoded(file.read(4096)[:_SHOWN], response, cut=True)


def _keys(document: Any) -> str:
    if isinstance(document, Mapping):
        return f"The page has the keys {', '.join(map(str, list(document)[:20]))}."
    return f"The page is {kind_of(document)}."


def _has(document: Any, keys: tuple[str, ...]) -> bool:
    for key in keys:
        if not isinstance(document, Mapping) or key not in document:
            return False
        document = document[key]
    return True


def _nothing(text: str) -> Any:  # noqa: ARG001
    return None
