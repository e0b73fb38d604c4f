"""All Dags of the system tests, run once in one Airflow, and what they leave."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demo.destinations import Destinations
from demo.run import PAGINATED_PULL, RESULTS, results
from demo.standalone import task_errors

if TYPE_CHECKING:
    from demo.server import DemoServer
    from demo.standalone import Standalone

SYSTEM_DAGS = Path(__file__).parent / "dags"
WRONG_SECRET = "made-up-wrong/secret+of-the-system-tests"
API_KEY = "made-up-api-key/of-the-system-tests"


@dataclass(frozen=True)
class SystemRun:
    """What is left after all Dags have run."""

    server: DemoServer
    airflow: Standalone
    destinations: Destinations
    run_ids: dict[str, str]
    states: dict[str, str]
    token_requests_of_mapped_tasks: int

    def task_instances(self, dag_id: str) -> list[dict[str, Any]]:
        return self.airflow.api.task_instances(dag_id, self.run_ids[dag_id])

    def interval_start(self, dag_id: str) -> str:
        run: dict[str, Any] = self.airflow.api.call("GET", f"dags/{dag_id}/dagRuns/{self.run_ids[dag_id]}")
        return str(run["data_interval_start"])

    def xcoms(self, dag_id: str) -> list[Any]:
        """Return the result of an example Dag, in the order of its mapped tasks."""
        return results(self.airflow, dag_id, self.run_ids[dag_id])

    def task_log(self, dag_id: str, task_id: str) -> str:
        """Return all that a task logged, over all its attempts."""
        return "\n".join(path.read_text(encoding="utf-8") for path in self._task_logs(dag_id, task_id))

    def task_errors(self, dag_id: str, task_id: str) -> list[str]:
        """Return the errors that a task logged, over all its attempts."""
        return [error for path in self._task_logs(dag_id, task_id) for error in task_errors(path)]

    def _task_logs(self, dag_id: str, task_id: str) -> list[Path]:
        return sorted((self.airflow.home / "logs" / f"dag_id={dag_id}").glob(f"run_id=*/task_id={task_id}/**/*.log"))

    def secrets(self) -> dict[str, str]:
        """Return everything that may not be found in clear, by the name under which to report it."""
        tokens = {f"token {number}": value for number, value in enumerate(self.server.ledger.issued())}
        client_secret = self.server.client.client_secret
        return {"client secret": client_secret, "wrong secret": WRONG_SECRET, "API key": API_KEY, **tokens}


def run_everything(server: DemoServer, airflow: Standalone) -> SystemRun:
    api, destinations = airflow.api, Destinations(airflow.home)
    api.create_connection("shop", server.connection(secret_headers={"X-Api-Key": API_KEY}))
    api.create_connection("shop_wrong_secret", {**server.connection(), "password": WRONG_SECRET})
    api.create_connection("warehouse", destinations.warehouse)
    api.create_variable("lake", destinations.lake)
    dag_ids = [*RESULTS, PAGINATED_PULL, "wrong_secret", "careless"]
    api.wait_for_dags(dag_ids)

    # Alone and first, so that nobody else can have fetched a token for them.
    first = "shop_mapped_tasks"
    run_ids = api.start([first])
    states = {first: api.wait_for_run(first, run_ids[first])}
    token_requests = server.ledger.counts()["token_requests"]

    run_ids |= api.start(dag_id for dag_id in dag_ids if dag_id != first)
    states |= {dag_id: api.wait_for_run(dag_id, run_id) for dag_id, run_id in run_ids.items()}
    return SystemRun(server, airflow, destinations, run_ids, states, token_requests)
