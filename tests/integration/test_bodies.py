"""Bodies in every format over sockets: records, numbers, what leads on, and lines that are bad."""

from __future__ import annotations

import hashlib
import json
import random
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import ResponseFormatError, SettingsError
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.pull.pagination import Cursor, LinkHeader, NextUrl, Offset
from tests.integration.conftest import Pull
from tests.support.paged_api import Numbers, ids, in_turn, items, pulled, serve
from tests.support.pulls import BOM, padded
from tests.support.servers import OAuthServer, Reply

# What a body holds ----------------------------------------------------------------------------------------------------


SIZES = pytest.mark.parametrize("size", [0, 5 << 20], ids=["small", "streamed"])


@SIZES
def test_numbers_are_exact(pull: Pull, size: int) -> None:
    text = '[{"id": 123456789012345678901234567890, "price": 0.1234567890123456789, "e": 1E5, "n": -1.0, "pad": "PAD"}]'

    (floats,) = pull(padded(text, size))
    (decimals,) = pull(padded(text, size), use_decimal=True)

    for record in (floats, decimals):
        assert record.pop("pad") == "x" * size
        assert record["id"] == 123456789012345678901234567890
    assert [(type(floats[k]), floats[k]) for k in ("price", "e", "n")] == [
        (float, 0.12345678901234568),
        (float, 100000.0),
        (float, -1.0),
    ]
    assert [str(decimals[k]) for k in ("price", "e", "n")] == ["0.1234567890123456789", "1E+5", "-1.0"]
    assert all(isinstance(decimals[k], Decimal) for k in ("price", "e", "n"))


@SIZES
@pytest.mark.parametrize(
    ("text", "records", "expected"),
    [
        ('[{"id": 1}, {"id": 2}, "PAD"]', None, 3),
        ('{"id": 1, "pad": "PAD"}', None, 1),
        ('{"item": [1, 2, 3], "pad": "PAD"}', None, 1),
        ('{"data": {"items": [{"id": 1}, {"id": 2}]}, "pad": "PAD"}', "data.items", 2),
        ('{"pad": "PAD", "data": {"items": []}}', "data.items", 0),
        ('{"data": [{"id": 1, "items": ["PAD"]}], "items": [1, 2]}', "items", 2),
        ('{"items": [[1, 2], [], null, "PAD", {}]}', "items", 5),
        ('{"items": [{"a": {"item": [1, 2]}, "pad": "PAD"}]}', "items", 1),
    ],
)
def test_the_records_are_where_they_were_said_to_be(
    pull: Pull, size: int, text: str, records: str | None, expected: int
) -> None:
    document = padded(text, size)

    got = pull(document, records=records)

    place = json.loads(document)
    for key in (records or "").split(".") if records else ():
        place = place[key]
    assert got == (place if isinstance(place, list) else [place])
    assert len(got) == expected


@SIZES
@pytest.mark.parametrize(
    "text",
    [
        '{"items": {"item": [1, 2]}, "pad": "PAD"}',
        '{"items": "PAD"}',
        '{"items": 5, "pad": "PAD"}',
        '{"other": [{"items": ["PAD"]}]}',
        '[{"items": ["PAD"]}]',
        '{"items": {"items": ["PAD"]}}',
    ],
)
def test_what_is_no_list_is_an_error_and_not_zero_records(pull: Pull, size: int, text: str) -> None:
    with pytest.raises(ResponseFormatError, match="items"):
        pull(padded(text, size), records="items")


@SIZES
@pytest.mark.parametrize(
    "text", ['"PAD"', '{"items": ["PAD"]} and more', '{"items": ["PAD"]}{}', '{"items": ["PAD"],}']
)
def test_what_is_no_document_is_an_error(pull: Pull, size: int, text: str) -> None:
    records = None if text == '"PAD"' else "items"

    with pytest.raises(ResponseFormatError):
        pull(padded(text, size), records=records)


