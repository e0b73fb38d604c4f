"""Airflow's API server with the user interface, in a home of its own and without a scheduler."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Self

from demo.standalone import Standalone

if TYPE_CHECKING:
    from pathlib import Path


class AirflowUi(Standalone):
    """
    A context manager around ``airflow api-server``; everybody is an admin there, and connections can be tested.

    :param home: AIRFLOW_HOME; created when missing
    """

    def __init__(self, home: Path) -> None:
        super().__init__(home, home / "dags", {"AIRFLOW__CORE__TEST_CONNECTION": "Enabled"})
        self.arguments = ["api-server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]

    def stored_connections(self) -> dict[str, dict[str, Any]]:
        """Return every connection of the metadata database by its id, secrets in clear; its extra stays text."""
        exported = self.home / "connections.json"
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
        (self.home / "dags").mkdir(parents=True, exist_ok=True)
        self._run("db", "migrate")
        return super().__enter__()

    def _run(self, *arguments: str) -> None:
        finished = subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        if finished.returncode:
            raise RuntimeError(f"airflow {arguments[0]} {arguments[1]} failed: {finished.stderr[-2000:]}")
