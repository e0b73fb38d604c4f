"""
A paginated pull: once a day, the sales of the day before land in a file and in a table.

The API gets the bounds of the run's data interval. So a run that is repeated or backfilled asks for the same sales
again: it replaces the file and updates the rows, and nothing is there twice.

Needs the connection ``shop``: Admin → Connections → Add, type *OAuth 2.0 API*, with the Token URL, Client ID,
Client secret and API base URL of your API; the connection ``warehouse`` to a database; and the Variable ``lake``,
the place for files (``s3://bucket``, ``gs://bucket``, ``file:///folder``). (``make demo`` makes all of them.)
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_oauth_provider.pull.pagination import Cursor
from airflow_oauth_provider.transfers.object_storage import OAuth2HttpToObjectStorageOperator
from airflow_oauth_provider.transfers.sql import OAuth2HttpToSqlOperator

with DAG(
    "shop_paginated_pull",
    # On Airflow 3 a plain "@daily" has no data interval.
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    doc_md=__doc__,
    tags=["oauth2"],
    # What both transfers pull.
    default_args={
        "oauth2_conn_id": "shop",
        "endpoint": "sales",
        "interval_params": {"since": "start", "until": "end"},
        "pagination": Cursor("next_cursor", param="cursor"),
        "records": "sales",
    },
):
    OAuth2HttpToObjectStorageOperator(
        task_id="sales_to_file",
        destination="{{ var.value.lake }}/sales/{{ data_interval_start | ds }}.jsonl.gz",
        compression="gzip",
    )

    create_table = SQLExecuteQueryOperator(
        task_id="create_table",
        conn_id="warehouse",
        sql="CREATE TABLE IF NOT EXISTS sales (id INTEGER PRIMARY KEY, item TEXT, price NUMERIC, sold_at TEXT)",
    )
    sales_to_table = OAuth2HttpToSqlOperator(
        task_id="sales_to_table",
        destination_conn_id="warehouse",
        table="sales",
        columns=["id", "item", "price", "sold_at"],
        mode="upsert",
        key_columns=["id"],
    )
    create_table >> sales_to_table
