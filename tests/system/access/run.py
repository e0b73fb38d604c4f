"""All Dags of this folder, run once in one Airflow, and a look from its API server and its CLI."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from demo.server import DemoServer
    from demo.standalone import Standalone

HERE = Path(__file__).parent
PROJECT = HERE.parents[2]
RUNS = 3


@dataclass(frozen=True)
class AccessRun:
    """
    What came of all Dags, and of a look from the API server and the CLI.

    :param looks: what each place saw
    :param crossed: answers that went to the wrong thread
    :param token_requests: of each run of 24 mapped tasks
    """

    server: DemoServer
    airflow: Standalone
    looks: dict[str, dict[str, Any]]
    crossed: list[str]
    states: dict[str, str]
    token_requests: list[int]

    def secrets(self) -> list[str]:
        """Return everything that may not be found in clear."""
        return [client.client_secret for client in self.server.clients] + self.server.ledger.issued()

    def logged(self) -> list[str]:
        """Return what tasks and triggers logged."""
        return [
            line
            for path in self.airflow.home.glob("logs/**/*.log")
            for line in path.read_text(encoding="utf-8").splitlines()
        ]

    def output(self) -> list[str]:
        """Return what Airflow's own processes wrote."""
        return self.airflow.output.read_text(encoding="utf-8", errors="replace").splitlines()


def run_everything(server: DemoServer, airflow: Standalone) -> AccessRun:
    api = airflow.api
    api.create_connection("shop", server.connection())
    for number in range(RUNS):
        api.create_connection(f"shop_{number}", server.connection(server.clients[number + 1]))
    api.create_variable("made_up", "made up")
    mapped = [f"variables_{number}" for number in range(RUNS)]
    api.wait_for_dags(["access", *mapped])

    states, token_requests = {}, []
    for dag_id in mapped:
        before = server.ledger.counts()["token_requests"]
        states[dag_id] = api.wait_for_run(dag_id, api.start([dag_id])[dag_id])
        token_requests.append(server.ledger.counts()["token_requests"] - before)

    run_id = api.start(["access"])["access"]
    states["access"] = api.wait_for_run("access", run_id)
    looks = {place: api.xcom("access", run_id, place) for place in ("task", "trigger")}
    looks |= {"api_server": look_from_api_server(airflow), "cli": look_from_cli(airflow)}
    return AccessRun(server, airflow, looks, api.xcom("access", run_id, "threads"), states, token_requests)


def look_from_api_server(airflow: Standalone) -> dict[str, Any]:
    response = requests.get(f"{airflow.url}/access/look", timeout=300)
    response.raise_for_status()
    found: dict[str, Any] = response.json()
    return found


def look_from_cli(airflow: Standalone) -> dict[str, Any]:
    finished = subprocess.run(
        [sys.executable, "-m", "tests.system.access.looks"],
        env=airflow.environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    found: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return found
