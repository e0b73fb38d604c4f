"""Tries that end by SIGKILL before and behind each of their commits: the retry leaves every record there once."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.sql.conftest import Warehouse
from tests.support.postgres import Postgres
from tests.support.sql_runs import (
    StateStore,
    Transfer,
    killed_try,
    orders,
    run_in_a_process,
    sqlite_connection,
    sqlite_rows,
)

TOTAL = 250
# Tables without a key: a row that is added twice would stay.
TABLE = "CREATE TABLE orders (id integer, name text)"


class SqliteTable:
    def __init__(self, folder: Path) -> None:
        self._file = folder / "warehouse.db"
        self.connection = sqlite_connection(self._file)
        self.sql(TABLE)

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        return sqlite_rows(self._file, statement)


class PostgresTable:
    def __init__(self, cluster: Postgres) -> None:
        self._warehouse = Warehouse(cluster, "whichever the hook takes")
        self.connection = self._warehouse.connection()
        self.sql(TABLE)

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        return self._warehouse.sql(statement)


class Scenario:
    """A table and what Airflow keeps, on which tries follow each other."""

    def __init__(self, table: SqliteTable | PostgresTable, folder: Path, parameters: dict[str, Any]) -> None:
        self.table = table
        self.store = folder / "store"
        self.parameters = parameters
        self.tries = 0

    def killed(self, moment: str) -> bool:
        """Run a try, and return whether it was killed: the moment may never come."""
        what = (self.store, self.tries, moment, TOTAL, self.parameters)
        code = run_in_a_process(killed_try, self.table.connection, *what)
        assert code in (0, -signal.SIGKILL)
        self.tries += 1
        return code != 0

    def retried(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """Run a try that nobody kills, and return the ids that are there afterwards."""
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", self.table.connection)
        transfer = Transfer(StateStore(self.store), **self.parameters)
        transfer.tries = self.tries
        result = transfer(orders(*range(TOTAL)))
        assert (result["rows"], result["records"]) == (TOTAL, TOTAL)
        return sorted(number for (number,) in self.table.sql("SELECT id FROM orders"))


@pytest.fixture(params=["sqlite", "postgresql"])
def begin(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Scenario]:
    """Return a function that makes a scenario for these parameters."""
    numbers = itertools.count()

    def make(**parameters: Any) -> Scenario:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        if request.param == "sqlite":
            return Scenario(SqliteTable(folder), folder, parameters)
        return Scenario(PostgresTable(request.getfixturevalue("cluster")), folder, parameters)

    return make


def moments() -> Iterator[str]:
    """Yield before and behind the first commit, before and behind the second …"""
    for number in itertools.count(1):
        yield f"before {number}"
        yield f"after {number}"


@pytest.mark.parametrize(
    ("parameters", "kills"),
    [
        # The table of checkpoints is made, cleaned and claimed: three commits, and then those of the rows.
        ({"commit_every": 100}, 2 * (3 + 3)),
        ({}, 2 * (3 + 1)),
        ({"mode": "replace"}, 2),
    ],
)
def test_a_try_may_be_killed_at_every_commit(
    begin: Callable[..., Scenario], parameters: dict[str, Any], kills: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    survived = []
    for moment in moments():
        scenario = begin(**parameters)
        if not scenario.killed(moment):
            break
        assert scenario.retried(monkeypatch) == list(range(TOTAL)), moment
        survived.append(moment)
    assert len(survived) == kills


def test_a_retry_may_be_killed_as_well_and_again(
    begin: Callable[..., Scenario], monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = begin(commit_every=20)
    for moment in ("after 3", "before 4", "after 4", "after 5", "before 6", "before 5"):
        assert scenario.killed(moment), moment
    assert scenario.retried(monkeypatch) == list(range(TOTAL))


def test_a_clear_adds_everything_again_behind_a_kill(
    begin: Callable[..., Scenario], monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = begin(commit_every=100)
    assert scenario.killed("after 4")
    assert len(scenario.table.sql("SELECT id FROM orders")) == 100
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", scenario.table.connection)
    transfer = Transfer(StateStore(scenario.store), **scenario.parameters)
    transfer.tries = 1
    transfer.cleared()
    transfer(orders(*range(TOTAL)))
    assert len(scenario.table.sql("SELECT id FROM orders")) == 100 + TOTAL
