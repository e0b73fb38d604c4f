"""
``make demo``: every example Dag in one real Airflow, against an authorization server and an API on loopback.

Prints what landed in XCom, in files and in a table, and how many token requests all tasks together took; leaves
nothing running.
"""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

from demo.destinations import Destinations, records
from demo.server import DemoServer
from demo.standalone import Standalone

PROJECT = Path(__file__).resolve().parent.parent
DAGS = PROJECT / "dags_examples"
HOME = PROJECT / ".demo"
RESULTS = {
    "shop_scheduled_pull": "open_orders",
    "shop_taskflow": "count_orders",
    "shop_mapped_tasks": "order",
    "shop_stock_http_operator": "customers",
}
PAGINATED_PULL = "shop_paginated_pull"


class DemoFailedError(RuntimeError):
    """A Dag did not do what it should; the logs say why."""


def run_dags(server: DemoServer, airflow: Standalone, destinations: Destinations) -> None:
    """Run all example Dags at once, then say what came of them."""
    say('Creating the connections "shop" (OAuth 2.0 API) and "warehouse" (SQLite), and the Variable "lake"')
    airflow.api.create_connection("shop", server.connection())
    airflow.api.create_connection("warehouse", destinations.warehouse)
    airflow.api.create_variable("lake", destinations.lake)
    dag_ids = [*RESULTS, PAGINATED_PULL]
    airflow.api.wait_for_dags(dag_ids)
    runs = airflow.api.start(dag_ids)
    say(f"Running {len(runs)} Dags")
    for dag_id, run_id in runs.items():
        state = airflow.api.wait_for_run(dag_id, run_id)
        say(f"  {dag_id}: {state}")
        if state != "success":
            raise DemoFailedError(f"{dag_id} {state}")

    say("In XCom:")
    for dag_id, task_id in RESULTS.items():
        values = results(airflow, dag_id, runs[dag_id])
        for value in values[:2]:
            say(f"  {dag_id}.{task_id}: {shorten(value)}")
        if len(values) > 2:
            say(f"  … and {len(values) - 2} more")
    show_pulled(destinations)
    tasks = sum(len(airflow.api.task_instances(dag_id, run_id)) for dag_id, run_id in runs.items())
    counts = server.ledger.counts()
    say(f"{tasks} tasks, {counts['api_requests']} API calls, token requests: {counts['token_requests']}")


def show_pulled(destinations: Destinations) -> None:
    """Say what the paginated pull has really delivered."""
    for path in destinations.files():
        pulled = records(path)
        say(f"In {path.relative_to(PROJECT)}: {len(pulled)} records in {path.stat().st_size} bytes")
        say(f"  {shorten(pulled[0])}")
    rows = destinations.rows()
    say(f'In SQLite, table "sales": {len(rows)} rows')
    say(f"  {shorten(rows[0])}")


def results(airflow: Standalone, dag_id: str, run_id: str) -> list[Any]:
    """Return the XCom of the task that shows the Dag's result, of each of its mapped instances."""
    task_id = RESULTS[dag_id]
    instances = airflow.api.task_instances(dag_id, run_id)
    indexes = sorted(one["map_index"] for one in instances if one["task_id"] == task_id)
    return [airflow.api.xcom(dag_id, run_id, task_id, index) for index in indexes]


def shorten(value: Any, width: int = 90) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= width else text[: width - 1] + "…"


def say(text: str) -> None:
    print(f"{time.monotonic() - STARTED:5.0f} s  {text}", flush=True)


def main() -> int:
    """Run the demo; 0 when every Dag succeeded with one token."""
    # Being told to stop must stop Airflow too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    shutil.rmtree(HOME, ignore_errors=True)
    airflow = Standalone(HOME, DAGS)
    try:
        with DemoServer() as server:
            say(f"Authorization server {server.token_url}, API {server.base_url}")
            say("Starting airflow standalone (takes about half a minute)")
            with airflow:
                run_dags(server, airflow, Destinations(HOME))
                say("Stopping everything")
    except KeyboardInterrupt:
        say("Interrupted; everything is stopped")
        return 128 + signal.SIGINT
    except Exception as error:  # noqa: BLE001 - whatever it was, the logs say more than a traceback
        print(airflow.what_failed(), file=sys.stderr)
        print(f"\nThe demo failed: {error}\nAll logs: {HOME}", file=sys.stderr)
        return 1
    return 0


STARTED = time.monotonic()

if __name__ == "__main__":
    sys.exit(main())
