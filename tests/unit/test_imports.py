"""What a Dag file pays for importing this provider."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("requests", "aiohttp", "httpx", "cryptography.hazmat.primitives.ciphers.aead", "jwt", "filelock", "jmespath")
FIRST = "from airflow.providers.common.compat.sdk import BaseOperator, BaseHook, conf"


def added_by(module: str) -> set[str]:
    """Return the modules that a fresh interpreter loads for *module* beyond what Airflow's own classes need."""
    code = f"import sys; {FIRST}; before = set(sys.modules); import {module}; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split("\n")[-2].split())


@pytest.mark.parametrize("module", ["airflow_oauth_provider.operators.http", "airflow_oauth_provider.hooks.oauth2"])
def test_a_module_that_dag_files_import_adds_no_heavy_library(module: str) -> None:
    added = added_by(module)
    assert module in added
    assert not [name for name in added if name in HEAVY or name.startswith(tuple(f"{heavy}." for heavy in HEAVY))]


def test_the_package_itself_imports_nothing() -> None:
    code = "import sys; before = set(sys.modules); import airflow_oauth_provider; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"airflow_oauth_provider", "__future__"}
