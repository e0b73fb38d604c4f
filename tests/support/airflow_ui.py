"""Airflow's API server with the user interface, in a home of its own and without a scheduler."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Self

from demo.airflow_api import AirflowApi
from demo.standalone import airflow_environment, free_port

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


class AirflowUi:
    """
    A context manager around ``airflow api-server``; everybody is an admin there, and connections can be tested.

    :param home: AIRFLOW_HOME; created when missing
    """

    def __init__(self, home: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.api = AirflowApi(self.url, self._check_alive)
        self.output = home / "api-server.log"
        self._home = home
        self._arguments = ["api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        self._environment = {
            **airflow_environment(home, home / "dags"),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def stored_connections(self) -> dict[str, dict[str, Any]]:
        """Return every connection of the metadata database by its id, secrets in clear; its extra stays text."""
        exported = self._home / "connections.json"
        self._run("connections", "export", str(exported), "--file-format", "json")
        found: dict[str, dict[str, Any]] = json.loads(exported.read_text(encoding="utf-8"))
        exported.unlink()
        return found

    def set_port_to_zero(self, conn_id: str) -> None:
        """
        Let *Test* reach the hook of a connection that was made in the form.

        The page of Airflow 3.3.1 and 3.3.2 sends port 0 for a connection without a port, which the API then takes for
        another server than the stored one and refuses (apache/airflow#73298). With a stored 0 both are the same.
        """
        body = {"connection_id": conn_id, "conn_type": "oauth2", "port": 0}
        self.api.call("PATCH", f"connections/{conn_id}", params={"update_mask": "port"}, json=body)

    def __enter__(self) -> Self:
        (self._home / "dags").mkdir(parents=True, exist_ok=True)
        self._run("db", "migrate")
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "airflow", *self._arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A session of its own, so that all of it can be stopped at once.
                start_new_session=True,
            )
        try:
            self.api.log_in()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End every process of the session: politely, then for good."""
        if self._process is None:
            return
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _run(self, *arguments: str) -> None:
        finished = subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        if finished.returncode:
            raise RuntimeError(f"airflow {arguments[0]} {arguments[1]} failed: {finished.stderr[-2000:]}")

    def _check_alive(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            said = self.output.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise RuntimeError(f"airflow api-server ended with code {self._process.returncode}: {said}")
