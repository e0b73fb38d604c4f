"""Runs of the operator without an Airflow around it."""

from __future__ import annotations

from typing import Any

from airflow_oauth_provider.operators.http import OAuth2HttpOperator
from tests.support.servers import OAuthServer, Reply


class TaskInstance:
    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


class Run:
    """One run of a task."""

    def __init__(self, **kwargs: Any) -> None:
        self.operator = OAuth2HttpOperator(task_id="orders", oauth2_conn_id="shop", **{"endpoint": "orders", **kwargs})
        self.ti = TaskInstance()

    def __call__(self) -> Any:
        context: Any = {"ti": self.ti, "ds": "2026-01-02", "run_id": "run-1"}
        return self.operator.execute(context)


def answers(server: OAuthServer, body: Any, content_type: str = "application/json", status: int = 200) -> None:
    """Let the API answer so."""
    server.api_reply = lambda _: Reply(status, body, {"Content-Type": content_type} if content_type else {})
