"""Transfers whose processes are killed at random moments: Airflow tries again, and every record is there once."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import random
import secrets
import shutil
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from demo.standalone import Standalone
from tests.support.postgres import Postgres, binaries
from tests.support.requirements import require
from tests.system.dags.killed_transfers import ROWS, RUNS
from tests.system.killed_run import MAPPED, OUTLIVED, KilledRun, plans, run_killed_transfers, run_outlived_transfers
from tests.system.killing import PAGE_SIZE, PAGES, RECORDS, SlowApi
from tests.system.running import SYSTEM_DAGS

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL = list(range(RECORDS))
FROM_THE_FIRST_PAGE = list(range(0, RECORDS, PAGE_SIZE))
RESUMABLE = [
    *(("files", number) for number in range(RUNS)),
    *(("rows", number) for number in range(RUNS) if ROWS[number % len(ROWS)]["commit_every"]),
]
IN_ONE_TRANSACTION = [number for number in range(RUNS) if ("rows", number) not in RESUMABLE]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KilledRun]:
    folder = binaries()
    require(folder is not None, "PostgreSQL (initdb, postgres)")
    assert folder
    seed = secrets.randbits(32)
    print(f"The moments at which processes are killed: random.Random({seed})")  # noqa: T201 - to do it again
    dags = tmp_path_factory.mktemp("dags")
    shutil.copy(SYSTEM_DAGS / "killed_transfers.py", dags)
    airflow = Standalone(tmp_path_factory.mktemp("airflow"), dags, {"AIRFLOW__CORE__PARALLELISM": "8"})
    with (
        Postgres(folder) as postgres,
        SlowApi(plans(random.Random(seed)), airflow) as api,
        airflow,
    ):
        try:
            yield run_killed_transfers(airflow, api, postgres)
        except Exception as error:
            error.add_note(airflow.what_failed())
            raise


def test_every_process_died_that_was_to_die_and_every_task_ended_well(killed: KilledRun) -> None:
    alive = [name for name, pull in killed.api.pulls.items() if pull.plan]
    failed = {name: state for name, state in killed.states().items() if state != "success"}

    assert alive == []
    assert failed == {"no_retry/0": "failed"}
    # Behind its last page it may be done and gone before it dies.
    for kind in MAPPED:
        pulls = [killed.pull(kind, number) for number in range(RUNS)]
        missed = [moment for pull in pulls for moment in pull.missed]
        assert [moment for moment in missed if moment.request < PAGES] == []
        assert sum(pull.kills for pull in pulls) >= RUNS - len(missed)
        assert len(missed) < RUNS / 2


@pytest.mark.parametrize("number", range(RUNS))
def test_files_hold_every_record_once_and_in_order_and_nothing_else_is_left(killed: KilledRun, number: int) -> None:
    assert_files_are_right(killed, "files", number)


@pytest.mark.parametrize("number", range(RUNS))
def test_a_table_holds_every_record_once(killed: KilledRun, number: int) -> None:
    xcom = killed.xcom("rows", number)

    assert killed.rows("rows", number) == ALL
    assert (xcom["mode"], xcom["records"]) == (ROWS[number % len(ROWS)]["mode"], RECORDS)


def test_checkpoints_are_deleted_at_success(killed: KilledRun) -> None:
    left = {(kind, number): killed.checkpoint(kind, number) for kind in MAPPED for number in range(RUNS)}

    assert [state for state in left.values() if state] == []


@pytest.mark.parametrize(("kind", "number"), RESUMABLE)
def test_a_retry_goes_on_behind_what_was_safe(killed: KilledRun, kind: str, number: int) -> None:
    tries = killed.pull(kind, number).begun()

    was_done = killed.log(kind, number).count('"Done: ') > 1
    for before, after in pairwise(tries):
        if was_done and before[-1] == FROM_THE_FIRST_PAGE[-1] and after[0] == 0:
            continue  # Its checkpoint was deleted already, and it died before Airflow knew that it had ended well.
        # What a try has saved in three pages, or has found saved, no later one asks for again.
        assert after[0] > before[0] if len(before) > 5 else after[0] >= before[0]
    if killed.ended_by_itself(kind, number):
        asked_for_nothing = len(tries) == killed.pull(kind, number).kills
        assert killed.xcom(kind, number)["resumed"] is (asked_for_nothing or tries[-1][0] > 0)


def test_what_was_committed_is_not_asked_for_again(killed: KilledRun) -> None:
    pairs = [
        (before[-1], after[0])
        for kind, number in RESUMABLE
        if kind == "rows"
        for before, after in pairwise(killed.pull(kind, number).begun())
    ]

    assert sum(begin for _, begin in pairs) > sum(end for end, _ in pairs) / 2


@pytest.mark.parametrize("number", IN_ONE_TRANSACTION)
def test_rows_of_one_transaction_start_over(killed: KilledRun, number: int) -> None:
    assert {pages[0] for pages in killed.pull("rows", number).begun()} == {0}


def test_what_is_told_not_to_resume_starts_over_and_says_so(killed: KilledRun) -> None:
    first, second = killed.pull("no_resume").begun()

    assert PAGES > len(first) >= PAGES // 2
    assert second == FROM_THE_FIRST_PAGE
    assert "This try starts over: resume=False." in killed.log("no_resume")
    assert killed.xcom("no_resume")["resumed"] is False
    assert_files_are_right(killed, "no_resume")


def test_rows_are_not_appended_again_when_the_task_dies_behind_its_last_word(killed: KilledRun) -> None:
    assert killed.pull("done_rows").begun() == [FROM_THE_FIRST_PAGE]
    assert killed.rows("done_rows") == ALL
    assert killed.xcom("done_rows")["records"] == RECORDS


@pytest.mark.parametrize("task_id", ["done_files", "done_watermark"])
def test_files_are_right_when_the_task_dies_behind_its_last_word(killed: KilledRun, task_id: str) -> None:
    assert_files_are_right(killed, task_id)


def test_a_cleared_task_starts_over_though_its_checkpoint_is_there(killed: KilledRun) -> None:
    kept = killed.checkpoint("no_retry")

    killed.clear("no_retry")

    assert kept
    assert killed.pull("no_retry").begun()[1:] == [FROM_THE_FIRST_PAGE]
    assert killed.xcom("no_retry")["resumed"] is False
    assert killed.checkpoint("no_retry") == {}
    assert_files_are_right(killed, "no_retry")


def test_a_task_that_is_cleared_after_its_success_starts_over(killed: KilledRun) -> None:
    killed.clear("done_files")

    assert killed.pull("done_files").begun()[-1] == FROM_THE_FIRST_PAGE
    assert killed.xcom("done_files")["resumed"] is False
    assert_files_are_right(killed, "done_files")


@pytest.fixture(scope="module")
def outlived(killed: KilledRun) -> KilledRun:
    return run_outlived_transfers(killed)


def test_what_is_cleared_starts_over_beside_the_process_of_the_former_try(outlived: KilledRun) -> None:
    for task_id in OUTLIVED:
        first, second, *_ = outlived.pull(task_id).begun()
        assert first[0] == second[0] == 0


def test_files_are_right_when_two_tries_are_at_work_side_by_side(outlived: KilledRun) -> None:
    assert_files_are_right(outlived, "outlived_files")


@pytest.mark.parametrize("task_id", ["outlived_replace", "outlived_append"])
def test_rows_are_there_once_when_two_tries_are_at_work_side_by_side(outlived: KilledRun, task_id: str) -> None:
    assert outlived.rows(task_id) == ALL


def assert_files_are_right(killed: KilledRun, task_id: str, number: int = 0) -> None:
    """Check that the destination holds all records, and no file but those that the XCom names."""
    files, xcom = killed.files(task_id, number), killed.xcom(task_id, number)
    told = {told["path"].rpartition("/")[2]: (told["bytes"], told["sha256"]) for told in xcom["files"]}

    assert {name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in files.items()} == told
    assert [found for name in sorted(files) for found in ids(name, files[name])] == ALL
    assert xcom["records"] == RECORDS


def ids(name: str, content: bytes) -> list[int]:
    """Return the ids in a file, in their order."""
    if ".parquet" in name:
        import pyarrow as pa
        from pyarrow import parquet

        return [record["id"] for record in parquet.read_table(pa.BufferReader(content)).to_pylist()]
    text = (gzip.decompress(content) if name.endswith(".gz") else content).decode()
    if ".csv" in name:
        return [int(record["id"]) for record in csv.DictReader(text.splitlines())]
    records: list[dict[str, Any]] = (
        [json.loads(line) for line in text.splitlines()] if ".jsonl" in name else json.loads(text)
    )
    return [record["id"] for record in records]
