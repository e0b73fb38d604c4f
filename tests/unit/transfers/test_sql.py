"""The transfer into SQLite files: what stands in the table afterwards."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import PermanentError, SettingsError
from tests.support.sql_runs import Transfer, orders, sqlite_connection, sqlite_rows

OLD = [(1, "old 1"), (2, "old 2")]
NASTY = ["it's", 'say "hi"', "a\0b", "😀 é", "'); DROP TABLE orders; --", "%s ? :id $1", "\\", "\n\t", "", "2026-01-02"]


@pytest.fixture
def file(file: Path) -> Path:
    """Return the database with two orders in its table."""
    sqlite_rows(file, "INSERT INTO orders VALUES (1, 'old 1'), (2, 'old 2')")
    return file


def rows(file: Path) -> list[tuple[Any, ...]]:
    return sqlite_rows(file, "SELECT id, name FROM orders ORDER BY id")


def as_rows(records: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(record["id"], record["name"]) for record in records]


# Modes ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2500])
def test_append_adds_rows(file: Path, count: int) -> None:
    records = orders(*range(10, 10 + count))
    result = Transfer()(records)
    assert result == {
        "table": "orders",
        "mode": "append",
        "rows": count,
        "records": count,
        "pages": 1,
        "seconds": 0.5,
    }
    assert rows(file) == OLD + as_rows(records)


@pytest.mark.parametrize("count", [0, 1, 2500])
def test_replace_leaves_the_new_rows_alone(file: Path, count: int) -> None:
    records = orders(*range(2, 2 + count))
    result = Transfer(mode="replace")(records)
    assert rows(file) == as_rows(records)
    assert (result["mode"], result["rows"]) == ("replace", count)


def test_upsert_changes_rows_that_are_there_and_adds_the_others(file: Path) -> None:
    result = Transfer(mode="upsert", key_columns=["id"])(orders(2, 3))
    assert rows(file) == [(1, "old 1"), (2, "order 2"), (3, "order 3")]
    assert result["rows"] == 2


@pytest.mark.parametrize("batch_size", [1, 2, 3, 1000])
def test_of_records_with_one_key_the_last_wins(file: Path, batch_size: int) -> None:
    names = [(1, "first"), (3, "only"), (1, "second"), (1, "third"), (2, "first"), (1, "last"), (2, "last")]
    records = [{"id": number, "name": name} for number, name in names]
    Transfer(mode="upsert", key_columns=["id"], batch_size=batch_size)(records)
    assert rows(file) == [(1, "last"), (2, "last"), (3, "only")]


def test_an_upsert_of_keys_alone_adds_what_is_not_there(file: Path) -> None:
    sqlite_rows(file, "CREATE TABLE pairs (id INTEGER, name TEXT, at TEXT DEFAULT 'then', UNIQUE (id, name))")
    transfer = Transfer(table="pairs", mode="upsert", key_columns=["name", "id"])
    transfer(orders(5, 6))
    sqlite_rows(file, "UPDATE pairs SET at = 'before'")
    transfer(orders(5, 5, 7, 7))
    found = sqlite_rows(file, "SELECT id, at FROM pairs ORDER BY id")
    assert found == [(5, "before"), (6, "before"), (7, "then")]


@pytest.mark.parametrize("batch_size", [1, 7, "50", 100_000])
def test_batches_go_across_pages_and_lose_nothing(file: Path, batch_size: Any) -> None:
    records = orders(*range(10, 1234))
    assert Transfer(batch_size=batch_size)(records)["rows"] == len(records)
    assert rows(file) == OLD + as_rows(records)


# Values and names -----------------------------------------------------------------------------------------------------


def test_values_arrive_as_they_are(file: Path) -> None:
    records = [{"id": number, "name": text} for number, text in enumerate(NASTY, 10)]
    Transfer()(records)
    assert rows(file) == OLD + as_rows(records)


def test_exact_numbers_and_nested_values_arrive_as_text(file: Path) -> None:
    values = [Decimal("0.10"), Decimal("12345678901234567890.12345"), 2**80, {"a": [1, Decimal("1.10")]}, [], True, 1.5]
    Transfer()([{"id": number, "name": value} for number, value in enumerate(values, 10)])
    texts = ["0.10", "12345678901234567890.12345", str(2**80), '{"a":[1,1.10]}', "[]", "1", "1.5"]
    assert [name for _, name in rows(file)[2:]] == texts


def test_columns_are_picked_out_of_records(file: Path) -> None:
    record = {"id": 10, "customer": {"names": [{"first": "Ann"}, {"first": "Bo"}]}, "ignored": 1}
    Transfer(columns={"name": "customer.names[].first | join(' & ', @)", "id": "id"})([record])
    assert rows(file)[2:] == [(10, "Ann & Bo")]


@pytest.mark.parametrize(
    "names",
    [
        ("select", "order", "group"),
        ("Mixed Case", "mixed_case", "UPPER"),
        ('say "hi"', "it's", "100 % ?"),
        ("x); DROP TABLE orders; --", "ünïcode 😀", "a.b"),
    ],
)
def test_names_of_all_sorts_are_taken_as_they_are_written(file: Path, names: tuple[str, ...]) -> None:
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    sqlite_rows(file, f'CREATE TABLE "Order ""x"" ; --" ({", ".join(quoted)})')
    sqlite_rows(file, f'CREATE UNIQUE INDEX of_keys ON "Order ""x"" ; --" ({quoted[0]})')
    record = {name: f"value of {name}" for name in names}
    Transfer(table='"Order ""x"" ; --"', columns=[*names], mode="upsert", key_columns=[names[0]])([record, record])
    assert sqlite_rows(file, 'SELECT * FROM "Order ""x"" ; --"') == [tuple(record.values())]
    assert rows(file) == OLD


def test_a_table_may_stand_in_a_schema(file: Path) -> None:
    Transfer(table="main.orders")(orders(10))
    assert rows(file) == [*OLD, (10, "order 10")]


# Before the first request ---------------------------------------------------------------------------------------------


def refused(file: Path, **parameters: Any) -> str:
    """Return why a transfer does not even begin."""
    with pytest.raises(SettingsError) as caught:
        Transfer(**parameters).begin()
    assert rows(file) == OLD
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_a_missing_table_is_found_before_the_first_request(file: Path) -> None:
    said = refused(file, table="Bestellungen; --")
    assert said.startswith("Table 'Bestellungen; --' (connection 'warehouse'): no such table: Bestellungen; --")
    assert "Check table, columns, and the connection's rights" in said


def test_a_missing_column_is_found_before_the_first_request(file: Path) -> None:
    assert "has no column named total" in refused(file, columns=["id", "total"])
    assert "has no column named total" in refused(file, columns=["id", "total"], mode="replace")


def test_a_missing_unique_index_is_found_before_the_first_request(file: Path) -> None:
    sqlite_rows(file, "CREATE TABLE lines (id INTEGER, line INTEGER, name TEXT)")
    said = refused(file, table="lines", mode="upsert", columns=["id", "line", "name"], key_columns=["id", "line"])
    assert said == (
        "key_columns: table 'lines' (connection 'warehouse') has no unique index of just id, line, which mode='upsert' "
        'needs: CREATE UNIQUE INDEX "lines_id_line_key" ON "lines" ("id", "line")'
    )
    sqlite_rows(file, said.rpartition(": ")[2])
    lines = [{"id": 1, "line": 1, "name": "a"}, {"id": 1, "line": 2, "name": "b"}]
    parameters: dict[str, Any] = {"columns": ["id", "line", "name"], "key_columns": ["line", "id"]}
    assert Transfer(table="lines", mode="upsert", **parameters)(lines)["rows"] == 2


def test_a_database_that_may_not_be_written_is_found_before_the_first_request(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = json.dumps({"conn_type": "sqlite", "host": str(file), "extra": {"mode": "ro"}})
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", connection)
    assert "attempt to write a readonly database" in refused(file)


def test_what_is_no_database_is_found_before_the_first_request(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_NOTES", '{"conn_type": "http", "password": "made-up"}')
    assert "type 'http', which is no database" in refused(file, destination_conn_id="notes")
    monkeypatch.setenv("AIRFLOW_CONN_NOTES", '{"conn_type": "nosuchtype", "password": "made-up"}')
    assert "is the provider of 'nosuchtype' installed?" in refused(file, destination_conn_id="notes")
    garbage = file.with_name("garbage.db")
    garbage.write_bytes(b"no database" * 1000)
    monkeypatch.setenv("AIRFLOW_CONN_NOTES", sqlite_connection(garbage))
    assert "file is not a database" in refused(file, destination_conn_id="notes")
    monkeypatch.setenv("AIRFLOW_CONN_NOTES", sqlite_connection(file / "below a file"))
    with pytest.raises(PermanentError, match="unable to open database file"):
        Transfer(destination_conn_id="notes").begin()
