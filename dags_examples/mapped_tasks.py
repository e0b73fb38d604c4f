"""
Mapped tasks: 24 calls side by side, each in a process of its own, and all of them share one token.

Needs the connection ``shop``: Admin → Connections → Add, type *OAuth 2.0 API*, with the Token URL, Client ID,
Client secret and API base URL of your API. (``make demo`` makes one to a small API of its own.)
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG

from airflow_oauth_provider.operators.http import OAuth2HttpOperator

with DAG("shop_mapped_tasks", schedule=None, doc_md=__doc__, tags=["oauth2"]):
    OAuth2HttpOperator.partial(
        task_id="order",
        oauth2_conn_id="shop",
    ).expand(endpoint=[f"orders/{number}" for number in range(1, 25)])
