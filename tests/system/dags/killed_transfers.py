"""Transfers whose processes somebody kills; what they pull and where it goes is told by the endpoint's number."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Asset

from airflow_oauth_provider.transfers.object_storage import OAuth2HttpToObjectStorageOperator
from airflow_oauth_provider.transfers.sql import OAuth2HttpToSqlOperator

RUNS = 20
PART = 30
FILES: list[dict[str, Any]] = [
    {"file_format": "jsonl", "compression": None},
    {"file_format": "csv", "compression": None},
    {"file_format": "jsonl", "compression": "gzip"},
    {"file_format": "parquet", "compression": None},
    {"file_format": "json", "compression": "gzip"},
]
ROWS: list[dict[str, Any]] = [
    {"mode": "append", "commit_every": PART, "key_columns": None},
    {"mode": "upsert", "commit_every": PART, "key_columns": ["id"]},
    {"mode": "append", "commit_every": None, "key_columns": None},
    {"mode": "append", "commit_every": PART, "key_columns": None},
    {"mode": "replace", "commit_every": None, "key_columns": None},
]
PULL: dict[str, Any] = {
    "oauth2_conn_id": "slow",
    "pagination": {"kind": "cursor", "path": "paging.cursor", "param": "cursor"},
    "records": "items",
}
TO_FILES: dict[str, Any] = {"max_records_per_file": PART}
TO_ROWS: dict[str, Any] = {"destination_conn_id": "rows", "columns": ["id"]}


def folder(name: str) -> str:
    return f"{{{{ var.value.killed }}}}/{name}/"


def die_at_first(context: Any, _: Any) -> None:
    """Die behind the last word of the operator, before Airflow knows of it."""
    if context["ti"].try_number == 1:
        os.kill(os.getpid(), signal.SIGKILL)


with DAG(
    "killed_transfers",
    schedule=None,
    default_args={"retries": 3, "retry_delay": timedelta(0), **PULL},
    max_active_tasks=64,
):
    OAuth2HttpToObjectStorageOperator.partial(task_id="files", **TO_FILES).expand_kwargs(
        [
            {"endpoint": f"files/{number}", "destination": folder(f"files/{number}"), **FILES[number % len(FILES)]}
            for number in range(RUNS)
        ]
    )
    OAuth2HttpToSqlOperator.partial(task_id="rows", **TO_ROWS).expand_kwargs(
        [
            {"endpoint": f"rows/{number}", "table": f"rows_{number}", **ROWS[number % len(ROWS)]}
            for number in range(RUNS)
        ]
    )

    OAuth2HttpToObjectStorageOperator(
        task_id="no_resume", endpoint="no_resume/0", destination=folder("no_resume/0"), resume=False, **TO_FILES
    )
    OAuth2HttpToObjectStorageOperator(
        task_id="no_retry", endpoint="no_retry/0", destination=folder("no_retry/0"), retries=0, **TO_FILES
    )
    OAuth2HttpToObjectStorageOperator(
        task_id="done_files",
        endpoint="done_files/0",
        destination=folder("done_files/0"),
        post_execute=die_at_first,
        **TO_FILES,
    )
    OAuth2HttpToObjectStorageOperator(
        task_id="done_watermark",
        endpoint="done_watermark/0",
        destination=folder("done_watermark/0"),
        watermark="id",
        watermark_param="after",
        outlets=[Asset("killed")],
        post_execute=die_at_first,
        **TO_FILES,
    )
    OAuth2HttpToSqlOperator(
        task_id="done_rows", endpoint="done_rows/0", table="done_rows_0", post_execute=die_at_first, **TO_ROWS
    )


with DAG("outlived_transfers", schedule=None, default_args={"retries": 1, "retry_delay": timedelta(0), **PULL}):
    for name in ("outlived_files", "untouched_files"):
        OAuth2HttpToObjectStorageOperator(
            task_id=name, endpoint=f"{name}/0", destination=folder(f"{name}/0"), **TO_FILES
        )
    for mode in ("append", "replace"):
        OAuth2HttpToSqlOperator(
            task_id=f"outlived_{mode}",
            endpoint=f"outlived_{mode}/0",
            table=f"outlived_{mode}_0",
            mode=mode,
            batch_size=PART,
            **TO_ROWS,
        )
