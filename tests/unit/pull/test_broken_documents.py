"""Documents that are not whole, or not what they say: an error with its position."""

from __future__ import annotations

import gzip
import random
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import ResponseFormatError
from airflow_oauth_provider.network import BrokenOffError
from tests.support.pulls import HUGE, content, padded, records

pytestmark = pytest.mark.usefixtures("huge_early")


@pytest.mark.parametrize(
    "body", [b"[", b"[1", b"[1,", b'{"a"', b'{"a": 1', b'"abc', b"nul", b'["\xff', b'{"a": [1, {"b": "c'], ids=repr
)
def test_a_small_document_that_was_cut_is_asked_for_again(body: bytes) -> None:
    with pytest.raises(BrokenOffError, match=f"the JSON broke off after {len(body)} bytes"):
        records(body)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>", r"not JSON: .* It begins with: <html>"),
        (b'{"a": 1}x', "trailing characters"),
        (b"[1]\x00", "trailing characters"),
        (b"[1,]", "malformed"),
        (b"{'a': 1}", "malformed"),
        (b'{"a": NaN}', "malformed"),
        (b"[01]", "malformed"),
        (b'["\\ud83d"]', "not JSON"),  # half of a surrogate pair
        (b'["\xff"]', "utf-8"),
        (b'["\xe9"]', "utf-8"),
        (b"[" * 50_000, "not JSON: .*recursion"),
    ],
    ids=lambda value: repr(value[:12]),
)
def test_what_is_no_json_is_an_error_that_shows_its_beginning(body: bytes, why: str) -> None:
    with pytest.raises(ResponseFormatError, match=why) as caught:
        records(body, content_type="application/vnd.made-up+json")
    assert "application/vnd.made-up+json" in str(caught.value)
    assert len(str(caught.value)) < 500
    with pytest.raises(ResponseFormatError, match="no content type"):
        records(body)


@pytest.mark.parametrize(
    ("end", "why"),
    [
        ("", "broken after 2 records: it broke off"),
        ("}}", "broken after 2 records: .*garbage"),
        (', "y": nope}', "broken after 2 records: .*invalid"),
    ],
)
def test_a_huge_document_that_is_broken_says_behind_how_many_records(end: str, why: str) -> None:
    body = padded(f'{{"x": "PAD", "data": [1, 2]{end}')
    taken: list[Any] = []
    with (
        content(body, records="data") as found,
        pytest.raises(ResponseFormatError, match=f"{len(body):,} bytes .*{why}"),
    ):
        taken.extend(found.records)
    assert taken == [1, 2]
    with pytest.raises(ResponseFormatError, match=f"the JSON of {HUGE + 6:,} bytes is broken: "):
        records(padded("<html>PAD"), records="data")
    with pytest.raises(ResponseFormatError, match="is broken: it broke off"):
        records(padded('{"x": "PAD'), records="data")


def test_a_huge_document_that_is_nested_without_end_is_refused() -> None:
    with pytest.raises(ResponseFormatError, match="nested in more than 2,000 levels"):
        records(b"[" * HUGE)


def test_invalid_text_in_a_huge_document_is_an_error() -> None:
    with pytest.raises(ResponseFormatError, match=r"broken after 1 records: .*UTF8"):
        records(padded('["PAD", "\xff"]').replace("\xff".encode(), b"\xff"))


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        ('["é"]'.encode(), ""),
        ('["é"]'.encode(), "; charset=latin1"),  # JSON is UTF-8, whatever is said of it
        ('["é"]'.encode("latin1"), "; charset=latin1"),
        ('["é"]'.encode("utf-16"), "; charset=UTF-16"),
        ('\ufeff["é"]'.encode("utf-16-le"), "; charset=utf-16-le"),
        ('\ufeff["é"]'.encode(), '; charset="utf-8"'),
    ],
)
def test_json_is_utf_8_or_what_it_says(body: bytes, charset: str) -> None:
    assert records(body, content_type=f"application/json{charset}") == ["é"]


def test_what_is_no_json_in_its_charset_either_is_shown_in_it() -> None:
    with pytest.raises(ResponseFormatError, match=r"malformed.*It begins with: é nope"):
        records("é nope".encode("latin1"), content_type="application/json; charset=latin1")


@pytest.mark.parametrize(
    "charset",
    ["", "; charset=utf-8", "; charset=no-such", "; charset=base64", "; charset=ascii", "; charset=undefined"],
)
def test_no_charset_is_guessed(charset: str) -> None:
    with pytest.raises(ResponseFormatError, match=r"utf-8.*It begins with: \[.\ufffd"):
        records('["é"]'.encode("latin1"), content_type=f"application/json{charset}")


# Compression ----------------------------------------------------------------------------------------------------------

# It hardly compresses.
RANDOM = random.Random(114).randbytes(HUGE).hex()
COMPRESSED = [
    ("json", {"records": "data"}, f'{{"data": ["{RANDOM}"]}}'),
    ("json", {"records": '"da.ta"'}, f'{{"da.ta": ["{RANDOM}"]}}'),
    ("xml", {"records": "r.i"}, f"<r><i>{RANDOM}</i></r>"),
    ("ndjson", {}, f'"{RANDOM}"\n'),
    ("csv", {}, f"id\n{RANDOM}\n"),
    ("raw", {}, RANDOM),
]


@pytest.mark.parametrize(("response_format", "options", "text"), COMPRESSED, ids=lambda value: str(value)[:20])
def test_a_compressed_body_that_is_cut_or_broken_far_behind_its_beginning_is_found_out(
    response_format: str, options: dict[str, Any], text: str
) -> None:
    body = gzip.compress(text.encode(), 1)
    broken = bytearray(body)
    broken[-6] ^= 1
    headers = {"Content-Encoding": "gzip"}
    assert len(records(body, response_format, headers=headers, **options)) >= 1
    with pytest.raises((ResponseFormatError, BrokenOffError), match="broke off"):
        records(body[:-100], response_format, headers=headers, **options)
    with pytest.raises((ResponseFormatError, BrokenOffError), match="is broken"):
        records(bytes(broken), response_format, headers=headers, **options)
