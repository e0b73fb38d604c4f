"""The transfer into a real PostgreSQL: modes, rights, names, and what it finds before the first request."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import PermanentError, SettingsError, TransientError
from airflow_oauth_provider.transfers.tables.database import open_database
from tests.integration.sql.conftest import Warehouse
from tests.support.made_up import TASK_LOGGER
from tests.support.sql_runs import StateStore, Transfer, orders

OLD = [(1, "old 1"), (2, "old 2")]
UPSERT: dict[str, Any] = {"mode": "upsert", "key_columns": ["id"]}


@pytest.fixture(autouse=True)
def _orders(warehouse: Warehouse) -> None:
    warehouse.sql(
        "CREATE TABLE orders (id bigint PRIMARY KEY, name text)",
        "INSERT INTO orders VALUES (1, 'old 1'), (2, 'old 2')",
    )


def rows(warehouse: Warehouse, table: str = "orders") -> list[tuple[Any, ...]]:
    return warehouse.sql(f"SELECT id, name FROM {table} ORDER BY id")


def test_the_driver_is_the_one_of_the_hook(warehouse: Warehouse) -> None:
    database = open_database("warehouse")
    assert database._driver == warehouse.driver
    assert database.transactional
    database.close()


# Modes ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 1000, 2501])
def test_append_adds_rows(warehouse: Warehouse, count: int) -> None:
    assert Transfer()(orders(*range(10, 10 + count)))["rows"] == count
    assert rows(warehouse) == OLD + [(n, f"order {n}") for n in range(10, 10 + count)]


@pytest.mark.parametrize("count", [0, 1500])
def test_replace_leaves_the_new_rows_alone(warehouse: Warehouse, count: int) -> None:
    Transfer(mode="replace")(orders(*range(2, 2 + count)))
    assert rows(warehouse) == [(n, f"order {n}") for n in range(2, 2 + count)]


def test_others_see_the_old_rows_until_the_new_ones_are_all_there(warehouse: Warehouse) -> None:
    _, _, sink = Transfer(mode="replace", batch_size=1).begin()
    sink.write(orders(7, 8))
    assert rows(warehouse) == OLD
    sink.finish({"records": 2, "pages": 1, "seconds": 0.1})
    assert rows(warehouse) == [(7, "order 7"), (8, "order 8")]


@pytest.mark.parametrize("batch_size", [1, 2, 1000])
def test_of_records_with_one_key_the_last_wins(warehouse: Warehouse, batch_size: int) -> None:
    names = [(1, "first"), (3, "only"), (1, "second"), (2, "first"), (1, "last"), (2, "last")]
    Transfer(**UPSERT, batch_size=batch_size)([{"id": number, "name": name} for number, name in names])
    assert rows(warehouse) == [(1, "last"), (2, "last"), (3, "only")]


def test_an_upsert_of_keys_alone_adds_what_is_not_there(warehouse: Warehouse) -> None:
    warehouse.sql("CREATE UNIQUE INDEX ON orders (name, id)")
    transfer = Transfer(mode="upsert", key_columns=["id", "name"])
    assert transfer([{"id": 1, "name": "old 1"}, *orders(5, 5, 6)])["rows"] == 3
    assert rows(warehouse) == [*OLD, (5, "order 5"), (6, "order 6")]


def test_keys_that_are_one_to_the_database_alone_are_an_error_or_one_row(warehouse: Warehouse) -> None:
    warehouse.sql("CREATE TABLE days (id date PRIMARY KEY, name text)")
    records = [{"id": "2026-01-02", "name": "first"}, {"id": "2026-01-02T00:00:00", "name": "last"}]
    if warehouse.driver == "psycopg2":
        with pytest.raises(PermanentError, match=r"cannot affect row a second time .* set batch_size=1\.$"):
            Transfer(table="days", **UPSERT)(records)
    Transfer(table="days", **UPSERT, batch_size=1)(records)
    assert warehouse.sql("SELECT name FROM days") == [("last",)]


# Names ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        ("select", "user", "table"),
        ("Mixed Case", "mixed case", "MIXED CASE"),
        ('say "hi"', "it's", "100 % of %s %(x)s"),
        ("x); DROP TABLE orders; --", "ünïcode 😀", "a.b"),
    ],
)
@pytest.mark.parametrize("mode", ["append", "upsert"])
def test_names_of_all_sorts_are_taken_as_they_are_written(
    warehouse: Warehouse, names: tuple[str, ...], mode: str
) -> None:
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    table = f'"{warehouse.schema}"."Order ""x""; %s"'
    warehouse.sql(f"CREATE TABLE {table} ({' text, '.join(quoted)} text, UNIQUE ({quoted[0]}))")
    record = {name: f"value of {name}" for name in names}
    keys = [names[0]] if mode == "upsert" else None
    Transfer(table=table, columns=[*names], mode=mode, key_columns=keys)([record])
    assert warehouse.sql(f"SELECT * FROM {table}") == [tuple(record.values())]
    assert rows(warehouse) == OLD


# Before the first request -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"table": "nowhere.orders"}, 'relation "nowhere.orders" does not exist (UndefinedTable)'),
        ({"table": "Orders"}, 'relation "Orders" does not exist (UndefinedTable)'),
        ({"columns": ["id", "Name"]}, 'column "Name" of relation "orders" does not exist (UndefinedColumn)'),
        ({"columns": ["id", "name"], "mode": "upsert", "key_columns": ["name"]}, "has no unique index of just name"),
    ],
)
def test_what_is_missing_is_found_before_the_first_request(
    warehouse: Warehouse, parameters: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        Transfer(**parameters).begin()
    assert said in str(caught.value)
    assert "(connection 'warehouse')" in str(caught.value)
    assert warehouse.cluster.password not in str(caught.value)


@pytest.mark.parametrize(
    ("rights", "parameters", "fits"),
    [
        (["INSERT ON orders"], {}, True),
        (["INSERT (id, name) ON orders"], {}, True),
        (["SELECT ON orders"], {}, False),
        (["INSERT (id) ON orders"], {}, False),
        (["INSERT ON orders"], {"mode": "replace"}, False),
        (["INSERT, DELETE ON orders"], {"mode": "replace"}, True),
        (["INSERT, SELECT ON orders"], UPSERT, False),
        (["INSERT, SELECT, UPDATE ON orders"], UPSERT, True),
    ],
)
def test_the_rights_that_are_needed_and_no_others_are_asked_for(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, rights: list[str], parameters: dict[str, Any], fits: bool
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", warehouse.connection(warehouse.make_user(*rights)))
    if fits:
        Transfer(**parameters)(orders(7))
        assert (7, "order 7") in rows(warehouse)
        return
    with pytest.raises(SettingsError, match="permission denied for table orders"):
        Transfer(**parameters).begin()
    assert rows(warehouse) == OLD


def test_a_server_that_does_not_let_us_in_is_an_error_without_the_password(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    for changes in ({"password": "made-up-wrong-one"}, {"port": 1}, {"schema": "nowhere"}):
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", warehouse.cluster.connection(**changes))
        with pytest.raises(
            TransientError, match=r"^The database does not let us in \(connection 'warehouse'\)"
        ) as caught:
            Transfer().begin()
        assert "made-up" not in str(caught.value)
        assert caught.value.__context__ is None


# Checkpoints ----------------------------------------------------------------------------------------------------------


def test_without_the_right_to_make_a_table_rows_come_all_the_same(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, log: pytest.LogCaptureFixture
) -> None:
    user = warehouse.make_user("INSERT ON orders")
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", warehouse.connection(user))
    Transfer(StateStore(tmp_path / "store"))(orders(7))
    assert rows(warehouse) == [*OLD, (7, "order 7")]
    [warning] = [record.getMessage() for record in log.records if record.levelno == logging.WARNING]
    assert warning.startswith("checkpoint_table: none is kept")
    assert f"permission denied for schema {warehouse.schema}" in warning


def test_a_table_that_somebody_else_made_is_enough(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, log: pytest.LogCaptureFixture
) -> None:
    Transfer(StateStore(tmp_path / "theirs"))(orders(6))
    user = warehouse.make_user("INSERT ON orders", "SELECT, INSERT, DELETE ON oauth2_checkpoints")
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", warehouse.connection(user))
    transfer = Transfer(StateStore(tmp_path / "store"))
    transfer.tries = 1
    _, _, sink = transfer.begin()
    sink.abort()
    assert sink.complete  # the row of the other one has the key of this task
    assert not [record for record in log.records if record.name == TASK_LOGGER]


@pytest.mark.parametrize("cursor", ["dictcursor", "namedtuplecursor", "realdictcursor"])
def test_the_cursor_of_the_connection_makes_no_difference(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, cursor: str
) -> None:
    if (cursor, warehouse.driver) == ("realdictcursor", "psycopg"):
        pytest.skip("not applicable: the hook refuses this cursor with psycopg 3")
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", warehouse.connection(cursor=cursor))
    transfer = Transfer(StateStore(tmp_path / "store"), commit_every=10)
    _, _, sink = transfer.begin()
    sink.write(orders(*range(10, 35)))
    sink.abort()
    transfer(orders(*range(10, 40)))
    assert [number for number, _ in rows(warehouse)[2:]] == list(range(10, 40))
