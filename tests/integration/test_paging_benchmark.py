"""The benchmark of paging, run small: its sides work and say what they should. Times are none of a test's business."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.postgres import binaries

PROJECT = Path(__file__).resolve().parents[2]
PAGES = 20
# Dozens of processes begin one after the other, each of which imports Airflow: minutes, where the machine is busy.
MOST_S = 2000
pytestmark = pytest.mark.timeout(MOST_S + 100)

CLIENTS = (
    "bare requests.Session",
    "OAuth2Hook.pages",
    "HttpHook.run, one hook",
    "HttpOperator",
    "dlt RESTClient.paginate",
)


def tables_of(part: str) -> list[dict[str, dict[str, float]]]:
    """Return the tables of a small run: name of the row → name of the column → figure."""
    command = [sys.executable, "benchmarks/paging.py", part, "--quick"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=MOST_S)
    assert done.returncode == 0, done.stderr
    tables: list[dict[str, dict[str, float]]] = []
    columns: list[str] = []
    for line in done.stdout.splitlines():
        name, *cells = re.split(r"\s{2,}", line.strip())
        if "records" in cells:
            columns = cells
            tables.append({})
        elif cells and tables:
            # Figures are set apart by a blank at least.
            tables[-1][name] = dict(zip(columns, map(float, " ".join(cells).split()), strict=True))
    return tables


def test_every_client_pulls_every_page_and_ours_over_one_connection() -> None:
    tables = tables_of("pages")
    assert len(tables) == 4, "HTTP and TLS, Link header and cursor"
    for table in tables:
        assert set(table) == set(CLIENTS)
        assert {row["records"] for row in table.values()} == {PAGES * 100}
        assert table["OAuth2Hook.pages"]["connections"] == 1
        assert table["HttpOperator"]["connections"] == PAGES


def test_pages_side_by_side_come_in_order_over_as_many_connections_as_are_in_flight() -> None:
    (table,) = tables_of("concurrency")
    assert {row["records"] for row in table.values()} == {PAGES * 100}
    assert table["1 in flight"]["connections"] == 1
    assert 1 < table["8 in flight"]["connections"] <= 8


@pytest.mark.parametrize(("part", "operator"), [("bodies", "ObjectStorage"), ("sql", "Sql")])
def test_transfers_bring_every_record(part: str, operator: str) -> None:
    tables = tables_of(part)
    assert len(tables) == {"bodies": 3, "sql": 2 if binaries() else 1}[part]
    for table in tables:
        assert set(table) == {"the usual script", f"OAuth2HttpTo{operator}Operator"}
        assert {row["records"] for row in table.values()} == {PAGES * 1000}
