"""Bodies that are read line by line: memory does not grow with them."""

from __future__ import annotations

import csv
import io
from typing import IO, TYPE_CHECKING, Any

import msgspec

from airflow_oauth_provider.exceptions import ResponseFormatError
from airflow_oauth_provider.http.answers import named_charset

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import requests

    from airflow_oauth_provider.http.received import ReceivedBody

_BLOCK = 1 << 17
_LONGEST_LINE = 64 << 20
_SHOWN = 100
UNREADABLE_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ArithmeticError)
BOM = b"\xef\xbb\xbf"
# A quote that is never closed would otherwise take the rest of a body for one field.
csv.field_size_limit(max(csv.field_size_limit(), 16 << 20))


class CutLineError(ResponseFormatError):
    """The last line is not whole: the rest of the body is missing, though nothing else says so."""


def raw_chunks(body: ReceivedBody) -> Iterator[bytes]:
    """Yield the body's bytes as they are, decompressed."""
    with body.open() as file:
        while chunk := file.read(_BLOCK):
            yield chunk


def ndjson_records(body: ReceivedBody, decoder: msgspec.json.Decoder[Any]) -> Iterator[Any]:
    """
    Yield what each line holds; empty lines hold nothing.

    :raises ResponseFormatError: a line is no JSON; it names the line
    """
    number = 0
    with body.open() as file:
        for block in _whole_lines(file):
            try:
                yield from decoder.decode_lines(block)
            except UNREADABLE_JSON:
                bad, line, why = _bad_line(block, decoder)
            else:
                number += block.count(b"\n")
                continue
            kind = CutLineError if block.count(b"\n") < bad and "truncated" in why else ResponseFormatError
            raise kind(f"line {number + bad:,} is not JSON: {why}. It begins with: {line}")


def _bad_line(block: bytes, decoder: msgspec.json.Decoder[Any]) -> tuple[int, str, str]:
    for number, line in enumerate(block.split(b"\n"), start=1):
        try:
            if line.strip():
                decoder.decode(line)
        except UNREADABLE_JSON as error:
            return number, line[:_SHOWN].decode("utf-8", "replace"), str(error)[:_SHOWN]
    return 1, "", "it cannot be read"


def _whole_lines(file: IO[bytes]) -> Iterator[bytes]:
    rest = file.read(len(BOM)).removeprefix(BOM)
    while block := file.read(_BLOCK):
        lines, newline, left = block.rpartition(b"\n")
        if newline:
            yield rest + lines + newline
            rest = left
        else:
            rest += block
        if len(rest) > _LONGEST_LINE:
            raise ResponseFormatError(f"a line is longer than {_LONGEST_LINE:,} bytes: is this newline-delimited JSON?")
    if rest.strip():
        yield rest


def csv_records(
    response: requests.Response, body: ReceivedBody, options: Mapping[str, Any]
) -> Iterator[dict[str, str]]:
    """
    Yield each row as a dict of texts.

    :param options: for ``csv.reader``; and ``fieldnames`` where the first line is no header
    :raises ResponseFormatError: a row has more or fewer fields than the header, or is broken; it names the line
    """
    named = dict(options)
    header = named.pop("fieldnames", None)
    charset = named_charset(response) or "utf-8"
    encoding = "utf-8-sig" if charset.lower().replace("_", "-") in ("utf-8", "utf8") else charset
    why, kind, line = None, ResponseFormatError, 0
    reader = None
    try:
        with io.TextIOWrapper(body.open(), encoding=encoding, newline="") as text:
            reader = csv.reader(text, **{"strict": True, **named})
            for row in filter(None, reader):
                if header is None:
                    header = _checked_header(row)
                elif len(row) == len(header):
                    yield dict(zip(header, row, strict=True))
                else:
                    why = f"has {len(row)} fields, the header {len(header)}"
                    line = reader.line_num
                    if len(row) < len(header) and _is_cut(body) and next(reader, None) is None:
                        kind = CutLineError
                    break
    except csv.Error as error:
        why = f"is broken ({error})"
        kind = CutLineError if "end of data" in why else ResponseFormatError
    except UnicodeDecodeError as error:
        why = f"or one soon behind it is not {encoding} (byte 0x{error.object[error.start]:02x})"
    except ValueError as error:
        why = f"does not fit csv_options ({error})"
    except LookupError:
        raise ResponseFormatError(f"the charset {encoding[:40]!r} is not known.") from None
    if why:
        raise kind(f"line {line or (reader.line_num if reader else 0):,} of the CSV {why}")


def _is_cut(body: ReceivedBody) -> bool:
    return body.content is not None and not body.content.endswith((b"\n", b"\r"))


def _checked_header(row: list[str]) -> list[str]:
    header = [name.strip() for name in row]
    if len(set(header)) < len(header) or "" in header:
        raise ResponseFormatError(
            "the header of the CSV has an empty or a repeated name; name the columns in csv_options, fieldnames."
        )
    return header
