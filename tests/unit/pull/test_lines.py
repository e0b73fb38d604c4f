"""Newline-delimited JSON and CSV: each line counts, and a bad one is an error with its number."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import ResponseFormatError
from airflow_oauth_provider.network import BrokenOffError
from airflow_oauth_provider.pull import lines as module
from tests.support.pulls import content, records

LONG = b'{"a": "' + b"x" * 1000 + b'"}\n'


def broken(lines: Iterable[bytes], response_format: str = "ndjson") -> tuple[list[Any], str]:
    """Return what came of a streamed body, and the error that ended it."""
    came: list[Any] = []
    with content(b"".join(lines), response_format, "") as found, pytest.raises(ResponseFormatError) as caught:
        came.extend(found.records)
    return came, str(caught.value)


# Newline-delimited JSON -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"\n\n", []),
        (b"1\n", [1]),
        (b"1", [1]),
        (b'{"a": 1}\n{"a": 2}\n', [{"a": 1}, {"a": 2}]),
        (b'{"a": 1}\r\n{"a": 2}\r\n', [{"a": 1}, {"a": 2}]),
        (b'{"a": 1}\n\n  \n{"a": 2}', [{"a": 1}, {"a": 2}]),
        (b'\xef\xbb\xbf{"a": 1}\n', [{"a": 1}]),
        (b'[1, 2]\nnull\n"x"\n', [[1, 2], None, "x"]),
        ('{"a": "x\u2028y\x85z"}\n'.encode(), [{"a": "x\u2028y\x85z"}]),  # these end no line of JSON
        (b'{"a": 12345678901234567890123}\n', [{"a": 12345678901234567890123}]),
    ],
)
def test_each_line_is_a_record(body: bytes, expected: list[Any]) -> None:
    assert records(body, "ndjson") == expected


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"a": 1}\nnope\n', r"line 2 is not JSON: .*invalid.* It begins with: nope"),
        (b'{"a": 1}\nnope', "line 2 is not JSON"),
        (b'{"a": 1}\n\n\n{"a": }\n{"a": 2}\n', "line 4 is not JSON"),
        (b'{"a": 1}\n{"a":\n{"a": 3}\n', "line 2 is not JSON"),
        (b'{"a": 1},\n{"a": 2}\n', "line 1 is not JSON: .*trailing"),
        (b'{"a": 1}\n{"a": "\xff"}\n', "line 2 is not JSON: .*utf-8.* It begins with: .*\ufffd"),
        (b"[" * 100_000 + b"\n", "line 1 is not JSON: .*recursion"),
        (b"[1e400]\n", "line 1 is not JSON: .*out of range"),
        (b'{"a": "' + b"x" * 5000 + b'", nope}\n', "line 1 is not JSON"),
    ],
    ids=lambda value: repr(value[:30]),
)
def test_a_bad_line_is_an_error_with_its_number_and_its_beginning(body: bytes, why: str) -> None:
    with pytest.raises(ResponseFormatError, match=why) as caught:
        records(body, "ndjson")
    assert len(str(caught.value)) < 350


@pytest.mark.parametrize(
    "body", [b'{"a": 1}\n{"a":', b'{"a": "x', b'{"a": 1}\n[1, 2', b'1\n"', b'{"a": {"b": [1'], ids=repr
)
def test_a_last_line_that_was_cut_is_asked_for_again(body: bytes) -> None:
    with pytest.raises(BrokenOffError, match=f"line {len(body.splitlines())} is not JSON"):
        records(body, "ndjson")


@pytest.mark.parametrize("before", [1, 130, 131, 1200, 4800])
def test_the_number_of_a_bad_line_is_right_however_much_came_before_it(before: int) -> None:
    came, why = broken([LONG * before, b'{"a": }\n', LONG * 1200])
    assert why.startswith(f"line {before + 1:,} is not JSON: ")
    assert all(record == {"a": "x" * 1000} for record in came)
    assert len(came) <= before


def test_a_large_body_that_was_cut_says_where() -> None:
    came, why = broken([LONG * 1500, b'{"a": "never'])
    assert why.startswith("line 1,501 is not JSON: ")
    assert len(came) == 1500


@pytest.mark.parametrize("count", [131, 1200, 5000])
def test_lines_that_lie_across_blocks_are_whole(count: int) -> None:
    body = b"".join(b'{"n": %d, "x": "%s"}\n' % (number, b"y" * (number % 997)) for number in range(count))
    assert [record["n"] for record in records(body, "ndjson")] == list(range(count))
    assert [record["n"] for record in records(body[:-1], "ndjson")] == list(range(count))


def test_a_line_may_be_longer_than_a_block_but_not_endless(monkeypatch: pytest.MonkeyPatch) -> None:
    line = b'"' + b"x" * (3 * module._BLOCK) + b'"\n'
    assert [len(record) for record in records(b'""\n' + line, "ndjson")] == [0, 3 * module._BLOCK]
    monkeypatch.setattr(module, "_LONGEST_LINE", module._BLOCK)
    with pytest.raises(ResponseFormatError, match="a line is longer than 131,072 bytes: is this newline-delimited"):
        records(line, "ndjson")


@pytest.mark.parametrize("response_format", ["ndjson", "csv", "xml"])
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<html><body>Log in</body></html>", ""),
        (b"\n <!DOCTYPE HTML>\n<title>x</title>", "text/plain"),
        (b"\xef\xbb\xbf<!doctype html>", ""),
        (b"anything", "text/html; charset=utf-8"),
        (b"<a/>", "application/XHTML+xml"),
    ],
)
def test_a_page_for_people_holds_no_records(response_format: str, body: bytes, content_type: str) -> None:
    with pytest.raises(ResponseFormatError, match=r"the body is HTML\. It begins with: "):
        records(body, response_format, content_type)


# CSV ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "options", "expected"),
    [
        (b"id,n\n", {}, []),
        (b"id,n\n1,a\n2,b\n", {}, [{"id": "1", "n": "a"}, {"id": "2", "n": "b"}]),
        (b"id,n\r\n1,a\r\n", {}, [{"id": "1", "n": "a"}]),
        (b"id,n\r1,a\r", {}, [{"id": "1", "n": "a"}]),
        (b"id,n\n1,a", {}, [{"id": "1", "n": "a"}]),
        (b'"id","n"\n"1","a ""b"""\n', {}, [{"id": "1", "n": 'a "b"'}]),
        (b'id,n\n1,"a\nb"\n', {}, [{"id": "1", "n": "a\nb"}]),
        (b" id , n \n1,2\n", {}, [{"id": "1", "n": "2"}]),
        (b"\n\nid,n\n\n1,\n\n", {}, [{"id": "1", "n": ""}]),
        (b"\xef\xbb\xbfid\n1\n", {}, [{"id": "1"}]),
        (b"id\n007\n1e5\n", {}, [{"id": "007"}, {"id": "1e5"}]),  # values are text
        (b"id;n\n1;2,5\n", {"delimiter": ";"}, [{"id": "1", "n": "2,5"}]),
        (b"1,2\n", {"fieldnames": ["a", "b"]}, [{"a": "1", "b": "2"}]),
        (b'id,n\n"a"b,2\n', {"strict": False}, [{"id": "ab", "n": "2"}]),
        (b'"id"\n1.5\n', {"quoting": csv.QUOTE_NONNUMERIC}, [{"id": 1.5}]),
    ],
)
def test_each_row_is_a_record(body: bytes, options: dict[str, Any], expected: list[Any]) -> None:
    assert records(body, "csv", csv_options=options) == expected


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"id,n\n1,a,b\n", "line 2 of the CSV has 3 fields, the header 2"),
        (b"id,n\n1,a,b", "line 2 of the CSV has 3 fields, the header 2"),
        (b"id,n\n1,a\n\n2\n", "line 4 of the CSV has 1 fields, the header 2"),
        (b'id,n\n1,"a\nb"\n2\n3,4\n', "line 4 of the CSV has 1 fields"),
        (b'id,n\n1,"a"x\n', "line 2 of the CSV is broken"),
        (b"id,id\n1,2\n", "an empty or a repeated name; name the columns in csv_options, fieldnames"),
        (b"id,\n1,2\n", "an empty or a repeated name"),
        (b"id,n\n1,\xff\n", "byte 0xff"),
    ],
)
def test_a_bad_row_is_an_error_with_its_line(body: bytes, why: str) -> None:
    with pytest.raises(ResponseFormatError, match=why):
        records(body, "csv")