@SIZES
@pytest.mark.parametrize("where", ["before", "behind"])
@pytest.mark.parametrize("kind", ["cursor", "next_url", "offset"])
def test_what_leads_on_is_found_before_and_behind_the_records(
    server: OAuthServer, hook: OAuth2Hook, size: int, where: str, kind: str
) -> None:
    meta = {"meta": {"next": "/api/items?cursor=b" if kind == "next_url" else "b", "more": True, "total": "2"}}
    records = {"items": [{"id": 0, "pad": "x" * size}]}
    paginator = {
        "cursor": Cursor("meta.next", param="cursor", has_more_path="meta.more"),
        "next_url": NextUrl("meta.next"),
        "offset": Offset(1, total_path="meta.total"),
    }[kind]
    first = {**meta, **records} if where == "before" else {**records, **meta}
    serve(server, in_turn(Reply(200, first), Reply(200, {"items": items(1), "meta": {"total": 2}})))

    assert ids(hook.records("items", pagination=paginator, records="items")) == [0, 1]


def test_a_huge_document_that_was_cut_is_an_error_that_says_where(server: OAuthServer, hook: OAuth2Hook) -> None:
    serve(server, lambda _: Reply(200, b'{"items": [{"id": 1}, {"id": 2}, {"pad": "' + b"x" * (5 << 20)))

    came, error = pulled(hook.records("items", records="items"))

    assert came in ([], [1, 2])
    assert isinstance(error, ResponseFormatError)
    assert "after 2 records" in str(error)


def test_a_streamed_page_that_nobody_read_leads_on_all_the_same(server: OAuthServer, hook: OAuth2Hook) -> None:
    big = Numbers(total=7, size=3, extra={"pad": "x" * (5 << 20)})
    serve(server, big)
    pull: dict[str, Any] = {"pagination": Offset(3, total_path="total"), "records": "items"}

    assert [page.number for page in hook.pages("items", **pull)] == [1, 2, 3]
    first_of_each = [next(iter(page.records)) for page in hook.pages("items", **pull)]
    assert ids(first_of_each) == [0, 3, 6]


def test_a_streamed_page_that_is_read_too_late_is_an_error(server: OAuthServer, hook: OAuth2Hook) -> None:
    serve(server, Numbers(total=7, size=3, extra={"pad": "x" * (5 << 20)}))
    pages = list(hook.pages("items", pagination=LinkHeader(), records="items"))

    with pytest.raises(SettingsError, match="before the next page"):
        list(pages[0].records)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"a": 1}\n{"a": 2}\n', [{"a": 1}, {"a": 2}]),
        (b'{"a": 1}\r\n\r\n  \r\n{"a": 2}', [{"a": 1}, {"a": 2}]),
        (BOM + b'{"a": 1}\n', [{"a": 1}]),
        ('{"a": "x\u2028y\u0085z\x7f"}\n[1]\n"t"\nnull\n5'.encode(), [{"a": "x\u2028y\u0085z\x7f"}, [1], "t", None, 5]),
        (b'{"a": "%s"}\n{"a": 2}' % (b"x" * 300_000), [{"a": "x" * 300_000}, {"a": 2}]),
        (b'{"a": 123456789012345678901234567890}', [{"a": 123456789012345678901234567890}]),
        (b"\n\n", []),
        (BOM, []),
    ],
    ids=[
        "lines",
        "CRLF and blank lines",
        "BOM",
        "odd characters",
        "long line",
        "long number",
        "blank lines",
        "only BOM",
    ],
)
def test_each_line_of_ndjson_is_a_record(pull: Pull, body: bytes, expected: list[Any]) -> None:
    assert pull(body, response_format="ndjson") == expected


LINES = b"".join(b'{"id": %d}\n' % number for number in range(1, 30_001))


@pytest.mark.parametrize("line", [1, 2, 17_000, 30_000])
@pytest.mark.parametrize("bad", [b'{"id": 5', b"id: 5", b'{"id": "\xff"}'], ids=["cut", "no JSON", "no UTF-8"])
def test_a_bad_line_is_an_error_that_names_it(server: OAuthServer, hook: OAuth2Hook, line: int, bad: bytes) -> None:
    lines = LINES.splitlines()
    lines[line - 1] = bad
    serve(server, lambda _: Reply(200, b"\n".join(lines) + b"\n"))

    came, error = pulled(hook.records("items", response_format="ndjson"))

    assert isinstance(error, ResponseFormatError)
    assert re.search(rf"line {line:,}\b", str(error))
    assert came == list(range(1, len(came) + 1))
    assert len(came) < line


