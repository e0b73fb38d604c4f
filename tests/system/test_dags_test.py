"""The example Dags by ``airflow dags test``, which every supported Airflow has."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from demo.destinations import Destinations
from demo.run import DAGS, PAGINATED_PULL, RESULTS
from demo.server import DemoServer
from demo.standalone import airflow_environment
from tests.system.expected import assert_a_day_was_pulled, expected_xcoms

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class CommandLine:
    """The command ``airflow`` in a home of its own, with what the example Dags need in its environment."""

    home: Path
    server: DemoServer
    destinations: Destinations

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["airflow", *arguments],
            env={
                **airflow_environment(self.home, DAGS),
                "AIRFLOW_CONN_SHOP": json.dumps(self.server.connection()),
                "AIRFLOW_CONN_WAREHOUSE": json.dumps(self.destinations.warehouse),
                "AIRFLOW_VAR_LAKE": self.destinations.lake,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )

    def query(self, statement: str, *values: str) -> list[Any]:
        database = f"file:{self.home / 'airflow.db'}?mode=ro"
        with closing(sqlite3.connect(database, uri=True)) as connection:
            return [row[0] for row in connection.execute(statement, values)]


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with DemoServer() as server:
        home = tmp_path_factory.mktemp("airflow")
        command_line = CommandLine(home, server, Destinations(home))
        migrated = command_line.run("db", "migrate")
        assert migrated.returncode == 0, migrated.stdout
        yield command_line


@pytest.mark.parametrize("dag_id", RESULTS)
def test_an_example_dag_succeeds_and_leaves_its_result_in_xcom(airflow: CommandLine, dag_id: str) -> None:
    done = airflow.run("dags", "test", dag_id)

    assert done.returncode == 0, done.stdout
    assert airflow.query("SELECT state FROM dag_run WHERE dag_id = ?", dag_id) == ["success"], done.stdout
    (interval_start,) = airflow.query("SELECT data_interval_start FROM dag_run WHERE dag_id = ?", dag_id)
    stored = airflow.query(
        "SELECT value FROM xcom WHERE key = 'return_value' AND dag_id = ? AND task_id = ? ORDER BY map_index",
        dag_id,
        RESULTS[dag_id],
    )
    assert [json.loads(value) for value in stored] == expected_xcoms(interval_start[:10])[dag_id]
    for secret in (airflow.server.client.client_secret, *airflow.server.ledger.issued()):
        assert secret not in done.stdout


def test_the_paginated_pull_succeeds_and_delivers_the_records_of_its_data_interval(airflow: CommandLine) -> None:
    done = airflow.run("dags", "test", PAGINATED_PULL)

    assert done.returncode == 0, done.stdout
    assert airflow.query("SELECT state FROM dag_run WHERE dag_id = ?", PAGINATED_PULL) == ["success"], done.stdout
    (day,) = airflow.query("SELECT data_interval_start FROM dag_run WHERE dag_id = ?", PAGINATED_PULL)
    assert_a_day_was_pulled(airflow.destinations, day)
