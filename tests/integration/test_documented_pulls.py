"""docs/pulling.md: its paginators page, and every block of its Python does what stands beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from inspect import signature
from typing import Any

import pytest

from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.pull import pagination
from airflow_oauth_provider.pull.pagination import paginator_of
from airflow_oauth_provider.transfers.base import OAuth2TransferOperator
from airflow_oauth_provider.transfers.object_storage import OAuth2HttpToObjectStorageOperator
from airflow_oauth_provider.transfers.sql import OAuth2HttpToSqlOperator
from tests.support.documented_runs import DAY, World, task_of
from tests.support.paged_api import queries
from tests.support.postgres import DATABASE, USER, Postgres, binaries
from tests.support.pulling_guide import GUIDE, ORDERS, PAGE, README, blocks, code, rows, wanted
from tests.support.requirements import require

DLT = "dlt 1"  # see test_dlt.py
WAYS = [[*code(written)[:1], *code(as_dict)] for _, written, as_dict in rows("what the answer holds") if as_dict]


# Which paginator ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(("written", "as_dict"), WAYS)
def test_a_paginator_and_its_dict_are_the_same_and_bring_every_order(written: str, as_dict: str) -> None:
    paginator = json.loads(as_dict)
    is_post, is_single = "body_path" in paginator, paginator["kind"] == "single"
    search: dict[str, Any] = {"method": "POST", "json": {"filter": {}, "page": {"size": 100}}} if is_post else {}

    got = OAuth2Hook(oauth2_conn_id="shop").records("orders", pagination=paginator, records="data", **search)

    assert list(got) == (ORDERS[:PAGE] if is_single else ORDERS)
    assert paginator_of(paginator) == eval(written, vars(pagination))


def test_the_table_names_every_paginator() -> None:
    assert {json.loads(as_dict)["kind"] for _, as_dict in WAYS} == set(pagination.KINDS)


@pytest.mark.parametrize("operator", [OAuth2HttpToObjectStorageOperator, OAuth2HttpToSqlOperator])
def test_every_parameter_is_named_and_those_of_the_tables_are_templated(operator: type[Any]) -> None:
    own = {name for name, value in signature(operator).parameters.items() if value.kind is value.KEYWORD_ONLY}
    of_a_pull = set(signature(OAuth2TransferOperator).parameters) - {"kwargs"}
    tables = {name for cell, *_ in rows("parameter") for name in code(cell)}

    assert own <= tables & set(operator.template_fields)
    assert {name for name in of_a_pull if not re.search(rf"[`{{ ]{name}[`=]", GUIDE.read_text("utf-8"))} == set()


# Python ---------------------------------------------------------------------------------------------------------------


def the_hook(world: World) -> None:
    names = world.run("Pulling data 1")

    assert names["total"] == sum(order["total"] for order in ORDERS)
    assert (names["page"].number, names["page"].records) == (9, wanted({"status": "open"})[80:])
    assert names["page"].response.status_code == 200


def files(world: World) -> None:
    result = world.execute("Files 1")

    assert world.lines(f"orders/{DAY}/part-00000.jsonl.gz") == wanted({"day": DAY})
    assert set(result) == {"files", "records", "bytes", "pages", "seconds", "resumed"}
    assert set(result["files"][0]) == {"path", "records", "bytes", "sha256"}
    assert (result["records"], result["pages"]) == (24, 3)


def tables(world: World) -> None:
    world.sql("CREATE TABLE orders (id INTEGER, total NUMERIC, city TEXT)")
    world.sql("INSERT INTO orders VALUES (-1, 0, 'of yesterday')")

    result = world.execute("Tables 1")

    expected = [(order["id"], order["total"], order["customer"]["city"]) for order in ORDERS]
    assert world.sql("SELECT * FROM orders ORDER BY id") == expected
    assert set(result) == {"table", "mode", "rows", "records", "pages", "seconds", "resumed"}


def the_data_interval(world: World) -> None:
    world.execute("Only what is new 1")

    asked = dict(queries(world.server)[0])
    assert asked == {"updated_since": "2026-01-02T23:00:00Z", "updated_before": "2026-01-04T00:00:00Z"}
    assert world.lines(f"orders/{DAY}.jsonl") == wanted(asked)


def the_watermark(world: World) -> None:
    world.sql("CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT, total NUMERIC, updated_at TEXT)")

    first, second = (world.execute("Only what is new 2") for _ in range(2))

    since = [dict(query)["updated_since"] for query in queries(world.server)]
    assert since == ["2026-01-01T00:00:00Z"] * 25 + [ORDERS[-1]["updated_at"]]
    assert (first["records"], second["records"]) == (250, 1)
    assert world.sql("SELECT COUNT(*), COUNT(DISTINCT id) FROM orders") == [(250, 250)]


def mapped_pulls(world: World) -> None:
    mapped = task_of(blocks()["Mapped pulls 1"])

    for parameters in mapped.expand_input.value:
        world.execute_task(mapped.unmap(parameters))

    for name in ("orders", "customers"):
        assert world.lines(f"{name}/{DAY}/part-00000.jsonl.gz") == ORDERS


def a_task_of_ones_own(world: World) -> None:
    largest = world.run("A task of your own 1")["largest_order"].function()

    assert largest == max(ORDERS, key=lambda order: order["total"])


def a_search_by_post(world: World) -> None:
    world.execute("A search by POST 1")

    assert world.lines(f"open/{DAY}.jsonl") == wanted({"status": "open"})
    assert {seen.method for seen in world.server.api_requests} == {"POST"}


def a_function_of_ones_own(world: World) -> None:
    assert list(world.run("A function of one's own 1")["days"]) == ORDERS


def every_night_into_postgresql(world: World) -> None:
    import psycopg

    folder = binaries()
    require(folder is not None, "PostgreSQL (initdb, postgres)")
    if folder is None:
        return
    with Postgres(folder) as postgres, pytest.MonkeyPatch.context() as environment:
        environment.setenv("AIRFLOW_CONN_WAREHOUSE", postgres.connection())
        with psycopg.connect(
            host=postgres.host, port=postgres.port, user=USER, password=postgres.password, dbname=DATABASE
        ) as database:
            database.execute("CREATE SCHEMA sales")
            database.execute(
                "CREATE TABLE sales.orders (id bigint PRIMARY KEY, status text, total numeric, city text, "
                "updated_at timestamptz)"
            )
            database.execute("INSERT INTO sales.orders VALUES (1, 'paid'), (49, 'changes')")
            database.commit()

            result = world.execute("Every night into PostgreSQL 1")

            old, *changed = database.execute("SELECT * FROM sales.orders ORDER BY id").fetchall()

    assert old == (1, "paid", None, None, None)
    assert changed == [
        (
            order["id"],
            order["status"],
            Decimal(str(order["total"])),
            order["customer"]["city"],
            datetime.fromisoformat(order["updated_at"]),
        )
        for order in wanted({"updated_since": "2026-01-02T23", "updated_before": "2026-01-04"})
    ]
    assert result["rows"] == len(changed) == 25


def a_file_as_it_is(world: World) -> None:
    world.execute("A file as it is 1")

    assert (world.home / f"exports/{DAY}.csv").read_bytes() == b"id\r\n1\r\n"


SHOWN: dict[str, Callable[[World], None]] = {
    "Pulling data 1": the_hook,
    "Files 1": files,
    "Tables 1": tables,
    "Only what is new 1": the_data_interval,
    "Only what is new 2": the_watermark,
    "Mapped pulls 1": mapped_pulls,
    "A task of your own 1": a_task_of_ones_own,
    "A search by POST 1": a_search_by_post,
    "A function of one's own 1": a_function_of_ones_own,
    "Every night into PostgreSQL 1": every_night_into_postgresql,
    "A file as it is 1": a_file_as_it_is,
}


@pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN)
def test_a_block_of_python_does_what_stands_beside_it(world: World, show: Callable[[World], None]) -> None:
    show(world)

    assert len(world.server.token_requests) == 1


def test_no_block_is_left_out() -> None:
    assert set(blocks()) == {*SHOWN, DLT}


def test_the_transfers_of_the_readme_are_tasks_as_they_stand() -> None:
    tasks = [task_of(block) for block in blocks(README).values() if "OAuth2HttpTo" in block.code]

    assert [task.task_id for task in tasks] == ["orders_to_lake", "orders_to_table"]
