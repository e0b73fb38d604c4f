"""Dags that look at connections and variables, and mapped tasks that share their token through Variables."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, BaseOperator, task

from airflow_oauth_provider.operators.http import OAuth2HttpOperator
from tests.system.access.looks import LookTrigger, ask_from_many_threads, look
from tests.system.access.run import RUNS


class LookDeferred(BaseOperator):
    """Looks while it is deferred."""

    def execute(self, context: Any) -> None:
        self.defer(trigger=LookTrigger(), method_name="resume")  # type: ignore[no-untyped-call]

    def resume(self, context: Any, event: Any) -> Any:
        return event


with DAG("access", schedule=None):
    # Airflow's scheduler now and then fails a task that was deferred for a moment only.
    trigger = LookDeferred(task_id="trigger", retries=3, retry_delay=timedelta(0))
    # One after the other: both could get a token of their own at once when one stalls between claim and token.
    task(task_id="task")(look)("task") >> trigger
    task(task_id="threads")(ask_from_many_threads)()

for number in range(RUNS):
    with DAG(f"variables_{number}", schedule=None):
        OAuth2HttpOperator.partial(task_id="order", oauth2_conn_id=f"shop_{number}").expand(
            endpoint=[f"orders/{order}" for order in range(1, 25)]
        )
