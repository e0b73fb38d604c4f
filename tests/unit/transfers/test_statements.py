from __future__ import annotations

import re

import pytest

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.transfers.tables.statements import (
    Dialect,
    Target,
    create_unique_index,
    delete_all,
    delete_nothing,
    insert,
    insert_nothing,
    split_table,
)

SQLITE = Dialect("sqlite", "?")
POSTGRESQL = Dialect("postgresql")
MYSQL = Dialect("mysql", quotes=("`", "`"))
OTHER = Dialect("mssql", quotes=("[", "]"))


@pytest.mark.parametrize(
    ("dialect", "name", "quoted"),
    [
        (SQLITE, "order", '"order"'),
        (SQLITE, "Größe in %", '"Größe in %"'),
        (SQLITE, 'x" FROM t; DROP TABLE t; --', '"x"" FROM t; DROP TABLE t; --"'),
        (SQLITE, "back`tick and 'quote'", "\"back`tick and 'quote'\""),
        (MYSQL, "x` = 1; --", "`x`` = 1; --`"),
        (OTHER, "x]; --", "[x]]; --]"),
        (OTHER, "x[0", "[x[0]"),
    ],
)
def test_a_name_is_quoted_whatever_is_in_it(dialect: Dialect, name: str, quoted: str) -> None:
    assert dialect.quote(name) == quoted


def test_a_percent_sign_in_a_name_is_no_placeholder() -> None:
    assert POSTGRESQL.quote("growth %s %") == '"growth %%s %%"'


@pytest.mark.parametrize(
    ("table", "parts"),
    [
        ("orders", ["orders"]),
        ("Sales.Orders", ["Sales", "Orders"]),
        ("db.sales.orders", ["db", "sales", "orders"]),
        ('"a.b".orders', ["a.b", "orders"]),
        ('sales."say ""hi"""', ["sales", 'say "hi"']),
        ("orders; DROP TABLE orders", ["orders; DROP TABLE orders"]),
        ("commandes d'été", ["commandes d'été"]),
    ],
)
def test_a_table_may_be_in_a_schema_and_quoted(table: str, parts: list[str]) -> None:
    assert split_table(table) == parts


@pytest.mark.parametrize("table", ["", ".", "orders.", ".orders", "a..b", '"a', 'a"b"', '""', "a\0b", None, 5])
def test_what_is_no_name_of_a_table_is_refused_by_its_parameter(table: object) -> None:
    with pytest.raises(SettingsError, match=r"^checkpoint_table: "):
        split_table(table, "checkpoint_table")  # type: ignore[arg-type]


def test_rows_are_inserted_by_one_statement() -> None:
    target = Target(POSTGRESQL, "sales.orders", ("id", "user"))
    assert insert(target) == 'INSERT INTO "sales"."orders" ("id", "user") VALUES (%s, %s)'
    assert insert(target, 3).endswith(" VALUES (%s, %s), (%s, %s), (%s, %s)")


@pytest.mark.parametrize("dialect", [SQLITE, POSTGRESQL])
def test_an_upsert_changes_what_is_no_key(dialect: Dialect) -> None:
    conflict = insert(Target(dialect, "t", ("a", "b", "c", "d"), ("c", "a"))).partition(")")[2].partition(")")[2]
    assert conflict == ' ON CONFLICT ("c", "a") DO UPDATE SET "b" = excluded."b", "d" = excluded."d"'


def test_an_upsert_of_keys_alone_changes_nothing() -> None:
    assert insert(Target(SQLITE, "t", ("a", "b"), ("b", "a"))).endswith(') ON CONFLICT ("b", "a") DO NOTHING')


def test_mysql_upserts_in_its_own_way() -> None:
    assert insert(Target(MYSQL, "t", ("a", "b"), ("a",))).endswith(") ON DUPLICATE KEY UPDATE `b` = VALUES(`b`)")
    assert insert(Target(MYSQL, "t", ("a", "b"), ("a", "b"))).endswith(") ON DUPLICATE KEY UPDATE `a` = VALUES(`a`)")


def test_a_statement_of_the_hook_is_taken_as_it_is() -> None:
    target = Target(OTHER, "t", ("a",), ("a",), own_upsert="MERGE INTO t …")
    assert insert(target) == "MERGE INTO t …"
    assert insert_nothing(target) == "INSERT INTO [t] ([a]) SELECT [a] FROM [t] WHERE 1 = 0"


def test_what_is_known_is_proven_without_reading_a_column() -> None:
    upsert = Target(POSTGRESQL, "t", ("a", "b"), ("a",))
    assert insert_nothing(upsert) == (
        'INSERT INTO "t" ("a", "b") SELECT NULL, NULL WHERE 1 = 0 ON CONFLICT ("a") DO UPDATE SET "b" = excluded."b"'
    )
    assert insert_nothing(Target(MYSQL, "t", ("a",))) == "INSERT INTO `t` (`a`) SELECT NULL FROM DUAL WHERE 1 = 0"


def test_everything_is_deleted_and_nothing() -> None:
    target = Target(SQLITE, "s.t", ("a",))
    assert (delete_all(target), delete_nothing(target)) == ('DELETE FROM "s"."t"', 'DELETE FROM "s"."t" WHERE 1 = 0')


def test_the_missing_index_is_written_out() -> None:
    target = Target(SQLITE, "s.orders", ("a", "b", "c"), ("b", "a"))
    assert create_unique_index(target) == 'CREATE UNIQUE INDEX "orders_b_a_key" ON "s"."orders" ("b", "a")'


def test_no_value_stands_in_any_statement() -> None:
    """Whatever a name holds, there are as many placeholders as columns: nothing else is bound."""
    columns = ("a", "b %s", "c ?")
    for dialect in (POSTGRESQL, MYSQL):
        statement = insert(Target(dialect, "t %s", columns, ("a",)))
        assert len(re.findall(r"(?<!%)%s", statement)) == len(columns)
