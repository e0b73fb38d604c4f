"""Tries of a transfer into a table, without an Airflow around them; also killed ones, in processes of their own."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from airflow_oauth_provider.pull.request import PageRequest
from airflow_oauth_provider.transfers.checkpoint import Checkpoint
from airflow_oauth_provider.transfers.sql import OAuth2HttpToSqlOperator
from airflow_oauth_provider.transfers.tables.database import Database
from tests.support.memory import growth_mb

PAGE = 100


class StateStore:
    """
    Does as Airflow's ``task_state_store`` does: texts by key, which outlive a try, here in a folder.

    :param folder: made where it is missing
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def get(self, key: str) -> str | None:
        file = self.folder / key
        return file.read_text(encoding="utf-8") if file.exists() else None

    def set(self, key: str, value: str) -> None:
        (self.folder / "new").write_text(value, encoding="utf-8")
        (self.folder / "new").replace(self.folder / key)

    def delete(self, key: str) -> None:
        (self.folder / key).unlink(missing_ok=True)


class TaskInstance:
    dag_id, run_id, task_id, map_index = "shop", "run-1", "rows", -1

    def __init__(self, try_number: int, max_tries: int) -> None:
        self.try_number = try_number
        self.max_tries = max_tries


class Transfer:
    """
    A task whose tries follow each other; what the API has is handed to it.

    :param store: what the tries have in common; None for an Airflow before 3.3
    :param parameters: of the operator, besides those that all tests share
    """

    def __init__(self, store: StateStore | None = None, **parameters: Any) -> None:
        self.store = store
        self.parameters = {
            "oauth2_conn_id": "shop",
            "endpoint": "orders",
            "destination_conn_id": "warehouse",
            "table": "orders",
            "columns": ["id", "name"],
            **parameters,
        }
        self.tries = 0
        self.max_tries = 2

    def operator(self) -> OAuth2HttpToSqlOperator:
        return OAuth2HttpToSqlOperator(task_id="rows", **self.parameters)

    def __call__(self, records: Sequence[Any]) -> dict[str, Any]:
        """Run the next try over *records* and return what it returns."""
        _, checkpoint, sink = self.begin()
        try:
            if not sink.complete:
                for begin in range(checkpoint.records, len(records), PAGE):
                    sink.write(list(records[begin : begin + PAGE]))
                    sink.end_page()
            result: dict[str, Any] = sink.finish({"records": len(records), "pages": 1, "seconds": 0.5})
        except BaseException:
            sink.abort()
            raise
        checkpoint.clear()
        return result

    def begin(self) -> tuple[OAuth2HttpToSqlOperator, Checkpoint, Any]:
        """Begin the next try; the destination has been found good when this returns."""
        operator, context = self.operator(), self.context()
        operator._check_pull(templated=True)
        checkpoint = Checkpoint(
            context,
            PageRequest("GET", "orders"),
            digest=json.dumps(operator.destination_identity()),
            resume=operator.resume,
            safe_to_store=lambda _: True,
            log=operator.log,
        )
        return operator, checkpoint, operator.open_sink(context, checkpoint)

    def context(self) -> Any:
        """Return the context of the next try."""
        self.tries += 1
        store = {} if self.store is None else {"task_state_store": self.store}
        return {"ti": TaskInstance(self.tries, self.max_tries), **store}

    def cleared(self) -> None:
        """Do what a Clear does: what is stored stays, and more tries are allowed."""
        self.max_tries = self.tries + 2


def orders(*numbers: int) -> list[dict[str, Any]]:
    """Return records with these ids."""
    return [{"id": number, "name": f"order {number}"} for number in numbers]


def sqlite_connection(file: Path) -> str:
    """Return an Airflow connection as JSON, for the environment."""
    return json.dumps({"conn_type": "sqlite", "host": str(file)})


def sqlite_rows(file: Path, query: str) -> list[tuple[Any, ...]]:
    """Run one statement and return what it finds."""
    with closing(sqlite3.connect(file)) as connection, connection:
        return connection.execute(query).fetchall()


# Processes of their own -----------------------------------------------------------------------------------------------

# What takes long is imported once, by the process of which the others are forked.
_IMPORTS = [
    __name__,
    *("airflow.models.dag", "airflow.models.xcom_arg", "airflow_oauth_provider.transfers.tables.checkpoint_table"),
    *("airflow.providers.sqlite.hooks.sqlite", "airflow.providers.postgres.hooks.postgres"),
]


def run_in_a_process(function: Callable[..., None], connection: str, *arguments: Any) -> int | None:
    """
    Call a function of this module in a cold process, and return the process's exit code.

    :param connection: *warehouse*, as JSON
    """
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(_IMPORTS)
    environment = {"AIRFLOW_CONN_WAREHOUSE": connection, "AIRFLOW_HOME": os.environ["AIRFLOW_HOME"]}
    process = processes.Process(target=_run, args=(environment, function, *arguments))
    process.start()
    process.join(300)
    return process.exitcode


def _run(environment: Mapping[str, str], function: Callable[..., None], *arguments: Any) -> None:
    os.environ.update(environment)
    logging.disable()
    function(*arguments)


def measured_try(parameters: dict[str, Any], total: int, answer: Connection) -> None:
    """Run a try over so many records of ten members, and answer by how many MB the process grew at most."""
    _, _, sink = Transfer(**parameters).begin()
    sink.write([_ten(number) for number in range(1000)])
    grown = growth_mb()
    for begin in range(1000, total, 1000):
        sink.write([_ten(number) for number in range(begin, begin + 1000)])
    sink.finish({"records": total, "pages": 1, "seconds": 0.5})
    answer.send(grown())


def _ten(number: int) -> dict[str, Any]:
    return {"id": number, **{f"c{column}": f"{number} in column {column}" for column in range(9)}}


def killed_try(folder: Path, tries: int, kill_at: str, total: int, parameters: dict[str, Any]) -> None:
    """
    Run a try, and end this process by SIGKILL in the middle.

    :param folder: of the store
    :param tries: that came before
    :param kill_at: ``before 2`` or ``after 2``: the second commit of this try
    :param total: records that the API has
    """
    when, number = kill_at.split()
    commit: Callable[[Database, str], None] = Database.commit
    commits = 0

    def counted(self: Database, what: str) -> None:
        nonlocal commits
        commits += 1
        if (when, int(number)) == ("before", commits):
            os.kill(os.getpid(), signal.SIGKILL)
        commit(self, what)
        if (when, int(number)) == ("after", commits):
            os.kill(os.getpid(), signal.SIGKILL)

    Database.commit = counted  # type: ignore[method-assign]
    transfer = Transfer(StateStore(folder), **parameters)
    transfer.tries = tries
    transfer(orders(*range(total)))
