"""What a transfer into a table keeps in memory, in a process of its own."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from tests.integration.sql.conftest import Warehouse
from tests.support.postgres import Postgres
from tests.support.sql_runs import measured_try, run_in_a_process, sqlite_connection, sqlite_rows

TOTAL = 150_000
COLUMNS = ["id", *(f"c{number}" for number in range(9))]
TABLE = f"CREATE TABLE orders (id integer PRIMARY KEY, {', '.join(f'{name} text' for name in COLUMNS[1:])})"
# All of these records would be 150 MB and more. A million rows, measured by hand, are no more than these are.
MOST_MB = 15


def grown_mb(connection: str, **parameters: Any) -> float:
    ours, theirs = multiprocessing.Pipe()
    assert run_in_a_process(measured_try, connection, {"columns": COLUMNS, **parameters}, TOTAL, theirs) == 0
    return float(ours.recv())


@pytest.mark.parametrize(
    "parameters", [{}, {"commit_every": 10_000}, {"mode": "upsert", "key_columns": ["id"]}], ids=str
)
def test_rows_into_sqlite_take_no_memory(tmp_path: Path, parameters: dict[str, Any]) -> None:
    file = tmp_path / "warehouse.db"
    sqlite_rows(file, TABLE)
    assert grown_mb(sqlite_connection(file), **parameters) < MOST_MB
    assert sqlite_rows(file, "SELECT COUNT(*) FROM orders") == [(TOTAL,)]


@pytest.mark.parametrize("parameters", [{}, {"mode": "upsert", "key_columns": ["id"]}], ids=str)
def test_rows_into_postgresql_take_no_memory(cluster: Postgres, parameters: dict[str, Any]) -> None:
    warehouse = Warehouse(cluster, "whichever the hook takes")
    warehouse.sql(TABLE)
    assert grown_mb(warehouse.connection(), **parameters) < MOST_MB
    assert warehouse.sql("SELECT COUNT(*) FROM orders") == [(TOTAL,)]
