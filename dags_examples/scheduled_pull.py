"""
A scheduled pull: once a day, the open orders of that day land in XCom.

The JSON answer arrives in XCom as an object; endpoint, query, headers and body may hold templates.

Needs the connection ``shop``: Admin → Connections → Add, type *OAuth 2.0 API*, with the Token URL, Client ID,
Client secret and API base URL of your API. (``make demo`` makes one to a small API of its own.)
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_oauth_provider.operators.http import OAuth2HttpOperator

with DAG(
    "shop_scheduled_pull",
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    doc_md=__doc__,
    tags=["oauth2"],
):
    OAuth2HttpOperator(
        task_id="open_orders",
        oauth2_conn_id="shop",
        endpoint="orders",
        query={"day": "{{ ds }}", "open": "true"},
    )
