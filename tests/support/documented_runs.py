"""The code of docs/pulling.md at work: a shop, a connection to its API, and places for what is pulled."""

from __future__ import annotations

import gzip
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.transfers.object_storage import OAuth2HttpToObjectStorageOperator
from airflow_oauth_provider.transfers.sql import OAuth2HttpToSqlOperator
from tests.support.paged_api import serve
from tests.support.pulling_guide import Block, Shop, blocks
from tests.support.servers import OAuthServer
from tests.support.transfer_runs import StateStore, try_of

DAY = "2026-01-03"


def run_in_dag(block: Block) -> dict[str, Any]:
    """Execute a block within a Dag, unless it makes one itself; what it needs may be imported further up."""
    operators = (OAuth2HttpToObjectStorageOperator, OAuth2HttpToSqlOperator)
    with DAG("documented") as dag:
        return block.run(dag=dag, OAuth2Hook=OAuth2Hook, **{operator.__name__: operator for operator in operators})


def task_of(block: Block) -> Any:
    """Return the only task that a block makes."""
    (task,) = run_in_dag(block)["dag"].tasks
    return task


@dataclass
class World:
    """
    Everything that the code wants, and runs of its tasks in one data interval, a day.

    :param home: of the files and of the database ``warehouse``
    """

    server: OAuthServer
    home: Path
    with_asset: StateStore = field(default_factory=StateStore)

    @classmethod
    def of(cls, server: OAuthServer, home: Path, monkeypatch: pytest.MonkeyPatch) -> World:
        """Open the shop; the connection to its API is there already."""
        serve(server, Shop())
        world = cls(server, home)
        warehouse = {"conn_type": "sqlite", "host": str(world._database)}
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(warehouse))
        return world

    def run(self, name: str) -> dict[str, Any]:
        return run_in_dag(blocks()[name])

    def execute(self, name: str) -> Any:
        """Run the only task of a block."""
        return self.execute_task(task_of(blocks()[name]))

    def execute_task(self, task: Any) -> Any:
        start = datetime.fromisoformat(DAY).replace(tzinfo=UTC)
        context = try_of(
            dag_id="documented",
            run_id=f"run-{uuid4()}",
            task_id=task.task_id,
            ds=DAY,
            data_interval_start=start,
            data_interval_end=start + timedelta(days=1),
            var={"value": SimpleNamespace(lake=self.home.as_uri())},
            asset_state_store=dict.fromkeys(task.outlets, self.with_asset),
        )
        context["ti"].xcom_push = lambda **_: None
        task.render_template_fields(context)
        return task.execute(context)

    # What is left -----------------------------------------------------------------------------------------------------

    def lines(self, path: str) -> list[Any]:
        """Return the records of a JSONL file."""
        content = (self.home / path).read_bytes()
        text = gzip.decompress(content) if path.endswith(".gz") else content
        return [json.loads(line) for line in text.splitlines()]

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._database)) as connection, connection:
            return connection.execute(statement).fetchall()

    @property
    def _database(self) -> Path:
        return self.home / "warehouse.db"
