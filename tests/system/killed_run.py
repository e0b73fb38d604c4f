"""One Airflow whose transfers are killed, and what is left of them."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import Connection
from airflow.providers.postgres.hooks.postgres import PostgresHook

from tests.support.processes import wait_until
from tests.system.dags.killed_transfers import ROWS, RUNS
from tests.system.killing import PAGES, Moment, moments

if TYPE_CHECKING:
    import random

    from demo.standalone import Standalone
    from tests.support.postgres import Postgres
    from tests.system.killing import Pull, SlowApi

DAG_ID = "killed_transfers"
MAPPED = ("files", "rows")
OUTLIVED_DAG_ID = "outlived_transfers"
OUTLIVED = ("outlived_files", "outlived_replace", "outlived_append")
# Goes on beside them: were all tasks failed for a moment, the scheduler could end the run after it was cleared.
UNTOUCHED = "untouched_files"


@dataclass(frozen=True)
class KilledRun:
    """What is left when Airflow has given every task all its tries."""

    airflow: Standalone
    api: SlowApi
    postgres: Postgres
    dag_id: str
    run_id: str

    def pull(self, task_id: str, number: int = 0) -> Pull:
        return self.api.pulls[f"{task_id}/{number}"]

    def states(self) -> dict[str, str]:
        tasks = self.airflow.api.task_instances(self.dag_id, self.run_id)
        return {f"{task['task_id']}/{max(task['map_index'], 0)}": task["state"] for task in tasks}

    def ended_by_itself(self, task_id: str, number: int) -> bool:
        """Whether the last process was not one of those that were killed; it may just have said that it is done."""
        tasks = self.airflow.api.task_instances(self.dag_id, self.run_id)
        (tries,) = {
            task["try_number"]
            for task in tasks
            if (task["task_id"], task["map_index"]) == (task_id, _map_index(task_id, number))
        }
        return bool(tries > self.pull(task_id, number).kills)

    def xcom(self, task_id: str, number: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = self.airflow.api.xcom(self.dag_id, self.run_id, task_id, _map_index(task_id, number))
        return found

    def checkpoint(self, task_id: str, number: int = 0) -> dict[str, Any]:
        return self.airflow.api.task_state(self.dag_id, self.run_id, task_id, _map_index(task_id, number))

    def log(self, task_id: str, number: int = 0) -> str:
        """Return the logs of all tries."""
        mapped = f"map_index={number}/" if task_id in MAPPED else ""
        logs = (self.airflow.home / "logs").glob(f"dag_id={self.dag_id}/run_id=*/task_id={task_id}/{mapped}**/*.log")
        return "\n".join(path.read_text(encoding="utf-8") for path in sorted(logs))

    def files(self, task_id: str, number: int = 0) -> dict[str, bytes]:
        """Return the content of all files that the destination holds, by their path in it."""
        folder = self.airflow.home / "killed" / task_id / str(number)
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def rows(self, task_id: str, number: int = 0) -> list[int]:
        """Return the ids in a table, sorted."""
        found = database(self.postgres).get_records(f"SELECT id FROM {task_id}_{number} ORDER BY id")
        return [row[0] for row in found]

    def clear(self, *task_ids: str | tuple[str, int]) -> None:
        self.airflow.api.clear(self.dag_id, self.run_id, task_ids)
        self.airflow.api.wait_for_run(self.dag_id, self.run_id)


def plans(chance: random.Random) -> dict[str, list[Moment]]:
    """Return when the processes of each pull die."""
    halfway = [Moment(PAGES // 2, 0.0)]
    named = {f"{kind}/{number}": plan for kind in MAPPED for number, plan in enumerate(moments(chance, RUNS))}
    return {**named, "no_resume/0": halfway, "no_retry/0": halfway}


def run_killed_transfers(airflow: Standalone, api: SlowApi, postgres: Postgres) -> KilledRun:
    make_tables(postgres)
    client = {"login": "made-up-client", "password": f"made-up {secrets.token_urlsafe(24)}"}
    # The API holds answers back for minutes, and nobody shall ask twice meanwhile.
    extra = {"base_url": f"{api.url}/api", "timeout": "60,600"}
    airflow.api.create_connection("slow", {"conn_type": "oauth2", "host": f"{api.url}/token", **client, "extra": extra})
    airflow.api.create_connection("rows", json.loads(postgres.connection()))
    airflow.api.create_variable("killed", (airflow.home / "killed").as_uri())
    airflow.api.wait_for_dags([DAG_ID, OUTLIVED_DAG_ID])
    run_id = airflow.api.start([DAG_ID])[DAG_ID]
    airflow.api.wait_for_run(DAG_ID, run_id, timeout_s=1200)
    return KilledRun(airflow, api, postgres, DAG_ID, run_id)


def run_outlived_transfers(killed: KilledRun) -> KilledRun:
    """Mark tasks failed while they run, and clear them at once: for some seconds their processes work on."""
    api = killed.airflow.api
    # Where tasks begin slowly, the first one must not be done before it is cleared: that would be another thing.
    killed.api.held = {f"{task_id}/0" for task_id in (*OUTLIVED, UNTOUCHED)}
    run = replace(killed, dag_id=OUTLIVED_DAG_ID, run_id=api.start([OUTLIVED_DAG_ID])[OUTLIVED_DAG_ID])
    wait_until(lambda: all(run.pull(task_id).tries for task_id in (*OUTLIVED, UNTOUCHED)), within_s=300)
    for task_id in OUTLIVED:
        api.mark_failed(run.dag_id, run.run_id, task_id)
    api.clear(run.dag_id, run.run_id, OUTLIVED)
    killed.api.let_go.set()
    api.wait_for_run(run.dag_id, run.run_id)
    return run


def make_tables(postgres: Postgres) -> None:
    """Make the tables; those that are replaced hold an old row, those that are appended to let rows be there twice."""
    plain = ("done_rows_0", "outlived_replace_0", "outlived_append_0")
    statements = [f"CREATE TABLE {name} (id integer)" for name in plain]
    for number in range(RUNS):
        mode = ROWS[number % len(ROWS)]["mode"]
        statements.append(f"CREATE TABLE rows_{number} (id integer{' PRIMARY KEY' if mode == 'upsert' else ''})")
        if mode == "replace":
            statements.append(f"INSERT INTO rows_{number} VALUES (-1)")
    database(postgres).run(statements)


def database(postgres: Postgres) -> PostgresHook:
    return PostgresHook(connection=Connection(conn_id="rows", **json.loads(postgres.connection())))


def _map_index(task_id: str, number: int) -> int:
    return number if task_id in MAPPED else -1
