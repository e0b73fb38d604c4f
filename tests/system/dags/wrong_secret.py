"""A connection whose client secret is wrong: the task must fail at once, whatever retries it has left."""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_oauth_provider.operators.http import OAuth2HttpOperator

with DAG("wrong_secret", schedule=None):
    OAuth2HttpOperator(
        task_id="status",
        oauth2_conn_id="shop_wrong_secret",
        endpoint="status",
        retries=2,
        retry_delay=timedelta(seconds=1),
    )
