"""Tasks that let every metric and every span be seen."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG

from airflow_oauth_provider.operators.http import OAuth2HttpOperator

with DAG("counted", schedule=None, default_args={"oauth2_conn_id": "shop"}):
    OAuth2HttpOperator(
        task_id="pull",
        endpoint="numbers?key=made-up-query",
        pagination={"kind": "offset", "limit": 3, "total_path": "total"},
        records="items",
        concurrency=2,
    )
    OAuth2HttpOperator(task_id="repeated", endpoint="flaky")
    OAuth2HttpOperator.partial(task_id="mapped").expand(endpoint=[f"orders/{number}" for number in range(6)])
    OAuth2HttpOperator(task_id="odd", endpoint="orders", oauth2_conn_id="shop ünï,a:b")
    OAuth2HttpOperator.partial(task_id="refused", oauth2_conn_id="shop_wrong_secret", max_active_tis_per_dag=1).expand(
        endpoint=["a", "b"]
    )