@pytest.mark.parametrize("body", [b"id,n\n1,a\n2", b"id,n\n1", b'id,n\n1,"a', b'id,n\n1,a\n2,"', b"id,n,m\n1,2"])
def test_a_last_row_that_was_cut_is_asked_for_again(body: bytes) -> None:
    with pytest.raises(BrokenOffError, match="of the CSV"):
        records(body, "csv")


def test_a_bad_row_far_behind_is_found_with_its_line_and_a_cut_one_too() -> None:
    rows = [b"id,n\n", *(b"%d,%s\n" % (number, b"x" * 100) for number in range(20_000))]
    came, why = broken([*rows, b"1\n", *rows[1:]], "csv")
    assert len(came) == 20_000
    assert why == "line 20,002 of the CSV has 1 fields, the header 2"
    came, why = broken([*rows, b'1,"x'], "csv")
    assert len(came) == 20_000
    assert why.startswith("line 20,002 of the CSV is broken")


def test_a_field_may_be_large_but_not_endless() -> None:
    large = "x" * (1 << 20)
    assert records(f"id\n{large}\n".encode(), "csv") == [{"id": large}]
    came, why = broken([b'id\n1\n"', b"x" * (17 << 20)], "csv")
    assert came == [{"id": "1"}]
    assert "line 3 of the CSV is broken (field larger than field limit" in why


