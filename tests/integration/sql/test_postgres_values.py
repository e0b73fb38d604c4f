"""Values on their way into a real PostgreSQL: what arrives, and what is said of those that it does not take."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import OAuth2Error, PermanentError, TransientError
from airflow_oauth_provider.transfers.tables.database import open_database
from tests.integration.sql.conftest import Warehouse
from tests.support.sql_runs import Transfer

PRIVATE = "Ann's private 'address'"
NASTY = ["it's", 'say "hi"', "😀 é \u2028", "'); DROP TABLE orders; --", "%s %% ? :id $1 {}", "\\'", "\\N", "\n\t", ""]


def arrived(warehouse: Warehouse, kind: str, *values: Any) -> list[Any]:
    """Return what becomes of values in a column of a type."""
    warehouse.sql("DROP TABLE IF EXISTS orders", f"CREATE TABLE orders (id serial, value {kind})")
    Transfer(columns=["value"])([{"value": value} for value in values])
    return [value for (value,) in warehouse.sql("SELECT value FROM orders ORDER BY id")]


def test_texts_arrive_as_they_are(warehouse: Warehouse) -> None:
    assert arrived(warehouse, "text", *NASTY, None) == [*NASTY, None]


def test_numbers_arrive_exactly(warehouse: Warehouse) -> None:
    exact = [Decimal("12345678901234567890.123456789"), Decimal("0.10"), Decimal("1E+3"), 2**200, -(2**63)]
    assert [str(value) for value in arrived(warehouse, "numeric", *exact)] == [
        "12345678901234567890.123456789",
        "0.10",
        "1000",
        str(2**200),
        str(-(2**63)),
    ]
    floats = [123456789012.34567, 0.1, 1e-300, -0.5]
    assert arrived(warehouse, "double precision", *floats) == floats
    assert arrived(warehouse, "numeric", *floats[:2]) == [Decimal("123456789012.34567"), Decimal("0.1")]
    assert arrived(warehouse, "bigint", 2**63 - 1, 0, 5.0) == [2**63 - 1, 0, 5]
    assert arrived(warehouse, "text", 5, 1.5, Decimal("0.10"), True) == ["5", "1.5", "0.10", "true"]


def test_dates_arrive_from_texts(warehouse: Warehouse) -> None:
    assert arrived(warehouse, "date", "2026-01-02", "2026-01-02T23:59:59Z") == [date(2026, 1, 2)] * 2
    [instant] = arrived(warehouse, "timestamptz", "2026-01-02T03:04:05.678+02:00")
    assert instant == datetime(2026, 1, 2, 1, 4, 5, 678000, UTC)
    assert arrived(warehouse, "boolean", True, False, "true", None) == [True, False, True, None]


def test_nested_values_arrive_in_jsonb(warehouse: Warehouse) -> None:
    value = {"a": [1, {"é 😀": None}], "exact": Decimal("1.10"), "big": 2**80, "%s": "'"}
    texts = arrived(warehouse, "jsonb", value, [], {}, None)
    assert texts[0] == {**value, "exact": 1.1}
    assert texts[1:] == [[], {}, None]
    [[text]] = warehouse.sql("SELECT value::text FROM orders WHERE value ? 'exact'")
    assert '"exact": 1.10' in text
    assert json.loads(text, parse_float=Decimal) == value


# What it does not take ------------------------------------------------------------------------------------------------


def refused(warehouse: Warehouse, kind: str, value: Any, **parameters: Any) -> OAuth2Error:
    """Return the error for a value among many good ones; nothing of them stays, and the value is not shown."""
    old = 3 if parameters else 0  # a row that is about to be replaced is in nobody's way
    warehouse.sql(
        "DROP TABLE IF EXISTS orders",
        f"CREATE TABLE orders (id integer PRIMARY KEY, value {kind})",
        f"INSERT INTO orders (id) VALUES ({old})",
    )
    records = [{"id": number} for number in range(1, 1500)]
    records[1233]["value"] = value
    with pytest.raises(OAuth2Error) as caught:
        Transfer(columns=["id", "value"], **parameters)(records)
    error = caught.value
    assert warehouse.sql("SELECT id FROM orders") == [(old,)]
    assert str(error).isprintable()
    assert len(str(error)) < 400
    for secret in ("Ann", "private", "address", "987654", warehouse.cluster.password):
        assert secret not in str(error)
    assert (error.__cause__, error.__context__) == (None, None)
    return error


@pytest.mark.parametrize("parameters", [{}, {"mode": "replace"}, {"mode": "upsert", "key_columns": ["id"]}])
@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("integer", PRIVATE, "invalid input syntax for type integer"),
        ("integer", 'private "quoted" text', "invalid input syntax for type integer"),
        ("integer", "98765432109876", "is out of range for type integer"),
        ("integer", 98765432109876, "integer out of range (NumericValueOutOfRange)"),
        ("date", "2026-13-45 private", "date"),
        ("varchar(3)", PRIVATE, "value too long for type character varying(3) (StringDataRightTruncation)"),
        ("jsonb", PRIVATE, "invalid input syntax for type json (InvalidTextRepresentation)"),
        ("numeric(4, 2)", Decimal("987654.32"), "numeric field overflow (NumericValueOutOfRange)"),
        ("uuid", PRIVATE, "invalid input syntax for type uuid"),
    ],
)
def test_a_value_that_does_not_fit_is_named_by_its_record(
    warehouse: Warehouse, parameters: dict[str, Any], kind: str, value: Any, said: str
) -> None:
    error = refused(warehouse, kind, value, **parameters)
    assert isinstance(error, PermanentError)
    assert str(error).startswith("Table 'orders', record 1,234 (connection 'warehouse'): ")
    assert said in str(error)


@pytest.mark.parametrize(
    ("kind", "value"), [("text", f"{PRIVATE}\0"), ("jsonb", {"a": [f"{PRIVATE}\0"]}), ("text", f"{PRIVATE} \ud83d")]
)
def test_what_is_no_text_to_postgresql_is_named_by_record_and_column(
    warehouse: Warehouse, kind: str, value: Any
) -> None:
    error = refused(warehouse, kind, value)
    assert isinstance(error, PermanentError)
    where = "Table 'orders', record 1,234, column 'value': a text with NUL or half a character (connection 'warehouse')"
    assert str(error).startswith(where)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("text CHECK (value <> 'private')", 'violates check constraint "orders_value_check" (CheckViolation)'),
        ("text REFERENCES codes", 'violates foreign key constraint "orders_value_fkey" (ForeignKeyViolation)'),
        ("text UNIQUE", 'duplicate key value violates unique constraint "orders_value_key" (UniqueViolation)'),
        ("text, must text NOT NULL", 'null value in column "must" of relation "orders" violates not-null constraint'),
    ],
)
def test_a_constraint_is_named_without_the_row(warehouse: Warehouse, column: str, said: str) -> None:
    warehouse.sql("CREATE TABLE codes (code text PRIMARY KEY)", f"CREATE TABLE orders (id integer, value {column})")
    with pytest.raises(PermanentError) as caught:
        Transfer(columns=["id", "value"])([{"id": number, "value": "private"} for number in (987654, 987655)])
    assert said in str(caught.value)
    assert "'private'" not in str(caught.value)
    assert "987654" not in str(caught.value)


def test_the_words_of_a_trigger_are_not_repeated(warehouse: Warehouse) -> None:
    warehouse.sql(
        "CREATE TABLE orders (id integer, value text)",
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'not %', NEW.value; END $$",
        "CREATE TRIGGER refuse BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    with pytest.raises(OAuth2Error) as caught:
        Transfer(columns=["id", "value"])([{"id": 1, "value": PRIVATE}])
    assert "raised by a function or trigger, SQLSTATE P0001" in str(caught.value)
    assert "Ann" not in str(caught.value)


def test_a_lost_connection_is_worth_a_retry(warehouse: Warehouse) -> None:
    warehouse.sql("CREATE TABLE orders (id integer, value text)")
    _, _, sink = Transfer(columns=["id", "value"], batch_size=1).begin()
    sink.write([{"id": 1}])
    warehouse.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = user"
    )
    with pytest.raises(TransientError, match=r"^Table 'orders' \(connection 'warehouse'\): .* a retry begins it again"):
        sink.write([{"id": 2, "value": PRIVATE}])
    sink.abort()
    assert warehouse.sql("SELECT * FROM orders") == []


def test_a_statement_that_the_server_gives_up_is_worth_a_retry(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse.sql("CREATE TABLE orders (id integer)")
    options = f"-c search_path={warehouse.schema} -c lock_timeout=100"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", warehouse.cluster.connection(extra={"options": options}))
    holder = open_database("warehouse")
    holder.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE", (), "")
    with pytest.raises(TransientError, match="canceling statement due to lock timeout"):
        Transfer(columns=["id"]).begin()
    holder.close()
