from __future__ import annotations

import gc
import importlib.util
import io
import json
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.transfers.files.formats import Limits
from airflow_oauth_provider.transfers.files.output_file import OutputFile
from airflow_oauth_provider.transfers.files.parquet import ParquetFormat
from tests.support.requirements import require
from tests.support.written_files import Handle, only, written


@pytest.fixture(autouse=True)
def _with_pyarrow() -> None:
    require(importlib.util.find_spec("pyarrow") is not None, "pyarrow")


def table(content: bytes) -> Any:
    from pyarrow import parquet

    return parquet.read_table(io.BytesIO(content))


def rows(content: bytes) -> Any:
    return table(content).to_pylist()


def made(
    columns: Sequence[str] | None = None, schema: Mapping[str, Any] | None = None, compression: str | None = None
) -> ParquetFormat:
    return ParquetFormat(columns, schema, compression)


RECORDS = [
    {"id": number, "price": number / 4, "open": number % 2 == 0, "at": "2026-01-02T03:04:05Z", "note": None}
    for number in range(3_500)
]


def test_records_come_back_as_they_were_in_files_of_the_limit() -> None:
    files = written(made(), RECORDS, limits=Limits(records=1_500))
    assert [len(rows(content)) for content in files] == [1_500, 1_500, 500]
    assert [row for content in files for row in rows(content)] == RECORDS
    types = {field.name: str(field.type) for field in table(files[2]).schema}
    assert types == {"id": "int64", "price": "double", "open": "bool", "at": "string", "note": "string"}


def test_files_do_not_depend_on_how_the_records_came() -> None:
    limits = Limits(bytes=60_000)
    files = written(made(), RECORDS, limits=limits)
    assert len(files) == 2
    for batch in (7, 333, 3_500):
        assert written(made(), RECORDS, limits=limits, batch=batch) == files


def test_a_file_ends_behind_the_thousand_records_that_reach_its_limit_of_bytes() -> None:
    files = written(made(), RECORDS, limits=Limits(bytes=10))
    assert [len(rows(content)) for content in files] == [1_000, 1_000, 1_000, 500]


def test_memory_holds_one_row_group(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyarrow import parquet

    monkeypatch.setattr("airflow_oauth_provider.transfers.files.parquet._ROW_GROUP_BYTES", 60_000)
    content = only(written(made(), RECORDS))
    assert parquet.ParquetFile(io.BytesIO(content)).num_row_groups == 2
    assert rows(content) == RECORDS


def test_a_file_that_was_abandoned_is_written_to_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_oauth_provider.transfers.files.parquet._ROW_GROUP_BYTES", 1)
    monkeypatch.setattr("airflow_oauth_provider.transfers.files.output_file._PIECE", 1)
    handle = Handle()
    file = OutputFile(handle)
    writer = made().writer(file, Limits())
    writer.write(RECORDS[:1_000], 1)
    file.abandon()
    content = handle.content
    del writer
    gc.collect()  # pyarrow writes the end of its file now, and what goes wrong there fails the test
    assert handle.content == content


@pytest.mark.parametrize(("compression", "codec"), [(None, "SNAPPY"), ("gzip", "GZIP"), ("zstd", "ZSTD")])
def test_compression_is_the_formats_own(compression: str | None, codec: str) -> None:
    from pyarrow import parquet

    content = only(written(made(compression=compression), RECORDS))
    file = parquet.ParquetFile(io.BytesIO(content))
    assert file.metadata.row_group(0).column(0).compression == codec


def test_keys_of_the_first_thousand_records_are_the_columns() -> None:
    records: list[Any] = [{"a": 1}, {"b": "x"}, {"c": None}]
    assert rows(only(written(made(), records))) == [
        {"a": 1, "b": None, "c": None},
        {"a": None, "b": "x", "c": None},
        {"a": None, "b": None, "c": None},
    ]


def test_nested_values_are_json_text() -> None:
    records: list[Any] = [{"a": {"b": [1, Decimal("0.10")]}}, {"a": []}, {"a": None}, {"a": "text"}]
    assert [row["a"] for row in rows(only(written(made(), records)))] == ['{"b":[1,0.10]}', "[]", None, "text"]


def test_decimals_stay_exact() -> None:
    records = [{"a": Decimal("10.50")}, {"a": 3}, {"a": Decimal("-0.001")}]
    assert [row["a"] for row in rows(only(written(made(), records)))] == [Decimal("10.5"), 3, Decimal("-0.001")]


MANY: list[Any] = [{"a": 1, "b": 1.5, "c": "x", "d": True, "e": None} for _ in range(1_000)]


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"a": 1.5}, "a"), ({"a": "1"}, "a"), ({"a": True}, "a"), ({"a": 2**63}, "a"), ({"a": [1]}, "a"),
        ({"b": "1.5"}, "b"), ({"b": 2**53 + 1}, "b"), ({"b": {}}, "b"),
        ({"c": 1}, "c"), ({"c": False}, "c"), ({"d": 1}, "d"), ({"d": "true"}, "d"), ({"e": 1}, "e"),
    ],
)  # fmt: skip
def test_a_type_that_changes_is_an_error_that_names_column_and_record(change: dict[str, Any], column: str) -> None:
    records = [*MANY, *MANY[:233], {**MANY[0], **change}, *MANY]
    with pytest.raises(SettingsError, match=rf"record 1,234 holds .* in column '{column}'.*name a type by schema"):
        written(made(), records)


