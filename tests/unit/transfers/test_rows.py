from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import PermanentError, ResponseFormatError, SettingsError
from airflow_oauth_provider.transfers.tables.rows import Row, RowMaker, converters, getters, last_of_each_key

BEYOND_64_BITS = 2**63
EXACT = Decimal("12345678901234567890.123456789")


def rows_of(
    records: Sequence[Any],
    columns: Sequence[str] | Mapping[str, str],
    keys: Sequence[str] = (),
    dialect: str = "postgresql",
    first: int = 1,
) -> list[Row]:
    return RowMaker(getters(columns), keys, converters(dialect)).rows(records, first)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def test_columns_are_keys_as_they_stand() -> None:
    record = {"a.b": 1, "a": {"b": 2}, "name with 'quotes'": 3}
    assert rows_of([record], ["a.b", "name with 'quotes'"]) == [(1, 3)]


def test_columns_are_found_by_jmespath() -> None:
    record = {"id": 7, "customer": {"name": "Ann", "tags": ["a", "b"]}, "empty": None}
    columns = {"id": "id", "who": "customer.name", "last": "customer.tags[-1]", "n": "length(customer.tags)"}
    assert rows_of([record], columns) == [(7, "Ann", "b", 2)]
    assert rows_of([record], {"a": "empty.deeper", "b": "customer.name.deeper"}) == [(None, None)]


def test_what_a_record_does_not_have_is_null() -> None:
    assert rows_of([{"a": 1}, {}, {"b": 2}], ["a", "b"]) == [(1, None), (None, None), (None, 2)]


@pytest.mark.parametrize("value", [True, False, 0, -1, 1.5, "", "text", 'it\'s "quoted"', "😀", None])
def test_plain_values_stay_as_they_are(value: Any) -> None:
    [[found]] = rows_of([{"a": value}], ["a"], dialect="sqlite")
    assert found is value


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql", "mysql"])
def test_objects_and_lists_become_json_with_exact_numbers(dialect: str) -> None:
    value = {"exact": EXACT, "big": 2**200, "list": [1, {"é": "\0 'x' 😀"}], "none": None}
    [[text]] = rows_of([{"a": value}], ["a"], dialect=dialect)
    assert json.loads(text, parse_float=Decimal) == value
    assert rows_of([{"a": []}, {"a": {}}], ["a"], dialect=dialect) == [("[]",), ("{}",)]


def test_sqlite_gets_as_text_what_it_cannot_hold_exactly() -> None:
    values = [EXACT, Decimal("1E+3"), BEYOND_64_BITS, -BEYOND_64_BITS - 1]
    assert rows_of([{"a": value} for value in values], ["a"], dialect="sqlite") == [
        ("12345678901234567890.123456789",),
        ("1E+3",),
        (str(BEYOND_64_BITS),),
        (str(-BEYOND_64_BITS - 1),),
    ]
    assert rows_of([{"a": BEYOND_64_BITS - 1}, {"a": -BEYOND_64_BITS}], ["a"], dialect="sqlite") == [
        (BEYOND_64_BITS - 1,),
        (-BEYOND_64_BITS,),
    ]


def test_other_databases_get_decimals_and_large_numbers_as_such() -> None:
    assert rows_of([{"a": EXACT, "b": 2**70}], ["a", "b"]) == [(EXACT, 2**70)]


def test_floats_keep_their_digits_where_a_driver_sends_them_in_binary() -> None:
    convert = converters("postgresql", exact_floats=True)
    [[value]] = RowMaker(getters(["a"]), (), convert).rows([{"a": 123456789012.34567}], 1)
    assert (value, type(value)) == (Decimal("123456789012.34567"), Decimal)


@pytest.mark.parametrize(
    ("record", "kind"),
    [([1], "a list"), ("Ann's secret", "text"), (None, "missing"), (5, "a number"), (True, "a truth")],
)
def test_a_record_that_is_no_object_is_an_error_with_its_number(record: Any, kind: str) -> None:
    with pytest.raises(PermanentError, match=f"^Record 1,002 is {kind}") as caught:
        rows_of([{"a": 1}, record], ["a"], first=1001)
    assert "Ann" not in str(caught.value)


@pytest.mark.parametrize("value", [["half a character: \ud83d"], {"a": object()}, nested(100_000)])
def test_what_is_no_json_is_an_error_with_record_and_column(value: Any) -> None:
    with pytest.raises(PermanentError, match=r"^Record 3: what it has for column 'b' cannot be written as JSON\.$"):
        rows_of([{"a": 1, "b": value}], ["a", "b"], first=3)


def test_an_expression_that_cannot_take_a_value_is_an_error_with_the_record() -> None:
    with pytest.raises(ResponseFormatError, match=r"^Record 2: columns\['n'\]: 'length\(a\)' cannot be applied"):
        rows_of([{"a": "text"}, {"a": 5}], {"n": "length(a)"})


@pytest.mark.parametrize("record", [{"b": 1}, {"a": None, "b": 1}])
def test_a_record_without_a_key_is_an_error(record: dict[str, Any]) -> None:
    with pytest.raises(PermanentError, match=r"^Record 2 has nothing for the key column 'a'"):
        rows_of([{"a": 0, "b": 1}, record], ["b", "a"], keys=["a"])


def test_columns_without_any_value_are_known_at_the_end() -> None:
    maker = RowMaker(getters(["a", "b", "c", "d"]), (), converters("sqlite"))
    maker.rows([{"a": 1, "c": None}], 1)
    assert maker.never_seen == ["b", "c", "d"]
    maker.rows([{"a": None}, {"d": 0, "c": None}], 2)
    assert maker.never_seen == ["b", "c"]


def test_of_rows_with_one_key_the_last_is_left() -> None:
    rows: list[Row] = [(1, "x", "old"), (2, "x", "only"), (1, "x", "new"), (1, "y", "other")]
    assert last_of_each_key(rows, [0, 1]) == [(1, "x", "new"), (2, "x", "only"), (1, "y", "other")]
    assert last_of_each_key(rows, []) == rows


@pytest.mark.parametrize("columns", [[], {}, "id", None, 5, b"id", ["id", ""], ["id", None], ["a\0b"], {"": "a"}])
def test_what_names_no_columns_is_refused(columns: Any) -> None:
    with pytest.raises(SettingsError, match=r"^columns"):
        getters(columns)


def test_a_column_is_named_once() -> None:
    with pytest.raises(SettingsError, match="'id' is named twice"):
        getters(["id", "name", "id"])


@pytest.mark.parametrize("path", ["a[", "", " ", "a b", None, 5])
def test_a_wrong_jmespath_is_refused_with_its_column(path: Any) -> None:
    with pytest.raises(SettingsError, match=r"^columns\['total'\]: .* is not a JMESPath"):
        getters({"id": "id", "total": path})
