"""docs/pulling.md: what the log says is worded as that page quotes it."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import OAuth2Error
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.operators.http import OAuth2HttpOperator
from airflow_oauth_provider.pull.progress import Progress
from airflow_oauth_provider.transfers.object_storage import OAuth2HttpToObjectStorageOperator
from airflow_oauth_provider.transfers.sql import OAuth2HttpToSqlOperator
from tests.support.documented_runs import World
from tests.support.paged_api import Chain, serve
from tests.support.pulling_guide import FIRST_DAY, GUIDE, Shop, code, rows
from tests.support.servers import Reply, Script, Seen

CURSOR = {"kind": "cursor", "path": "meta.next", "param": "cursor"}
PULL: dict[str, Any] = {"oauth2_conn_id": "shop", "endpoint": "orders", "pagination": CURSOR, "records": "data"}
HALF = b'{"data": [' + b'{"id": 1},' * 500_000


def pull(world: World, answer: Reply | Script, **parameters: Any) -> None:
    """Pull by the hook from an API that answers so."""
    serve(world.server, answer if callable(answer) else lambda _: answer)
    hook = OAuth2Hook(oauth2_conn_id="shop")
    list(hook.records("orders", **{"pagination": CURSOR, "records": "data", **parameters}))


def second_page_gone(seen: Seen) -> Reply:
    return Reply(410, {"error": "this cursor has ended"}) if "cursor" in dict(seen.query) else Shop()(seen)


def to_files(world: World, name: str = "orders/", **parameters: Any) -> None:
    destination = f"{world.home}/{name}"
    world.execute_task(
        OAuth2HttpToObjectStorageOperator(task_id="orders", destination=destination, **{**PULL, **parameters})
    )


def to_files_twice(world: World) -> None:
    for _ in range(2):
        to_files(world, if_exists="fail")


def in_interval(world: World, **interval: Any) -> None:
    operator = OAuth2HttpToObjectStorageOperator(
        task_id="orders", destination=f"{world.home}/orders/", interval_params={"since": "start"}, **PULL
    )
    context: Any = {"ti": SimpleNamespace(), **interval}
    operator.execute(context)


def to_table(world: World, **parameters: Any) -> None:
    world.sql("CREATE TABLE orders (id INTEGER)")
    into = {"destination_conn_id": "warehouse", "table": "orders", "columns": ["id"], **parameters}
    world.execute_task(OAuth2HttpToSqlOperator(task_id="orders", **PULL, **into))


def to_xcom(world: World) -> None:
    world.execute_task(OAuth2HttpOperator(task_id="orders", max_xcom_bytes=2000, **PULL))


PROVOKED: dict[str, Callable[[World], None]] = {
    "records='data' is not there. The page has the keys …": lambda world: pull(world, Reply(200, {"items": []})),
    "the body (text/html) is not JSON": lambda world: pull(
        world, Reply(200, "<html>Log in", {"Content-Type": "text/html"})
    ),
    "this page came before": lambda world: pull(
        world,
        Chain({"": "a", "a": "b", "b": "a"}),
        records="items",
        pagination={**CURSOR, "path": "paging.cursor"},
    ),
    "is the same as the page before": lambda world: pull(
        world, Reply(200, {"data": [1]}), pagination={"kind": "page_number", "param": "p"}
    ),
    "but the token may go to": lambda world: pull(
        world,
        Reply(200, {"data": [1], "meta": {"next": "https://elsewhere.example/"}}),
        pagination={"kind": "next_url", "path": "meta.next"},
    ),
    "answered 410": lambda world: pull(world, second_page_gone),
    "is broken after": lambda world: pull(world, Reply(200, HALF)),
    "holds a result, and if_exists is 'fail'": to_files_twice,
    "for which there is no column": lambda world: to_files(
        world, "orders.csv", file_format="csv", records="[data[0].{id: id}, data[0].{city: customer.city}]"
    ),
    "has no column named": lambda world: to_table(world, columns=["id", "city"]),
    "has no unique index of just": lambda world: to_table(world, mode="upsert", key_columns=["id"]),
    "this run has no data interval": in_interval,
    "the data interval of this run is empty": lambda world: in_interval(
        world, data_interval_start=FIRST_DAY, data_interval_end=FIRST_DAY
    ),
    "more than max_xcom_bytes": to_xcom,
}


@pytest.mark.parametrize("said", PROVOKED)
def test_an_error_is_worded_as_it_is_quoted(world: World, said: str) -> None:
    with pytest.raises(OAuth2Error) as caught:
        PROVOKED[said](world)

    assert said.removesuffix(" …") in str(caught.value)


def test_no_quoted_error_is_left_out() -> None:
    assert [code(cell)[0] for cell, _ in rows("the error says")] == list(PROVOKED)


@pytest.mark.usefixtures("world")
def test_the_last_line_of_a_pull_is_worded_as_it_is_quoted(caplog: pytest.LogCaptureFixture) -> None:
    (quoted,) = re.findall(r"^Done: .+$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    offset = {"kind": "offset", "limit": 100, "total_path": "meta.total"}

    with caplog.at_level("INFO"):
        progress = Progress(logging.getLogger("documented"))
        list(OAuth2Hook(oauth2_conn_id="shop").pages("orders", pagination=offset, records="data", progress=progress))

    said = caplog.messages[-1]
    assert said.startswith("Done: 3 pages, 250 records of 250, ")
    assert re.sub(r"[\d.,]+", "1", said) == re.sub(r"[\d.,]+", "1", quoted)
