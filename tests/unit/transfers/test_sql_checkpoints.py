"""Where the retry of a transfer into a table goes on, on SQLite files."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import PermanentError, TransientError
from airflow_oauth_provider.transfers.checkpoint import Checkpoint
from tests.support.sql_runs import StateStore, Transfer, orders, sqlite_rows

BAD = {"id": 1, "name": "a key that is there already"}


@pytest.fixture
def store(tmp_path: Path) -> StateStore:
    return StateStore(tmp_path / "store")


def ids(file: Path) -> list[int]:
    return [number for (number,) in sqlite_rows(file, "SELECT id FROM orders ORDER BY rowid")]


def saved(file: Path) -> list[dict[str, Any]]:
    """Return what the checkpoint table holds."""
    return [json.loads(state) for (state,) in sqlite_rows(file, "SELECT state FROM oauth2_checkpoints")]


def has_table(file: Path) -> bool:
    return bool(sqlite_rows(file, "SELECT 1 FROM sqlite_master WHERE name = 'oauth2_checkpoints'"))


def fails_behind(transfer: Transfer, count: int) -> None:
    """Run a try that ends in an error behind so many good records."""
    with pytest.raises(PermanentError, match="UNIQUE constraint failed"):
        transfer([*orders(*range(1, count + 1)), BAD])


# With commit_every ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "kept"), [(250, 200), (99, 0), (100, 100), (199, 100)])
@pytest.mark.parametrize("batch_size", [30, 1000])
def test_a_retry_goes_on_behind_the_last_commit(
    file: Path, store: StateStore, count: int, kept: int, batch_size: int
) -> None:
    transfer = Transfer(store, commit_every=100, batch_size=batch_size)
    fails_behind(transfer, count)
    assert ids(file) == list(range(1, kept + 1))
    result = transfer(orders(*range(1, 301)))
    assert ids(file) == list(range(1, 301))
    assert result["rows"] == 300


def test_a_commit_that_airflow_does_not_know_of_counts(
    file: Path, store: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    transfer = Transfer(store, commit_every=100)
    with monkeypatch.context() as patched:
        patched.setattr(Checkpoint, "save", lambda *_: (_ for _ in ()).throw(TransientError("Airflow is away")))
        with pytest.raises(TransientError, match="Airflow is away"):
            transfer(orders(*range(300)))
    assert len(ids(file)) == 100
    assert store.get("oauth2_transfer") is None
    transfer(orders(*range(300)))
    assert ids(file) == list(range(300))


def test_an_upsert_goes_on_by_what_airflow_keeps_alone(file: Path, store: StateStore) -> None:
    transfer = Transfer(store, commit_every=100, mode="upsert", key_columns=["id"], batch_size=40)
    operator, _, sink = transfer.begin()
    sink.write(orders(*range(250)))
    sink.abort()
    assert len(ids(file)) == 200
    _, checkpoint, sink = transfer.begin()
    assert (checkpoint.records, checkpoint.resumed) == (200, {"rows": 200, "done": False})
    sink.abort()
    assert not has_table(file)
    assert operator.checkpoint_table == "oauth2_checkpoints"


# The end --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("commit_every", [None, 100])
def test_rows_that_stand_there_already_are_not_added_again(
    file: Path, store: StateStore, commit_every: int | None
) -> None:
    transfer = Transfer(store, commit_every=commit_every)
    first = transfer(orders(*range(250)))
    _, checkpoint, sink = transfer.begin()  # the try before ended behind its commit, but Airflow never heard of it
    assert sink.complete
    assert checkpoint.records == 250
    assert sink.finish({"records": 250, "pages": 1, "seconds": 0.5}) == first
    assert ids(file) == list(range(250))


def test_a_clear_adds_the_rows_again(file: Path, store: StateStore) -> None:
    sqlite_rows(file, "DROP TABLE orders")
    sqlite_rows(file, "CREATE TABLE orders (id INTEGER, name TEXT)")
    transfer = Transfer(store, commit_every=2)
    transfer(orders(1, 2, 3))
    transfer.cleared()
    transfer(orders(1, 2, 3))
    assert ids(file) == [1, 2, 3, 1, 2, 3]


@pytest.mark.parametrize("checkpoint_table", ["oauth2_checkpoints", None])
def test_a_retry_that_asks_for_something_else_does_not_add_rows_beside_those_of_the_former_try(
    file: Path, store: StateStore, checkpoint_table: str | None
) -> None:
    transfer = Transfer(store, commit_every=100, checkpoint_table=checkpoint_table)
    fails_behind(transfer, 250)
    transfer.parameters["columns"] = ["name", "id"]
    for _ in range(2):
        with pytest.raises(PermanentError, match="asks for something else than the try before it, which added 200 "):
            transfer.begin()
    assert ids(file) == list(range(1, 201))
    sqlite_rows(file, "DELETE FROM orders")
    transfer.cleared()
    transfer(orders(1, 2, 3))
    assert ids(file) == [1, 2, 3]


@pytest.mark.parametrize("count", [99, 100])
def test_a_retry_may_ask_for_something_else_where_nothing_was_committed(
    file: Path, store: StateStore, count: int
) -> None:
    transfer = Transfer(store, commit_every=count + 1)
    fails_behind(transfer, count)
    transfer.parameters["columns"] = ["name", "id"]
    transfer(orders(1, 2, 3))
    assert ids(file) == [1, 2, 3]


def test_a_clear_of_a_try_that_broke_off_begins_anew(file: Path, store: StateStore) -> None:
    transfer = Transfer(store, commit_every=2)
    fails_behind(transfer, 3)
    sqlite_rows(file, "DELETE FROM orders")
    transfer.cleared()
    transfer(orders(1, 2, 3))
    assert ids(file) == [1, 2, 3]


def test_another_task_has_a_row_of_its_own(file: Path, store: StateStore, monkeypatch: pytest.MonkeyPatch) -> None:
    transfer = Transfer(store)
    transfer(orders(1))
    other = Transfer(StateStore(store.folder / "other"))
    monkeypatch.setattr("tests.support.sql_runs.TaskInstance.map_index", 5)
    other(orders(2))
    assert ids(file) == [1, 2]
    assert [state["sink"] for state in saved(file)] == [{"rows": 1, "done": True}] * 2


# Without it -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parameters", [{"resume": False}, {"checkpoint_table": None}, {"mode": "replace"}])
def test_there_is_no_table_where_it_would_not_help(file: Path, store: StateStore, parameters: dict[str, Any]) -> None:
    Transfer(store, **parameters)(orders(1, 2))
    assert not has_table(file)


def test_without_the_table_the_end_is_known_to_airflow_at_least(file: Path, store: StateStore) -> None:
    transfer = Transfer(store, checkpoint_table=None)
    for _ in range(2):
        _, checkpoint, sink = transfer.begin()
        if not sink.complete:
            sink.write(orders(1, 2))
        sink.finish({"records": 2, "pages": 1, "seconds": 0.5})
        assert checkpoint.active  # the process dies here
    assert ids(file) == [1, 2]


def test_there_is_no_table_below_airflow_3_3(file: Path) -> None:
    Transfer(None, commit_every=1)(orders(1, 2))
    assert not has_table(file)
    assert ids(file) == [1, 2]


def test_a_table_that_cannot_be_had_is_a_warning_that_says_what_follows(
    file: Path, store: StateStore, log: pytest.LogCaptureFixture
) -> None:
    sqlite_rows(file, "CREATE VIEW oauth2_checkpoints AS SELECT 'no table' AS task_key")
    transfer = Transfer(store, commit_every=100)
    fails_behind(transfer, 150)
    [warning] = [record.getMessage() for record in log.records if record.levelno == logging.WARNING]
    assert warning.startswith("checkpoint_table: none is kept, so that the retry of a try which was killed around a")
    assert "Table 'oauth2_checkpoints' (connection 'warehouse')" in warning
    transfer(orders(*range(1, 301)))
    assert ids(file) == list(range(1, 301))


# The table ------------------------------------------------------------------------------------------------------------


def test_rows_of_thirty_days_ago_are_forgotten(file: Path, store: StateStore) -> None:
    Transfer(store)(orders(1))
    values = "VALUES ('{}', 'nobody', '{{}}', '{}T12:00:00+00:00')"
    sqlite_rows(file, f"INSERT INTO oauth2_checkpoints {values.format('old', '2020-01-02')}")
    sqlite_rows(file, f"INSERT INTO oauth2_checkpoints {values.format('future', '2999-01-02')}")
    Transfer(store)(orders(2))
    keys = [key for (key,) in sqlite_rows(file, "SELECT task_key FROM oauth2_checkpoints")]
    assert len(keys) == 2
    assert "old" not in keys


def test_the_table_may_stand_elsewhere_under_any_name(file: Path, store: StateStore) -> None:
    transfer = Transfer(store, checkpoint_table='main."check; points"')
    transfer(orders(1))
    assert sqlite_rows(file, 'SELECT COUNT(*) FROM "check; points"') == [(1,)]
    _, _, sink = transfer.begin()
    sink.abort()
    assert sink.complete


def test_a_try_that_was_given_up_cannot_commit_any_more(file: Path, store: StateStore) -> None:
    sqlite_rows(file, "DROP TABLE orders")
    sqlite_rows(file, "CREATE TABLE orders (id INTEGER, name TEXT)")
    transfer = Transfer(store, commit_every=100)
    _, _, zombie = transfer.begin()
    zombie.write(orders(*range(150)))
    transfer(orders(*range(250)))
    with pytest.raises(TransientError, match="another try of this task has taken over"):
        zombie.write(orders(*range(150, 250)))
    zombie.abort()
    assert ids(file) == list(range(250))


def test_whoever_claims_the_row_at_the_same_time_gives_way(
    file: Path, store: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    transfer = Transfer(store)
    transfer.begin()[2].abort()
    rivals = []

    def adopt(_: Checkpoint, __: dict[str, Any]) -> bool:
        rivals.append(1)
        sqlite_rows(file, f"UPDATE oauth2_checkpoints SET owner = 'rival {len(rivals)}'")
        return False

    monkeypatch.setattr(Checkpoint, "adopt", adopt)
    with pytest.raises(TransientError, match="another try of this task has taken over"):
        transfer.begin()
    assert sqlite_rows(file, "SELECT owner FROM oauth2_checkpoints") == [(f"rival {len(rivals)}",)]
