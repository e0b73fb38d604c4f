"""What a Dag file pays for importing this provider."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    *("requests", "urllib3", "aiohttp", "httpx", "cryptography.hazmat.primitives.ciphers.aead", "jwt", "filelock"),
    *("jmespath", "ijson", "xmltodict", "pyarrow", "fsspec", "backports.zstd", "sqlalchemy", "tenacity"),
)
OF_KEYS = (
    *("jwt", "cryptography.x509", "cryptography.hazmat.primitives.serialization"),
    *(f"airflow_oauth_provider.{name}" for name in ("oauth2.keys", "oauth2.assertion", "oauth2.jws", "files")),
)
FIRST = "from airflow.providers.common.compat.sdk import BaseOperator, BaseHook, conf"


def added_by(module: str) -> set[str]:
    """Return the modules that a fresh interpreter loads for *module* beyond what Airflow's own classes need."""
    code = f"import sys; {FIRST}; before = set(sys.modules); import {module}; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split("\n")[-2].split())


def heavy(modules: set[str]) -> list[str]:
    return [name for name in modules if name in HEAVY or name.startswith(tuple(f"{library}." for library in HEAVY))]


@pytest.mark.parametrize(
    "module",
    [
        "airflow_oauth_provider.operators.http",
        "airflow_oauth_provider.hooks.oauth2",
        "airflow_oauth_provider.transfers.object_storage",
        "airflow_oauth_provider.transfers.sql",
        "airflow_oauth_provider.pull.pagination",
    ],
)
def test_a_module_that_dag_files_import_adds_no_heavy_library(module: str) -> None:
    added = added_by(module)
    assert module in added
    assert heavy(added) == []


PULL = "pagination={'kind': 'offset', 'limit': 100, 'total_path': 'n'}, records='data.items', max_pages='{{ 5 }}'"


@pytest.mark.parametrize(
    ("module", "call"),
    [
        ("operators.http", f"OAuth2HttpOperator(task_id='a', concurrency=8, {PULL})"),
        (
            "transfers.object_storage",
            f"OAuth2HttpToObjectStorageOperator(task_id='a', destination='s3://b/c/', compression='zstd', {PULL})",
        ),
        (
            "transfers.sql",
            (
                "OAuth2HttpToSqlOperator(task_id='a', destination_conn_id='b', table='c', columns=['d'], "
                f"mode='upsert', key_columns=['d'], interval_params={{'since': 'start'}}, {PULL})"
            ),
        ),
    ],
)
def test_a_task_that_pulls_is_made_without_a_heavy_library(module: str, call: str) -> None:
    name = call.partition("(")[0]
    code = (
        f"import sys; {FIRST}; from airflow_oauth_provider.{module} import {name}; before = set(sys.modules); "
        f"{call}; {call.replace('{{ 5 }}', '5')}; print(*(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    added = set(done.stdout.split("\n")[-2].split())
    assert "airflow_oauth_provider.pull.plan" in added
    assert {library.partition(".")[0] for library in heavy(added)} <= {"jmespath"}  # which compiles the paths


def loaded_by_reading(extra: str, more: str = "") -> set[str]:
    """Return what a fresh interpreter loads to read a connection, of what only keys need."""
    code = (
        f"import sys; {FIRST}; {more}from tests.support.made_up import fields; "
        "from airflow_oauth_provider.config import ProviderConfig; before = set(sys.modules); "
        "from airflow_oauth_provider.connection import read_connection; "
        f"read_connection(fields({extra}), ProviderConfig()); print(*(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name for name in done.stdout.split("\n")[-2].split() if name.startswith(OF_KEYS)}


@pytest.mark.parametrize(
    "extra", ["{}", "{'auth_method': 'none', 'dpop': True, 'discover': True, 'rar': {'type': 'a'}}"]
)
def test_settings_are_read_without_cryptography_where_there_is_no_key(extra: str) -> None:
    assert loaded_by_reading(extra) == set()


def test_a_key_is_what_loads_cryptography() -> None:
    key = "{'auth_method': 'private_key_jwt', 'private_key': pem(made_key('P-256'))}"
    more = "from tests.support.keys import made_key, pem; "
    assert "airflow_oauth_provider.oauth2.keys" in loaded_by_reading(key, more)


def test_the_package_itself_imports_nothing() -> None:
    code = "import sys; before = set(sys.modules); import airflow_oauth_provider; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"airflow_oauth_provider", "__future__"}
