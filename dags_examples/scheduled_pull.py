"""
A scheduled pull: once a day, the open orders of the day before land in XCom.

The JSON answer arrives in XCom as an object; endpoint, query, headers and body may hold templates.

Needs the connection ``shop``: Admin → Connections → Add, type *OAuth 2.0 API*, with the Token URL, Client ID,
Client secret and API base URL of your API. (``make demo`` makes one to a small API of its own.)
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_oauth_provider.operators.http import OAuth2HttpOperator

with DAG(
    "shop_scheduled_pull",
    # With a plain "@daily" the day before is {{ ds }} on Airflow 2, and {{ macros.ds_add(ds, -1) }} on Airflow 3.
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    doc_md=__doc__,
    tags=["oauth2"],
):
    OAuth2HttpOperator(
        task_id="open_orders",
        oauth2_conn_id="shop",
        endpoint="orders",
        query={"day": "{{ data_interval_start | ds }}", "open": "true"},
    )
