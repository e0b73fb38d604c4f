"""Days on which the database says no: nothing is half written, and no value of a row stands in an error."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import OAuth2Error, PermanentError, TransientError
from tests.support.sql_runs import Transfer, orders, sqlite_connection, sqlite_rows

PRIVATE = "Ann's private address"
OLD = [(1, "old", 5)]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "warehouse.db"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", sqlite_connection(path))
    sqlite_rows(
        path,
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, total INTEGER CHECK (total > 0)) "
        "STRICT",
    )
    sqlite_rows(path, "INSERT INTO orders VALUES (1, 'old', 5)")
    return path


def rows(file: Path) -> list[tuple[Any, ...]]:
    return sqlite_rows(file, "SELECT * FROM orders")


def failed(records: list[Any], **parameters: Any) -> OAuth2Error:
    """Return the error of a transfer, which shows nothing that it should not."""
    with pytest.raises(OAuth2Error) as caught:
        Transfer(**{"columns": ["id", "name", "total"], **parameters})(records)
    error = caught.value
    assert PRIVATE not in repr(error)
    assert (error.__cause__, error.__context__) == (None, None)
    assert str(error).isprintable()
    assert len(str(error)) < 500
    return error


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"id": 1, "name": PRIVATE, "total": 1}, "UNIQUE constraint failed: orders.id (IntegrityError)"),
        ({"id": 9, "total": 1}, "NOT NULL constraint failed: orders.name (IntegrityError)"),
        ({"id": 9, "name": PRIVATE, "total": -1}, "CHECK constraint failed: total > 0 (IntegrityError)"),
        ({"id": 9, "name": PRIVATE, "total": PRIVATE}, "cannot store TEXT value in INTEGER column orders.total"),
    ],
)
@pytest.mark.parametrize("parameters", [{}, {"mode": "replace"}, {"batch_size": 1}])
def test_a_row_that_the_table_does_not_take_leaves_the_old_rows(
    file: Path, bad: dict[str, Any], said: str, parameters: dict[str, Any]
) -> None:
    if parameters.get("mode") == "replace" and bad["id"] == 1:
        bad = {**bad, "id": 10}
    records = [{**order, "total": 1} for order in orders(*range(10, 1500))]
    error = failed([*records, bad], **parameters)
    assert isinstance(error, PermanentError)
    assert str(error).startswith(f"Table 'orders' (connection 'warehouse'): {said}")
    assert str(error).endswith("What this transaction wrote is taken back: mend the data or the table.")
    assert rows(file) == OLD


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_a_record_that_is_no_row_leaves_the_old_rows(file: Path, mode: str) -> None:
    records = [{**order, "total": 1} for order in orders(*range(10, 1500))]
    error = failed([*records, [PRIVATE]], mode=mode)
    assert str(error).startswith("Record 1,491 is a list, not an object")
    assert rows(file) == OLD


def test_a_text_that_is_none_is_an_error_without_it(file: Path) -> None:
    error = failed([{"id": 7, "name": f"{PRIVATE} \ud83d", "total": 1}])
    assert isinstance(error, PermanentError)
    assert "UnicodeEncodeError" in str(error)
    assert "record 1" in str(error)


def test_a_locked_database_is_worth_a_retry(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "connect", _impatient(sqlite3.connect))
    with closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN IMMEDIATE")
        error = failed(orders(7))
    assert isinstance(error, TransientError)
    assert str(error).startswith("Table 'orders' (connection 'warehouse'): database is locked (OperationalError)")


def test_a_table_that_vanishes_during_the_run_is_an_error_of_the_table(file: Path) -> None:
    _, _, sink = Transfer(columns=["id", "name", "total"]).begin()
    sqlite_rows(file, "DROP TABLE orders")
    sink.write([{"id": 7, "name": PRIVATE, "total": 1}])
    with pytest.raises(PermanentError, match="no such table: orders"):
        sink.finish({})
    sink.abort()


def test_an_aborted_transfer_gives_the_table_free(file: Path) -> None:
    _, _, sink = Transfer(batch_size=1, mode="replace", columns=["id", "name", "total"]).begin()
    sink.write([{"id": 7, "name": "x", "total": 1}])
    sink.abort()
    sink.abort()
    assert rows(file) == OLD
    sqlite_rows(file, "INSERT INTO orders VALUES (2, 'not locked', 1)")


def test_nothing_is_locked_before_the_first_row(file: Path) -> None:
    _, _, sink = Transfer(mode="replace", columns=["id", "name", "total"]).begin()
    sqlite_rows(file, "INSERT INTO orders VALUES (2, 'meanwhile', 1)")
    sink.finish({"records": 0, "pages": 1, "seconds": 0.1})
    assert rows(file) == []


def test_a_column_that_no_record_has_is_a_warning(file: Path, log: pytest.LogCaptureFixture) -> None:
    Transfer(columns={"id": "id", "name": "name", "total": "sum.total"})(orders(7, 8))
    [warning] = [record.getMessage() for record in log.records if record.levelno == logging.WARNING]
    assert warning == (
        "No record had anything for the columns ['total']: they are NULL in every row. Are the names right?"
    )


def test_without_records_no_column_is_missed(file: Path, log: pytest.LogCaptureFixture) -> None:
    Transfer()([])
    assert not [record for record in log.records if record.levelno >= logging.WARNING]


def _impatient(connect: Any) -> Any:
    return lambda *args, **kwargs: connect(*args, **{**kwargs, "timeout": 0.05})
