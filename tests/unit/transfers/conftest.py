"""A database to which the connection *warehouse* leads."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.sql_runs import sqlite_connection, sqlite_rows


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a database whose table ``orders`` is empty."""
    path = tmp_path / "warehouse.db"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", sqlite_connection(path))
    sqlite_rows(path, "CREATE TABLE orders (id INTEGER PRIMARY KEY, name TEXT)")
    return path
