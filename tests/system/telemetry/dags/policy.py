"""Tasks that fail, and retry by what they were told."""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG, ExceptionRetryPolicy, RetryAction, RetryRule, task
from tenacity import stop_after_attempt

from airflow_oauth_provider.operators.http import OAuth2HttpOperator
from airflow_oauth_provider.retry_policy import OAuth2RetryPolicy
from airflow_oauth_provider.transfers.object_storage import OAuth2HttpToObjectStorageOperator

UNAVAILABLE = "airflow_oauth_provider.exceptions.ApiUnavailableError"
AT_ONCE = ExceptionRetryPolicy(rules=[RetryRule(UNAVAILABLE, RetryAction.FAIL, reason="of the Dag")])
COMMON = {"oauth2_conn_id": "shop", "retries": 3, "retry_delay": timedelta(0)}

with DAG("policy", schedule=None, default_args=COMMON):
    OAuth2HttpOperator(task_id="throttled", endpoint="throttled")
    OAuth2HttpOperator.partial(task_id="mapped").expand(endpoint=["throttled/a", "throttled/b"])
    OAuth2HttpToObjectStorageOperator(
        task_id="transfer", endpoint="throttled/c", destination=f"file://{os.environ['AIRFLOW_HOME']}/transfer/"
    )
    OAuth2HttpOperator.partial(task_id="remembered", oauth2_conn_id="shop_busy").expand(endpoint=["a", "b"])
    OAuth2HttpOperator(task_id="soon", endpoint="soon", retry_args={"stop": stop_after_attempt(1)})
    OAuth2HttpOperator(task_id="off", endpoint="throttled/off", retry_policy=None, retries=1)
    OAuth2HttpOperator(task_id="no_retries", endpoint="throttled/no_retries", retries=0)
    OAuth2HttpOperator(task_id="permanent", endpoint="missing")

    @task(retry_policy=OAuth2RetryPolicy())
    def wrapped() -> None:
        from airflow_oauth_provider.exceptions import OAuth2Error
        from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook

        try:
            OAuth2Hook("shop").request("GET", "missing")
        except OAuth2Error as error:
            raise ValueError("no orders today") from error

    wrapped()

with DAG("own_policy", schedule=None, default_args={**COMMON, "retry_policy": AT_ONCE}):
    OAuth2HttpOperator(task_id="of_the_dag", endpoint="throttled/own")
    OAuth2HttpOperator.partial(task_id="of_the_dag_mapped").expand(endpoint=["throttled/own_mapped"])
    OAuth2HttpOperator(task_id="of_the_task", endpoint="throttled/task", retry_policy=OAuth2RetryPolicy())