@pytest.mark.parametrize(
    ("body", "content_type", "options", "expected"),
    [
        ("a,b\n1,x\n2,y\n", "text/csv", None, [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}]),
        ("a;b\r\n1;'x;y'\r\n", "text/csv", {"delimiter": ";", "quotechar": "'"}, [{"a": "1", "b": "x;y"}]),
        ('a,b\n1,"x\n""y"",\r\nz"\n\n', "text/csv", None, [{"a": "1", "b": 'x\n"y",\r\nz'}]),
        (BOM + b"a\n007\n", "text/csv", None, [{"a": "007"}]),
        (BOM + b'"a",b\n1,2\n', "text/csv; charset=utf-8", None, [{"a": "1", "b": "2"}]),
        ("a\nZürich\n".encode("latin-1"), "text/csv; charset=ISO-8859-1", None, [{"a": "Zürich"}]),
        ("a\nZürich\n".encode("utf-16"), "text/csv; charset=utf-16", None, [{"a": "Zürich"}]),
        ("a\nZürich\n".encode(), "text/csv", None, [{"a": "Zürich"}]),
        ("1,2\n", "text/csv", {"fieldnames": ["a", "b"]}, [{"a": "1", "b": "2"}]),
        (f"a\n{'x' * 300_000}\n", "text/csv", None, [{"a": "x" * 300_000}]),
        ("a,b\n", "text/csv", None, []),
    ],
)
def test_each_row_of_csv_is_a_record_of_texts(
    pull: Pull, body: Any, content_type: str, options: dict[str, Any] | None, expected: list[dict[str, str]]
) -> None:
    assert pull(body, content_type, response_format="csv", csv_options=options) == expected


@pytest.mark.parametrize(
    ("body", "line"),
    [("a,b\n1,2\n3\n", 3), ("a,b\n1,2\n3,4,5\n", 3), ('a,b\n1,"2"3\n', 2)],
    ids=["too few", "too many", "behind a quote"],
)
def test_a_bad_row_is_an_error_that_names_its_line(pull: Pull, body: Any, line: int) -> None:
    with pytest.raises(ResponseFormatError, match=rf"line {line}\b"):
        pull(body, "text/csv", response_format="csv")


def test_a_row_that_cannot_be_decoded_is_an_error_that_says_about_where(pull: Pull) -> None:
    rows = [b"%d,x" % number for number in range(2, 30_001)]
    rows[20_000 - 2] = b"20000,\xff"

    with pytest.raises(ResponseFormatError, match=r"0xff") as caught:
        pull(b"a,b\n" + b"\n".join(rows), "text/csv", response_format="csv")

    named = re.search(r"line ([0-9,]+)", str(caught.value))
    assert named
    assert 17_000 < int(named[1].replace(",", "")) <= 20_000


@pytest.mark.parametrize(
    ("inner", "expected"),
    [("<o><id>1</id></o><o><id>2</id></o>", 2), ("<o><id>1</id></o>", 1), ("", 0)],
)
def test_elements_of_xml_are_records_however_many_there_are(pull: Pull, inner: str, expected: int) -> None:
    xml = f'<?xml version="1.0" encoding="ISO-8859-1"?><r><s>{inner}</s><n>Zürich</n></r>'.encode("latin-1")

    got = pull(xml, "application/xml", response_format="xml", records="r.s.o")

    assert got == [{"id": str(number)} for number in range(1, expected + 1)]


def test_xml_that_expands_without_end_is_refused(pull: Pull, tmp_path: Path) -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 20}">' for n in range(1, 9))
    bomb = f'<!DOCTYPE r [<!ENTITY e0 "made-up">{entities}]><r><o>&e8;</o></r>'
    (tmp_path / "file").write_text("made-up content of a file")
    outside = f'<!DOCTYPE r [<!ENTITY e SYSTEM "{(tmp_path / "file").as_uri()}">]><r><o>&e;</o></r>'

    for xml in (bomb, outside):
        with pytest.raises(ResponseFormatError, match="XML"):
            pull(xml, "application/xml", response_format="xml", records="r.o")


@pytest.mark.parametrize("size", [0, 10, 3 << 20])
def test_raw_bytes_come_as_they_are(pull: Pull, size: int) -> None:
    content = random.Random(1).randbytes(size)

    chunks = pull(content, "application/octet-stream", response_format="raw")

    assert hashlib.sha256(b"".join(chunks)).digest() == hashlib.sha256(content).digest()
    assert all(0 < len(chunk) <= 1 << 20 for chunk in chunks)
