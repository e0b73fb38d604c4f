"""Databases that are neither SQLite nor PostgreSQL, and what their hooks can do: made up on top of SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.sql.dialects.dialect import Dialect as HookDialect
from airflow.providers.sqlite.hooks.sqlite import SqliteHook

from airflow_oauth_provider.exceptions import PermanentError, SettingsError, TransientError
from airflow_oauth_provider.masking import Redactor
from airflow_oauth_provider.transfers.tables import errors
from airflow_oauth_provider.transfers.tables.database import Database
from tests.support.sql_runs import Transfer, orders, sqlite_rows


class OwnDialect(HookDialect):
    """Has an upsert of its own, by the primary key."""

    def get_primary_keys(self, table: str, schema: str | None = None) -> list[str] | None:
        del table, schema
        return ["id"]

    def generate_replace_sql(self, table: Any, values: Any, target_fields: Any, **_: Any) -> str:
        return f"INSERT OR REPLACE INTO {table} ({', '.join(target_fields)}) VALUES ({', '.join('?' for _ in values)})"


class MadeUpHook(SqliteHook):
    """A database of another sort, to whoever asks."""

    made_up_dialect: type[HookDialect] = HookDialect
    dialect_name = "made_up"

    @property
    def dialect(self) -> HookDialect:
        return self.made_up_dialect(self)


class AutocommitHook(MadeUpHook):
    """Commits each statement by itself, and can do no other."""

    def get_conn(self) -> Any:
        connection = super().get_conn()
        connection.isolation_level = None
        return NoTransactions(connection)


class NoTransactions:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self.cursor, self.close = connection.cursor, connection.close

    def rollback(self) -> None:
        raise sqlite3.NotSupportedError("there are no transactions here")

    def commit(self) -> None:
        raise sqlite3.NotSupportedError("there are no transactions here")


@pytest.fixture
def use(file: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[type[SqliteHook]], None]:
    """Return a function that gives the connection another hook."""
    from airflow.providers.common.compat.sdk import Connection

    def choose(hook: type[SqliteHook]) -> None:
        monkeypatch.setattr(Connection, "get_hook", lambda *_, **__: hook(sqlite_conn_id="warehouse"))

    return choose


Use = Callable[[type[SqliteHook]], None]


def rows(file: Path) -> list[tuple[Any, ...]]:
    return sqlite_rows(file, "SELECT id, name FROM orders ORDER BY id")


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_any_database_takes_inserts(file: Path, use: Use, mode: str) -> None:
    use(MadeUpHook)
    Transfer(mode=mode)(orders(1, 2))
    assert rows(file) == [(1, "order 1"), (2, "order 2")]
    with pytest.raises(SettingsError, match="no column named total"):
        Transfer(mode=mode, columns=["id", "total"]).begin()


def test_an_upsert_that_nobody_knows_is_refused(file: Path, use: Use) -> None:
    use(MadeUpHook)
    with pytest.raises(SettingsError, match=r"^mode='upsert' is not known for connection 'warehouse' \(made_up\)"):
        Transfer(mode="upsert", key_columns=["id"]).begin()


def test_an_upsert_of_the_hook_is_used(file: Path, use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    use(MadeUpHook)
    monkeypatch.setattr(MadeUpHook, "made_up_dialect", OwnDialect)
    transfer = Transfer(mode="upsert", key_columns=["id"])
    transfer(orders(1, 2))
    transfer([{"id": 2, "name": "first"}, {"id": 2, "name": "changed"}, *orders(3)])
    assert rows(file) == [(1, "order 1"), (2, "changed"), (3, "order 3")]
    with pytest.raises(SettingsError, match=r"^key_columns must be the primary key of table 'orders', id:"):
        Transfer(mode="upsert", key_columns=["name"]).begin()
    with pytest.raises(SettingsError, match="'x; --' has characters that its hook does not quote"):
        Transfer(mode="upsert", key_columns=["id"], columns=["id", "x; --"]).begin()


def test_without_transactions_old_rows_are_not_risked(file: Path, use: Use, log: pytest.LogCaptureFixture) -> None:
    use(AutocommitHook)
    sqlite_rows(file, "INSERT INTO orders VALUES (0, 'old')")
    with pytest.raises(SettingsError, match=r"^mode='replace': connection 'warehouse' has no transactions"):
        Transfer(mode="replace").begin()
    assert rows(file) == [(0, "old")]
    Transfer()(orders(1))
    assert rows(file) == [(0, "old"), (1, "order 1")]
    assert "'warehouse' has no transactions: what a failed try wrote stays." in log.messages


def test_a_hook_that_does_not_know_its_dialect_is_known_by_its_type(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SqliteHook, "dialect_name", "default")  # as it is without SQLAlchemy
    Transfer(mode="upsert", key_columns=["id"])(orders(1, 1))
    assert rows(file) == [(1, "order 1")]


# What drivers say -----------------------------------------------------------------------------------------------------


def of_driver(name: str, *arguments: Any, base: type[Exception] = Exception) -> Exception:
    """Return an error of a driver that is not installed here, with the classes of PEP 249."""
    parents: tuple[type[Exception], ...] = (base,)
    for parent in ("Error", "DatabaseError", name):
        parents = (type(parent, parents, {}),)
    return parents[0](*arguments)


def problem(error: Exception, file: Path, *, values: bool) -> Exception:
    hook: Any = SqliteHook
    database = Database(hook(sqlite_conn_id="warehouse"), "warehouse", Redactor(["made-up-password"]))
    try:
        return database.problem(error, "Table 'orders'", values=values)
    finally:
        database.close()


@pytest.mark.parametrize(
    ("name", "arguments", "kind", "said"),
    [
        ("IntegrityError", (1062, "Duplicate entry 'private' for key 'x'"), PermanentError, "IntegrityError 1062"),
        ("DataError", (1406, "Data too long: 'private'"), PermanentError, "DataError 1406"),
        ("OperationalError", (1205, "Lock wait timeout exceeded"), TransientError, "OperationalError 1205"),
        ("OperationalError", (1054, "Unknown column 'private'"), PermanentError, "OperationalError 1054"),
        ("DataError", ("22018", "cannot convert 'private'"), PermanentError, "DataError"),
        ("InterfaceError", ("private",), TransientError, "InterfaceError"),
        ("NotSupportedError", (), PermanentError, "NotSupportedError"),
    ],
)
def test_of_an_unknown_driver_nothing_is_repeated_once_there_are_values(
    file: Path, name: str, arguments: tuple[Any, ...], kind: type[Exception], said: str
) -> None:
    found = problem(of_driver(name, *arguments), file, values=True)
    assert isinstance(found, kind)
    assert str(found) == f"Table 'orders' (connection 'warehouse'): {said}."


def test_before_there_are_values_a_driver_is_quoted_without_the_password(file: Path) -> None:
    error = of_driver("OperationalError", 1045, "Access denied\nfor made-up-password@example")
    found = problem(error, file, values=False)
    assert str(found) == (
        "Table 'orders' (connection 'warehouse'): (1045, 'Access denied\\nfor ***@example') (OperationalError)."
    )


def test_what_no_driver_raised_is_not_taken_for_its_error() -> None:
    assert not errors.is_drivers(KeyError("a defect"))
    assert errors.is_drivers(sqlite3.OperationalError())
