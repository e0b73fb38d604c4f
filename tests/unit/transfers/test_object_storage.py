"""What a Dag author may say, and what is said back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.transfers.files.formats import Limits
from airflow_oauth_provider.transfers.files.options import limits_of
from airflow_oauth_provider.transfers.object_storage import OAuth2HttpToObjectStorageOperator

FOLDER, FILE = "s3://bucket/orders/", "s3://bucket/orders.csv"


def operator(destination: Any = FOLDER, **parameters: Any) -> OAuth2HttpToObjectStorageOperator:
    return OAuth2HttpToObjectStorageOperator(task_id="orders", destination=destination, **parameters)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"file_format": "xlsx"}, "file_format: 'xlsx' is none of jsonl, json, csv, parquet, raw"),
    ({"compression": "bzip2"}, "compression: 'bzip2' is none of None, gzip, zstd"),
    ({"if_exists": "append"}, "if_exists: 'append' is none of replace, fail, skip"),
    ({"max_records_per_file": 0}, "max_records_per_file is '0', not a whole number of at least 1"),
    ({"max_records_per_file": "many"}, "max_records_per_file is 'many'"),
    ({"max_bytes_per_file": -1}, "max_bytes_per_file is '-1'"),
    ({"max_bytes_per_file": 1.5}, r"max_bytes_per_file is '1\.5'"),
    ({"max_bytes_per_file": True}, "max_bytes_per_file is 'True'"),
    ({"destination": FILE, "max_records_per_file": 5}, "max_records_per_file: the destination is a single file"),
    ({"destination": FILE, "max_bytes_per_file": 5}, "max_bytes_per_file: the destination is a single file"),
    ({"destination": ""}, "destination must be a URL or an absolute path"),
    ({"destination": None}, "destination must be a URL or an absolute path"),
    ({"destination": "/data/a.csv.gz", "file_format": "csv"}, r"ends with \.gz, but compression is not 'gzip'"),
    ({"destination": "/data/a.jsonl.zst", "compression": "gzip"}, r"ends with \.zst, but compression is not 'zstd'"),
    ({"file_format": "raw"}, "file_format='raw' and response_format='json': raw bodies become raw files only"),
    ({"response_format": "raw"}, "file_format='jsonl' and response_format='raw'"),
    ({"file_format": "raw", "response_format": "raw", "max_bytes_per_file": 5}, "max_bytes_per_file: raw bodies"),
    ({"columns": ["a"]}, "columns: jsonl has none; they are for csv and parquet"),
    ({"file_format": "csv", "columns": "a"}, "columns must be a list of names"),
    ({"file_format": "csv", "columns": []}, "columns must be a list of names"),
    ({"file_format": "csv", "columns": ["a", 1]}, "columns must be a list of names"),
    ({"file_format": "csv", "columns": ["a", "b", "a"]}, "columns: a name stands there twice"),
    ({"file_format": "csv", "schema": {"a": "int64"}}, "schema: csv has none; it is for parquet"),
    ({"file_format": "parquet", "schema": ["a"]}, "schema must be a dict of names and types"),
    ({"file_format": "parquet", "schema": {}}, "schema must be a dict of names and types"),
    ({"file_format": "parquet", "schema": {"a": "int64"}, "columns": ["a"]}, "columns and schema are both given"),
]


@pytest.mark.parametrize(("parameters", "why"), WRONG)
def test_what_cannot_be_right_fails_where_it_is_written(parameters: dict[str, Any], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        operator(**parameters)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"destination": FILE, "file_format": "csv", "columns": ["a", "b"]},
        {"destination": "/data/a.csv.gz", "file_format": "csv", "compression": "gzip"},
        {"destination": "/data/dump.gz", "file_format": "raw", "response_format": "raw"},
        {"file_format": "raw", "response_format": "raw", "compression": "zstd"},
        {"max_records_per_file": 1, "max_bytes_per_file": 0},
        {"max_records_per_file": "1000", "max_bytes_per_file": "5000000"},
        {"file_format": "parquet", "schema": {"a": "int64"}, "compression": "zstd"},
    ],
)
def test_what_can_be_right_does_not(parameters: dict[str, Any]) -> None:
    operator(**parameters)


@pytest.mark.parametrize(
    "parameters",
    [
        {name: "{{ params.x }}"}
        for name in (
            "destination", "destination_conn_id", "file_format", "compression", "if_exists", "columns", "schema",
            "max_records_per_file", "max_bytes_per_file",
        )
    ],
)  # fmt: skip
def test_a_template_is_looked_at_when_it_is_rendered(parameters: dict[str, Any]) -> None:
    made = operator(**parameters)
    (name,) = parameters
    assert name in made.template_fields
    assert getattr(made, name) == "{{ params.x }}"


@pytest.mark.parametrize(
    ("destination", "is_single"),
    [("/data/{{ ds }}/", False), ("/data/{{ ds }}.csv", True), ("/data/{{ ds }}", None)],
)
def test_of_a_templated_destination_its_end_is_enough_to_tell_a_folder(
    destination: str, is_single: bool | None
) -> None:
    if is_single:
        with pytest.raises(SettingsError, match="the destination is a single file"):
            operator(destination, max_records_per_file=5)
    else:
        operator(destination, max_records_per_file=5)


def test_what_cannot_be_right_once_it_is_rendered_fails_before_anything_is_asked_for(tmp_path: Path) -> None:
    made = operator(f"{tmp_path}/{{{{ ds }}}}", max_records_per_file="{{ 0 }}", oauth2_conn_id="no-such-connection")
    context: Any = {"ds": "2026-01-02"}
    made.render_template_fields(context)
    assert made.destination == f"{tmp_path}/2026-01-02"
    with pytest.raises(SettingsError, match="max_records_per_file"):
        made.execute(context)


def test_an_xcom_of_another_task_may_be_the_destination() -> None:
    with DAG("made_up", schedule=None):
        output: Any = operator(FOLDER).output
        after = OAuth2HttpToObjectStorageOperator(task_id="after", destination=output["where"], max_records_per_file=5)
    assert after.upstream_task_ids == {"orders"}


def test_partial_and_expand_map_over_destinations() -> None:
    with DAG("made_up", schedule=None):
        mapped = OAuth2HttpToObjectStorageOperator.partial(task_id="orders", file_format="csv").expand(
            destination=["/data/a/", "/data/b/"]
        )
    made: Any = mapped.unmap({"destination": "/data/a/"})
    assert (made.destination, made.file_format) == ("/data/a/", "csv")


def test_a_folder_has_a_limit_of_bytes_unless_it_is_lifted_and_a_single_file_has_none() -> None:
    assert limits_of(None, None, is_single=False) == Limits(None, 128 * 1024 * 1024)
    assert limits_of("5", 0, is_single=False) == Limits(5, None)
    assert limits_of(None, "70", is_single=False) == Limits(None, 70)
    assert limits_of(None, None, is_single=True) == Limits()
    operator(FILE, max_bytes_per_file=0)


def test_text_takes_numbers_exactly_and_parquet_as_it_is_told() -> None:
    assert operator().reads_decimals()
    assert operator(file_format="csv").reads_decimals()
    assert not operator(file_format="parquet").reads_decimals()
    assert operator(file_format="parquet", use_decimal=True).reads_decimals()


@pytest.mark.parametrize(
    "change",
    [{"destination": "/data/other/"}, {"file_format": "csv"}, {"compression": "gzip"}, {"max_records_per_file": 5},
     {"destination_conn_id": "lake"}, {"max_bytes_per_file": 0}],
)  # fmt: skip
def test_a_checkpoint_for_other_files_is_another_one(change: dict[str, Any]) -> None:
    assert operator().destination_identity() == operator().destination_identity()
    assert operator(**change).destination_identity() != operator().destination_identity()


def test_a_dag_file_pays_for_no_library_of_a_store() -> None:
    module = "airflow_oauth_provider.transfers.object_storage"
    first = "from airflow.providers.common.compat.sdk import BaseOperator"
    code = f"import sys; {first}; before = set(sys.modules); import {module}; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    added = set(done.stdout.split("\n")[-2].split())
    assert module in added
    assert not added & {"fsspec", "upath", "pyarrow", "msgspec", "jmespath", "requests", "backports.zstd", "aiohttp"}
