"""Documents: small ones are taken apart as a whole, huge ones streamed, and both hold the same records."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import ResponseFormatError
from tests.support.pulls import BOM, HUGE, content, padded, records

SIZES = pytest.mark.parametrize("size", [1, HUGE], ids=["small", "huge"])
pytestmark = pytest.mark.usefixtures("huge_early")


@SIZES
@pytest.mark.parametrize(
    ("text", "where", "expected"),
    [
        ('[1, {"a": "PAD"}, null]', None, [1, {"a": "PAD"}, None]),
        ('  [[], "PAD"]\n', None, [[], "PAD"]),
        ('{"id": 1, "x": "PAD"}', None, [{"id": 1, "x": "PAD"}]),
        ('{"item": [1, 2], "x": "PAD"}', None, [{"item": [1, 2], "x": "PAD"}]),
        ('{"data": [1, [2], {"a": [3]}], "x": "PAD"}', "data", [1, [2], {"a": [3]}]),
        ('{"x": "PAD", "data": []}', "data", []),
        ('{"data": {"items": [{"id": 1}]}, "x": "PAD"}', "data.items", [{"id": 1}]),
        ('{"x": "PAD", "da-ta": [1]}', '"da-ta"', [1]),
        ('{"a.b": [1], "x": "PAD"}', '"a.b"', [1]),
        ('{"data": {"item": [1]}, "x": "PAD"}', "data.item", [1]),
        ('{"data": [1, 2], "x": "PAD"}', "data[?@ > `1`]", [2]),
        # A list of the same name elsewhere is another list.
        ('{"other": {"data": [5]}, "more": [{"data": [6]}], "x": "PAD", "data": [7]}', "data", [7]),
        ('{"data": [{"item": [1]}], "x": "PAD", "end": {"data": [8]}}', "data", [{"item": [1]}]),
        # Null is how some servers write an empty list.
        ('{"data": null, "x": "PAD"}', "data", []),
        ('{"data": {"items": null}, "x": "PAD"}', "data.items", []),
    ],
)
def test_the_records_are_where_they_were_said_to_be(size: int, text: str, where: str | None, expected: Any) -> None:
    wanted = json.loads(padded(json.dumps(expected), size))
    assert records(padded(text, size), records=where) == wanted
    assert records(BOM + padded(text, 1), records=where) == json.loads(padded(json.dumps(expected), 1))


@SIZES
@pytest.mark.parametrize(
    ("text", "where", "why"),
    [
        ('{"x": "PAD", "y": 1}', "data", r"records='data' is not there\. The page has the keys x, y"),
        ('{"data": {"a": 1}, "x": "PAD"}', "data", "records='data' is .*The page has the keys data"),
        ('{"data": {"item": [1]}, "x": "PAD"}', "data", "records='data' is .*The page has the keys data"),
        ('{"data": 5, "x": "PAD"}', "data", "records='data' is .*The page has the keys data"),
        ('{"data": "PAD"}', "data", "records='data' is .*The page has the keys data"),
        ('{"data.items": [1], "x": "PAD"}', "data.items", r"is not there\. The page has the keys data\.items, x"),
        ('{"data": [{"items": [1]}], "x": "PAD"}', "data.items", "records='data.items' is not there"),
        ('{"data": [{"item": {"a": [1]}}], "x": "PAD"}', "data.item.a", "records='data.item.a' is not there"),
        ('{"data": null, "x": "PAD"}', "data.items", "records='data.items' is not there"),
        ('{"data": {}, "x": "PAD"}', "data.items", "records='data.items' is not there"),
        ('["PAD"]', "data", "records='data' is not there"),
        ('["PAD"]', "item", "records='item' is not there"),
    ],
)
def test_what_has_no_such_list_is_an_error_and_not_zero_records(size: int, text: str, where: str, why: str) -> None:
    with pytest.raises(ResponseFormatError, match=why):
        records(padded(text, size), records=where)


@SIZES
@pytest.mark.parametrize("text", ['"PAD"', ' "PAD" '])
def test_a_text_is_no_page(size: int, text: str) -> None:
    with pytest.raises(ResponseFormatError):
        records(padded(text, size))


@pytest.mark.parametrize(("body", "what"), [(b"5", ".*"), (b"1.5", ".*"), (b'"x"', "text"), (b"true", "a truth value")])
def test_a_document_that_is_neither_list_nor_object_is_an_error(body: bytes, what: str) -> None:
    with pytest.raises(ResponseFormatError, match=f"the body is {what}, neither a list nor an object"):
        records(body)


def test_null_is_an_empty_list_as_some_servers_write_it() -> None:
    assert records(b"null") == []


def test_an_error_document_of_xml_is_no_empty_list() -> None:
    with pytest.raises(ResponseFormatError, match="records='orders' is not there"):
        records(b"<error>no</error>", response_format="xml", records="orders")


def test_an_object_where_a_list_should_be_says_how_to_take_it_as_one_record() -> None:
    body = b'{"data": {"id": 1}}'
    with pytest.raises(ResponseFormatError, match=r"is an object, not a list; \[data\] makes it one record"):
        records(body, records="data")
    assert records(body, records="[data]") == [{"id": 1}]


def test_only_the_first_keys_of_a_page_are_named() -> None:
    with pytest.raises(ResponseFormatError) as caught:
        records(json.dumps({f"key{number}": 1 for number in range(100)}).encode(), records="data")
    assert "key19" in str(caught.value)
    assert "key20" not in str(caught.value)
    with pytest.raises(ResponseFormatError, match="The page is a list"):
        records(b"[1]", records="data")


@pytest.mark.parametrize("body", [b"", b"  ", b"\r\n\t"])
@pytest.mark.parametrize("response_format", ["json", "ndjson", "csv", "xml"])
def test_an_empty_body_holds_nothing(body: bytes, response_format: str) -> None:
    with content(body.strip() if response_format == "csv" else body, response_format, "") as found:
        assert list(found.records) == []
        assert found.find("meta.next") is None
    assert records(b"", response_format, "application/json") == []


# Numbers --------------------------------------------------------------------------------------------------------------

NUMBERS = [
    ("0", 0, "0"),
    ("-0.0", -0.0, "-0.0"),
    ("123456789012345678901234567890", 123456789012345678901234567890, "123456789012345678901234567890"),
    ("18446744073709551616", 2**64, "18446744073709551616"),
    ("-9223372036854775809", -(2**63) - 1, "-9223372036854775809"),
    ("0.1234567890123456789", 0.12345678901234568, "0.1234567890123456789"),
    ("19.90", 19.9, "19.90"),
    ("1E5", 100000.0, "1E+5"),
    ("1e-7", 1e-7, "1E-7"),
    ("123456789012345678901234567890.5", 1.2345678901234568e29, "123456789012345678901234567890.5"),
]


@SIZES
@pytest.mark.parametrize(("written", "number", "exact"), NUMBERS)
def test_numbers_are_exact_and_of_the_kind_that_was_asked_for(size: int, written: str, number: Any, exact: str) -> None:
    text = f'{{"x": "PAD", "data": [{{"n": {written}, "deep": [{{"n": [{written}]}}]}}]}}'
    (record,) = records(padded(text, size), records="data")
    assert (record["n"], type(record["n"])) == (number, type(number))
    assert record["deep"] == [{"n": [number]}]
    (record,) = records(padded(text, size), records="data", use_decimal=True)
    kind = int if isinstance(number, int) else Decimal
    assert (str(record["n"]), type(record["n"])) == (exact, kind)
    assert type(record["deep"][0]["n"][0]) is kind
    (line,) = records(f"[{written}]\n".encode(), "ndjson", use_decimal=True)
    assert (str(line[0]), type(line[0])) == (exact, kind)


@SIZES
def test_a_number_that_no_float_holds_is_an_error_unless_it_is_exact(size: int) -> None:
    for written in ("1e400", "-1e400"):
        body = padded(f'["PAD", {{"a": [{written}]}}]', size)
        with pytest.raises(ResponseFormatError, match="out of range"):
            records(body)
        assert records(body, use_decimal=True)[1] == {"a": [Decimal(written)]}


@SIZES
@pytest.mark.parametrize("use_decimal", [True, False])
@pytest.mark.parametrize(
    "number", ["1e999999999999999999999", "9" * 10_000, "9" * 300_000], ids=["exponent", "long", "very long"]
)
def test_a_number_that_nothing_holds_is_an_error(size: int, use_decimal: bool, number: str) -> None:
    with pytest.raises(ResponseFormatError):
        records(padded(f'["PAD", {number}]', size), use_decimal=use_decimal)


# What a paginator looks up --------------------------------------------------------------------------------------------


@SIZES
@pytest.mark.parametrize(
    ("where", "value"),
    [("meta.next", "b"), ("meta", {"next": "b", "n": 7, "none": None}), ("meta.n", 7), ("meta.none", None),
     ("meta.no", None), ("no.such", None), ("x.y", None), ('"a-b".c', False), ("data", [1, 2])],
)  # fmt: skip
def test_what_stands_beside_the_records_is_found(size: int, where: str, value: Any) -> None:
    text = '{"a-b": {"c": false}, "data": [1, 2], "x": "PAD", "meta": {"next": "b", "n": 7, "none": null}}'
    with content(padded(text, size), records="data") as found:
        assert list(found.records) == [1, 2]
        assert found.find(where) == value


@pytest.mark.parametrize(
    ("end", "where", "why"),
    [
        ("}", "data[0]", r"'data\[0\]' cannot be looked up .* plain path"),
        ("", "meta.next", "the JSON of .* bytes is broken: it broke off"),
    ],
)
def test_a_huge_document_takes_plain_paths_and_must_be_whole(end: str, where: str, why: str) -> None:
    with (
        content(padded(f'{{"data": [1], "x": "PAD"{end}'), records="data") as found,
        pytest.raises(ResponseFormatError, match=why),
    ):
        found.find(where)


def test_what_is_no_document_has_nothing_beside_its_records() -> None:
    for response_format in ("ndjson", "csv", "raw"):
        with content(b'{"a": 1}\n', response_format, "") as found:
            assert found.find("a") is None
