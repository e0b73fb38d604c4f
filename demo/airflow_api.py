"""The little of Airflow's REST API that the demo and the system tests need."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

T = TypeVar("T")

BUSY_TRIES = 10


class AirflowApi:
    """
    Talks to a standalone Airflow whose users need no password (``simple_auth_manager_all_admins``).

    :param url: where the API server listens, without a path
    :param check_alive: called while waiting; raises when waiting has become pointless
    """

    def __init__(self, url: str, check_alive: Callable[[], None]) -> None:
        self._url = url
        self._check_alive = check_alive
        self._session = requests.Session()
        self._session.trust_env = False

    def log_in(self, *, timeout_s: float = 300) -> None:
        """Wait until the API server answers and take its token."""

        def answer() -> str | None:
            try:
                response = self._session.get(f"{self._url}/auth/token", timeout=10)
            except (requests.ConnectionError, requests.Timeout):
                return None
            return response.json()["access_token"] if response.ok else None

        token = self._wait_for(answer, "the API server", timeout_s)
        self._session.headers["Authorization"] = f"Bearer {token}"

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Send one request and return the JSON of its answer, ``None`` where there is none."""
        for left in reversed(range(BUSY_TRIES)):
            try:
                response = self._session.request(method, f"{self._url}/api/v2/{path}", timeout=90, **options)
            except requests.Timeout:
                if left and method == "GET":
                    continue  # a busy machine; to look again does no harm
                raise
            # SQLite lets one process write at a time; a request that had to give up has changed nothing.
            if response.status_code != 500 or "Database error" not in response.text:
                break
            time.sleep(1)
        if not response.ok:
            raise RuntimeError(f"{method} {path}: {response.status_code} {response.text[:500]}")
        return response.json() if response.content else None

    def create_connection(self, conn_id: str, fields: Mapping[str, Any]) -> None:
        """Create a connection as the form does; its extra travels as text."""
        body = {"connection_id": conn_id, **fields, "extra": json.dumps(fields.get("extra", {}))}
        self.call("POST", "connections", json=body)

    def create_variable(self, key: str, value: str) -> None:
        self.call("POST", "variables", json={"key": key, "value": value})

    def wait_for_dags(self, dag_ids: Iterable[str], *, timeout_s: float = 300) -> None:
        """Wait until the Dag processor has found all of them; a broken Dag file ends the wait."""
        wanted = set(dag_ids)

        def all_found() -> bool:
            if errors := self.call("GET", "importErrors")["import_errors"]:
                raise RuntimeError(f"A Dag file is broken: {errors[0]['stack_trace']}")
            return wanted <= {dag["dag_id"] for dag in self.call("GET", "dags")["dags"]}

        self._wait_for(all_found, f"the Dags {sorted(wanted)}", timeout_s)

    def start(self, dag_ids: Iterable[str], *, timeout_s: float = 180) -> dict[str, str]:
        """Unpause Dags and return the first run of each: the one of its schedule, or else one for this moment."""
        wanted = list(dag_ids)
        # All is written before the first task runs. The API server logs our writes on its event loop, for which the
        # commits of tasks wait, which hold the lock of SQLite, for which it waits: that would last until a time-out.
        for dag_id in wanted:
            if self.call("GET", f"dags/{dag_id}")["timetable_summary"] is None:
                self.call("POST", f"dags/{dag_id}/dagRuns", json={"logical_date": datetime.now(UTC).isoformat()})
        self.call("PATCH", "dags", params={"dag_id_pattern": "|".join(wanted)}, json={"is_paused": False})

        def first_run(dag_id: str) -> str | None:
            found = self.call("GET", f"dags/{dag_id}/dagRuns")["dag_runs"]
            return found[0]["dag_run_id"] if found else None

        return {
            dag_id: self._wait_for(partial(first_run, dag_id), f"a run of {dag_id}", timeout_s) for dag_id in wanted
        }

    def wait_for_run(self, dag_id: str, run_id: str, *, timeout_s: float = 600) -> str:
        """Wait until a run has ended and return its state, ``success`` or ``failed``."""

        def ended() -> str | None:
            state: str = self.call("GET", f"dags/{dag_id}/dagRuns/{run_id}")["state"]
            return state if state in {"success", "failed"} else None

        return self._wait_for(ended, f"{dag_id} to end", timeout_s)

    def mark_failed(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Mark a task as failed, as the button does; its process notices some seconds later."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        self.call("PATCH", path, json={"new_state": "failed"})

    def clear(self, dag_id: str, run_id: str, task_ids: Sequence[str | tuple[str, int]]) -> None:
        """Clear tasks, or single ones of mapped tasks, as the button does."""
        body = {"dry_run": False, "only_failed": False, "dag_run_id": run_id, "task_ids": task_ids}
        self.call("POST", f"dags/{dag_id}/clearTaskInstances", json=body)

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances")[
            "task_instances"
        ]
        return found

    def xcom(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Any:
        """Return what a task returned, as the object that it was."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        entry = self.call("GET", path, params={"map_index": map_index, "deserialize": "true"})
        return entry["value"]

    def task_state(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """Return what a task left in its ``task_state_store``."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/state-store"
        found = self.call("GET", path, params={"map_index": map_index})["task_state_store"]
        return {entry["key"]: entry["value"] for entry in found}

    def _wait_for(self, look: Callable[[], T | None], what: str, timeout_s: float) -> T:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self._check_alive()
            if found := look():
                return found
            time.sleep(0.25)
        raise TimeoutError(f"Waited {timeout_s:.0f} s in vain for {what}")