def test_rows_that_do_not_fit_the_options_are_told_so() -> None:
    with pytest.raises(ResponseFormatError, match="line 2 of the CSV does not fit csv_options"):
        records(b'"id"\nabc\n', "csv", csv_options={"quoting": csv.QUOTE_NONNUMERIC})


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        ("id\né\n".encode(), ""),
        ("id\né\n".encode(), "; charset=UTF-8"),
        ("\ufeffid\né\n".encode(), '; charset="utf-8"'),
        ("\ufeffid\né\n".encode(), "; charset=utf_8"),
        ("id\né\n".encode("latin1"), "; charset=ISO-8859-1"),
        ("id\né\n".encode("utf-16"), "; charset=utf-16"),
    ],
)
def test_a_charset_is_obeyed_and_utf_8_assumed_without_one(body: bytes, charset: str) -> None:
    assert records(body, "csv", f"text/csv{charset}") == [{"id": "é"}]


@pytest.mark.parametrize(
    ("body", "charset", "why"),
    [
        ("id\né\n".encode("latin1"), "", "byte 0xe9"),
        ("id\né\n".encode("utf-16")[:-1], "utf-16", "is not utf-16"),
        (b"id\n1\n", "no-such", "the charset 'no-such' is not known"),
        (b"id\n1\n", "base64", "the charset 'base64' is not known"),
    ],
)
def test_what_is_not_in_its_charset_is_an_error(body: bytes, charset: str, why: str) -> None:
    with pytest.raises(ResponseFormatError, match=why):
        records(body, "csv", f"text/csv; charset={charset}" if charset else "text/csv")


@pytest.mark.parametrize("content_type", ["application/json", "application/problem+json; charset=utf-8"])
def test_json_is_no_table(content_type: str) -> None:
    with pytest.raises(ResponseFormatError, match=r"the body is application/.*json. It begins with: \{"):
        records(b'{"error": 1}', "csv", content_type)


# Raw ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 1 << 17, (1 << 17) + 1, 5 << 20])
def test_raw_bodies_come_as_they_are_in_pieces(size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    pieces = records(body, "raw", "text/html")
    assert b"".join(pieces) == body
    assert all(len(piece) == 1 << 17 for piece in pieces[:-1])