@pytest.mark.parametrize("change", [{"a": 7.0}, {"b": 3}, {"a": None}, {"c": None, "d": None}, {"e": "text"}])
def test_what_is_the_same_value_in_the_columns_type_is_none(change: dict[str, Any]) -> None:
    records = [*MANY, {**MANY[0], **change}]
    assert rows(only(written(made(), records)))[-1] == records[-1]


@pytest.mark.parametrize("odd", ["x", True, 2**70])
def test_types_that_are_mixed_from_the_beginning_are_the_same_error(odd: Any) -> None:
    with pytest.raises(SettingsError, match=r"record 3 holds .* in column 'a'"):
        written(made(), [{"a": 1}, {"a": None}, {"a": odd}])


def test_a_new_key_and_a_record_that_is_no_object_are_errors_that_name_the_record() -> None:
    with pytest.raises(SettingsError, match=r"record 1,001 has the key 'new'.*say by columns"):
        written(made(), [*MANY, {"new": 1}])
    with pytest.raises(SettingsError, match="record 1,001 is a list, not an object"):
        written(made(), [*MANY, [1]])


def test_columns_choose_keys_and_their_order() -> None:
    content = only(written(made(["d", "a", "never"]), [*MANY, {"a": 2, "new": 3}]))
    assert table(content).column_names == ["d", "a", "never"]
    assert rows(content)[-1] == {"d": None, "a": 2, "never": None}


def test_a_schema_converts_values_where_nothing_is_lost() -> None:
    schema = {
        "id": "int64", "price": "decimal128(10, 2)", "at": "timestamp[us, tz=UTC]", "day": "date32", "any": "string",
        "ratio": "double", "local": "timestamp[ms]",
    }  # fmt: skip
    records: list[Any] = [
        {
            "id": "7", "price": 10.5, "at": "2026-01-02T05:04:05+02:00", "day": "2026-01-02", "any": {"a": 1},
            "ratio": 3, "left": "out", "local": "2026-01-02 03:04:05.123",
        },
        {"id": 8, "price": "1.10", "any": 5},
        {"price": Decimal(2)},
    ]  # fmt: skip
    content = only(written(made(schema=schema), records))
    types = [str(field.type) for field in table(content).schema]
    assert types == [
        "int64", "decimal128(10, 2)", "timestamp[us, tz=UTC]", "date32[day]", "string", "double", "timestamp[ms]",
    ]  # fmt: skip
    first, second, third = rows(content)
    assert (first["at"].isoformat(), str(first["day"])) == ("2026-01-02T03:04:05+00:00", "2026-01-02")
    assert (first["id"], first["price"], first["any"], first["ratio"]) == (7, Decimal("10.50"), '{"a":1}', 3.0)
    assert (second["price"], second["any"], second["at"]) == (Decimal("1.10"), "5", None)
    assert third["price"] == 2


@pytest.mark.parametrize(
    ("kind", "value"),
    [("int64", 1.5), ("int64", "x"), ("decimal128(4, 1)", "1.55"), ("decimal128(4, 1)", "x"), ("date32", "soon"),
     ("bool", "maybe"), ("bool", 2), ("bool", 0.5), ("bool", Decimal("1.5")), ("int8", 1_000), ("float", 1e300),
     ("float", -1e39), ("halffloat", 70_000), ("date32", 20260101), ("time32[s]", "12:00")],
)  # fmt: skip
def test_a_value_that_a_schema_would_change_is_an_error(kind: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=r"record 2 holds .* in column 'a', which does not fit"):
        written(made(schema={"a": kind}), [{"a": None}, {"a": value}])


def test_a_schema_may_hold_types_of_pyarrow() -> None:
    import pyarrow as pa

    content = only(written(made(schema={"tags": pa.list_(pa.string())}), [{"tags": ["a", "b"]}, {"tags": None}]))
    assert rows(content) == [{"tags": ["a", "b"]}, {"tags": None}]


@pytest.mark.parametrize("kind", ["int", "datetime", "decimal128(99, 2)", "", None, "timestamp[us, tz=]"])
def test_an_unknown_type_is_an_error_before_anything_is_written(kind: Any) -> None:
    with pytest.raises(SettingsError, match=r"schema: 'a' has the type .*, which Arrow does not know"):
        made(schema={"a": kind})


def test_without_records_the_file_has_the_columns_that_are_known() -> None:
    assert table(only(written(made(schema={"a": "int64"}), []))).schema.names == ["a"]
    assert table(only(written(made(["a", "b"]), []))).schema.names == ["a", "b"]
    assert table(only(written(made(), []))).schema.names == []


def test_another_try_goes_on_with_the_schema_of_the_first() -> None:
    first = made()
    written(first, [{"a": 1, "b": "x"}])
    second = made()
    second.layout = json.loads(json.dumps(first.layout))
    assert rows(only(written(second, [{"b": None, "a": 2}]))) == [{"a": 2, "b": None}]
    with pytest.raises(SettingsError, match="record 1 holds a number in column 'a'"):
        written(second, [{"a": 1.5}])


def test_without_pyarrow_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(SettingsError, match=r"needs the extra airflow-oauth-provider\[parquet\]"):
        made()


def test_booleans_may_be_written_in_other_ways() -> None:
    values = [True, False, 1, 0, "true", "false", None, 1.0]
    content = only(written(made(schema={"a": "bool"}), [{"a": value} for value in values]))
    assert rows(content) == [{"a": value} for value in (True, False, True, False, True, False, None, True)]
