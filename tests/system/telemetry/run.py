"""One Airflow with StatsD and OpenTelemetry, in which tasks succeed and fail, and what is left of that."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.made_up import CLIENT_ID, SECRET
from tests.support.paged_api import Numbers
from tests.support.patient_airflow import patient
from tests.support.processes import wait_until
from tests.support.servers import OAuthServer, Reply, Seen

if TYPE_CHECKING:
    from demo.standalone import Standalone
    from tests.support.telemetry import Collector, StatsD

DAGS = Path(__file__).parent / "dags"
ODD_CONN_ID = "shop ünï,a:b"
FAR_S = 900
SOON_S = 4
QUERY = "made-up-query"
# Calls that get no token: two tasks each of shop_busy and of shop_wrong_secret.
WITHOUT_TOKEN = 4
SETTLED = {"success", "failed", "up_for_retry"}


class Shop(OAuthServer):
    """An API some of whose resources are busy, flaky or missing; and a token endpoint with clients that it refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.token_reply = self._token
        self.api_reply = self._answer
        self._numbers = Numbers(total=7, size=3)
        self._once = {"/api/flaky": Reply(503, SECRET, _after(1)), "/api/soon": Reply(429, SECRET, _after(SOON_S))}

    def connection(self, client_id: str = CLIENT_ID) -> dict[str, Any]:
        extra = {"base_url": f"{self.url}/api", "test_endpoint": "status"}
        return {
            "conn_type": "oauth2",
            "host": f"{self.url}/token?tenant={QUERY}",
            "login": client_id,
            "password": SECRET,
            "extra": extra,
        }

    def asked(self, path: str) -> list[Seen]:
        return [seen for seen in self.api_requests if seen.path == f"/api/{path}"]

    def token_requests_of(self, client_id: str) -> int:
        return sum(seen.basic()[0] == client_id for seen in self.token_requests)

    def _token(self, seen: Seen) -> Reply:
        refused = {"busy": Reply(429, b"", _after(FAR_S)), "wrong": Reply(401, {"error": "invalid_client"})}
        return refused.get(seen.basic()[0]) or self.issue()

    def _answer(self, seen: Seen) -> Reply:
        if seen.path.startswith("/api/throttled"):
            return Reply(429, SECRET, _after(FAR_S))
        if seen.path == "/api/missing":
            return Reply(404, SECRET)
        if seen.path == "/api/numbers":
            return self._numbers(seen)
        return self._once.pop(seen.path, None) or self.checked(seen)


def _after(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)}


@dataclass(frozen=True)
class Attempt:
    """How a task stands."""

    state: str
    tries: int
    comes_back_in_s: float | None
    reason: str | None


@dataclass(frozen=True)
class TelemetryRun:
    """What is left when all tasks have succeeded, failed, or wait for their next try."""

    shop: Shop
    airflow: Standalone
    statsd: StatsD
    collector: Collector
    attempts: dict[str, Attempt] = field(default_factory=dict)

    def log(self, task_id: str) -> str:
        logs = (self.airflow.home / "logs").glob(f"dag_id=*/run_id=*/task_id={task_id}/**/*.log")
        return "\n".join(path.read_text(encoding="utf-8") for path in logs)


def environment(shop: Shop, statsd: StatsD, collector: Collector) -> dict[str, str]:
    """Return Airflow's settings; a connection id as odd as one of them is taken from the environment alone."""
    return {
        **statsd.settings,
        **collector.settings,
        **patient(),
        "AIRFLOW__METRICS__STATSD_ON": "True",
        # What a scheduler counts would fill the socket's buffer when this process is held up, and ours were lost.
        "AIRFLOW__METRICS__METRICS_ALLOW_LIST": "oauth2",
        "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        "AIRFLOW__TRACES__OTEL_ON": "True",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        f"AIRFLOW_CONN_{ODD_CONN_ID.upper()}": json.dumps({**shop.connection(), "login": "odd"}),
    }


def run_everything(shop: Shop, airflow: Standalone, statsd: StatsD, collector: Collector) -> TelemetryRun:
    api = airflow.api
    for conn_id, client_id in (("shop", CLIENT_ID), ("shop_busy", "busy"), ("shop_wrong_secret", "wrong")):
        api.create_connection(conn_id, shop.connection(client_id))
    dag_ids = ["counted", "policy", "own_policy"]
    api.wait_for_dags(dag_ids)
    run_ids = api.start(dag_ids)
    attempts: dict[str, Attempt] = {}

    def settled() -> bool:
        attempts.update(read_attempts(airflow.home))
        waits = [name for name, attempt in attempts.items() if attempt.state not in SETTLED]
        return not waits and attempts["soon/-1"].state == "success"

    api.wait_for_run("counted", run_ids["counted"])
    wait_until(settled, within_s=600)
    stored = shop.connection("tested")
    body = {"connection_id": "tested", **stored, "extra": json.dumps(stored["extra"])}
    tested = api.call("POST", "connections/test", json=body)
    assert tested["status"] is True, tested
    last = "airflow.last:1|c"
    statsd.send(last)
    wait_until(lambda: last in statsd.lines)
    wait_until(lambda: all_spans_came(shop, collector), within_s=120)
    return TelemetryRun(shop, airflow, statsd, collector, attempts)


def all_spans_came(shop: Shop, collector: Collector) -> bool:
    """Whether the processes of all tasks have exported their spans, which they do when they end."""
    ids = {span.span_id for span in collector.spans()}
    calls = [span for span in collector.spans("oauth2.api_call") if "airflow.oauth2.conn_id" in span.attributes]
    answered = [call for call in calls if "http.response.status_code" in call.attributes]
    sends = sum(call.attributes["airflow.oauth2.attempts"] for call in answered)
    of_tasks = [seen for seen in shop.api_requests if seen.path != "/api/status"]
    without_token = len(calls) - len(answered)
    return sends >= len(of_tasks) and without_token >= WITHOUT_TOKEN and all(call.parent_id in ids for call in calls)


def read_attempts(home: Path) -> dict[str, Attempt]:
    """Return how each task stands, by its id and map index."""
    query = "SELECT task_id, map_index, state, try_number, retry_delay_override, retry_reason FROM task_instance"
    with closing(sqlite3.connect(f"file:{home}/airflow.db?mode=ro", uri=True, timeout=60)) as connection:
        return {f"{task_id}/{map_index}": Attempt(*facts) for task_id, map_index, *facts in connection.execute(query)}
