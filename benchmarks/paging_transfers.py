"""
One process under measurement: ``paging_transfers.py ours | script TARGET BLOCKS``; prints one line of JSON.

A target is a body (``json``, ``ndjson``, ``csv``), which goes into gzipped JSONL, or a connection to a database
(``sqlite``, ``postgres``), into a table of which go as many pages of a thousand records.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook

from benchmarks.memory import MemoryGrowth
from benchmarks.paging_clients import AUTHORIZATION
from benchmarks.paging_server import BODIES, FIRST_ID, order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import requests
    from airflow.providers.common.sql.hooks.sql import DbApiHook

BLOCK = 1000
COLUMNS = list(order(FIRST_ID))
TYPES = ["BIGINT PRIMARY KEY", "TEXT", "TEXT", "BOOLEAN", "INTEGER", "NUMERIC", "TEXT", "TEXT", "TEXT", "TEXT"]

# What the operators ask of a run.
_TASK = SimpleNamespace(dag_id="benchmark", run_id="benchmark", task_id="pull", map_index=-1, try_number=1, max_tries=0)
CONTEXT: Any = {"ti": _TASK, "run_id": _TASK.run_id}


def file_by_script(kind: str, blocks: int, file: Path) -> None:
    """Write the records of a body as the usual script does."""
    with session() as api, api.get(f"{os.environ['BENCHMARK_API']}/{blocks}x{BLOCK}/{kind}", stream=True) as response:
        response.raise_for_status()
        records: Iterable[Any]
        if kind == "json":
            records = response.json()["data"]
        elif kind == "ndjson":
            records = map(json.loads, response.iter_lines(65536))
        else:
            response.encoding = "utf-8"
            records = csv.DictReader(response.iter_lines(65536, decode_unicode=True))
        # The same compression on both sides: by default a script's would take three times as long.
        with gzip.open(file, "wt", compresslevel=1, encoding="utf-8") as lines:
            for record in records:
                lines.write(json.dumps(record) + "\n")


def file_by_operator(kind: str, blocks: int, file: Path) -> None:
    """Write the records of a body by this package."""
    from airflow_oauth_provider.transfers.object_storage import OAuth2HttpToObjectStorageOperator

    OAuth2HttpToObjectStorageOperator(
        task_id="pull",
        oauth2_conn_id="benchmark",
        endpoint=f"{blocks}x{BLOCK}/{kind}",
        response_format=kind,
        records="data" if kind == "json" else None,
        destination=file.as_uri(),
        file_format="jsonl",
        compression="gzip",
        resume=False,
    ).execute(CONTEXT)


def rows_by_script(target: str, blocks: int) -> None:
    """Insert the records of all pages as the usual script does, by Airflow's hook."""
    rows = ([record[name] for name in COLUMNS] for record in all_records(blocks))
    database(target).insert_rows("orders", rows, COLUMNS, commit_every=BLOCK, executemany=True)


def all_records(blocks: int) -> Iterator[dict[str, Any]]:
    """Yield the records of all pages."""
    url: str | None = f"{os.environ['BENCHMARK_API']}/{blocks}x{BLOCK}/link"
    with session() as api:
        while url:
            response = api.get(url)
            response.raise_for_status()
            yield from response.json()["data"]
            url = response.links.get("next", {}).get("url")


def rows_by_operator(target: str, blocks: int) -> None:
    """Insert the records of all pages by this package."""
    from airflow_oauth_provider.pull.pagination import LinkHeader
    from airflow_oauth_provider.transfers.sql import OAuth2HttpToSqlOperator

    OAuth2HttpToSqlOperator(
        task_id="pull",
        oauth2_conn_id="benchmark",
        endpoint=f"{blocks}x{BLOCK}/link",
        pagination=LinkHeader(),
        records="data",
        destination_conn_id=target,
        table="orders",
        columns=COLUMNS,
        resume=False,
    ).execute(CONTEXT)


def session() -> requests.Session:
    """Return a session that knows a token."""
    import requests

    made = requests.Session()
    made.headers["Authorization"] = AUTHORIZATION
    return made


def database(target: str) -> DbApiHook:
    """Return the hook of a database's connection."""
    hook: DbApiHook = BaseHook.get_hook(target)
    return hook


def lines_of(file: Path) -> int:
    """Return how many records a file holds, each in its place."""
    with gzip.open(file) as lines:
        for count, line in enumerate(lines):
            if b"%d" % (FIRST_ID + count) not in line[:24]:
                raise ValueError(f"line {count} is {line[:100]!r}")
    return count + 1


def rows_of(target: str) -> int:
    """Return how many records the table holds, none missing and none twice."""
    count, first, last = database(target).get_first("SELECT count(*), min(id), max(id) FROM orders")
    if (first, last) != (FIRST_ID, FIRST_ID + count - 1):
        raise ValueError(f"{count} rows from {first} to {last}")
    return int(count)


def empty_table(target: str) -> None:
    """Make the table anew."""
    columns = ", ".join(f"{name} {kind}" for name, kind in zip(COLUMNS, TYPES, strict=True))
    database(target).run(["DROP TABLE IF EXISTS orders", f"CREATE TABLE orders ({columns})"])


def measured(transfer: Callable[[], None]) -> dict[str, Any]:
    """Return what a transfer took."""
    memory = MemoryGrowth()
    began, cpu = time.perf_counter(), time.process_time()
    transfer()
    return {
        "seconds": time.perf_counter() - began,
        "cpu_s": time.process_time() - cpu,
        "growth_mib": memory.mib(),
    }


def file(side: str, kind: str, blocks: int) -> dict[str, Any]:
    """Measure a transfer into a file, after that of one block."""
    transfer = file_by_operator if side == "ours" else file_by_script
    with tempfile.TemporaryDirectory() as folder:
        transfer(kind, 1, Path(folder, "warm-up.jsonl.gz"))
        target = Path(folder, "orders.jsonl.gz")
        return measured(partial(transfer, kind, blocks, target)) | {"records": lines_of(target)}


def rows(side: str, target: str, blocks: int) -> dict[str, Any]:
    """Measure a transfer into a table, after that of one page."""
    transfer = rows_by_operator if side == "ours" else rows_by_script
    empty_table(target)
    transfer(target, 1)
    empty_table(target)
    return measured(partial(transfer, target, blocks)) | {"records": rows_of(target)}


if __name__ == "__main__":
    chosen, target, number = sys.argv[1:]
    print(json.dumps((file if target in BODIES else rows)(chosen, target, int(number))))
