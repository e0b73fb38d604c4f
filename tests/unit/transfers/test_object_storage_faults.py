"""A try that ends anywhere, by an error or by kill -9, and the next one."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import SettingsError, TransientError
from airflow_oauth_provider.transfers.files import sink as files
from tests.support.file_tasks import Faults, FileTask, KilledError, Place, local_place, memory_place, no_space

RECORDS = [{"id": number, "note": f"Grüße {number}"} for number in range(1_000)]
FORMER = {f"part-{number:05d}.csv": b"former" for number in range(5)}
FOREIGN = {
    "notes.txt": b"mine",
    "part-00000.crc": b"mine",
    "part-00000-3f2a.snappy.parquet": b"mine",
    "part-1.jsonl": b"mine",
    "archive/part-00000.jsonl": b"mine",
}
FOLDER: dict[str, Any] = {"compression": "gzip", "max_records_per_file": 400}


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    monkeypatch.setattr(files, "_PAUSE_PER_COST", 0.0)  # every part gets its checkpoint
    return Faults(monkeypatch)


@pytest.fixture(params=["local", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return local_place(f"{tmp_path}/orders of ü") if request.param == "local" else memory_place("orders of ü")


def furnish(place: Place, *contents: dict[str, bytes]) -> None:
    place.empty()
    for content in contents:
        for name, value in content.items():
            place.put(name, value)


def undisturbed(faults: Faults, task: FileTask) -> tuple[dict[str, Any], list[str]]:
    """Return what a try comes to when nothing happens, and its steps."""
    faults.steps.clear()
    result = task.attempt(RECORDS)
    return result, faults.steps.copy()


def published(faults: Faults) -> bool:
    """Whether the try came so far as to replace the former result."""
    return any(step.startswith(("before move part", "before write publishing")) for step in faults.steps)


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("ending", ["error", "errors from then on", "kill"])
def test_wherever_a_try_ends_the_next_one_leaves_the_same_bytes_and_no_rubbish(
    faults: Faults, place: Place, ending: str, keeps: bool
) -> None:
    furnish(place, FORMER, FOREIGN)
    expected, steps = undisturbed(faults, FileTask(place.url, keeps=keeps, **FOLDER))
    result = place.files()
    assert len(expected["files"]) == 3
    for at in range(len(steps)):
        furnish(place, FORMER, FOREIGN)
        task = FileTask(place.url, keeps=keeps, **FOLDER)
        error, seen = (KilledError, KilledError) if ending == "kill" else (no_space, TransientError)
        with faults.failing(at, error, forever=ending == "errors from then on"), pytest.raises(seen):
            task.attempt(RECORDS)
        where = faults.steps[at]
        left = place.files()
        assert left.items() >= FOREIGN.items(), where
        if not published(faults):
            assert left.items() >= FORMER.items(), where
            if ending == "error" and not keeps:
                assert (left, place.folders()) == ({**FORMER, **FOREIGN}, {"archive"}), where
        again = task.attempt(RECORDS)
        assert (again["files"], again["records"]) == (expected["files"], 1_000), where
        assert place.files() == result, where
        assert place.folders() == {"archive"}, where


@pytest.mark.parametrize("ending", ["error", "kill"])
def test_a_single_file_is_the_former_or_the_new_one_at_every_moment(
    faults: Faults, tmp_path: Path, ending: str
) -> None:
    place, former = local_place(str(tmp_path)), b'{"id":"former"}\n'
    furnish(place, {"orders.jsonl": former, **FOREIGN})
    _, steps = undisturbed(faults, FileTask(f"{place.url}orders.jsonl"))
    whole = place.get("orders.jsonl")
    for at in range(len(steps)):
        furnish(place, {"orders.jsonl": former, **FOREIGN})
        task = FileTask(f"{place.url}orders.jsonl")
        error, seen = (KilledError, KilledError) if ending == "kill" else (no_space, TransientError)
        with faults.failing(at, error), pytest.raises(seen):
            task.attempt(RECORDS)
        assert place.get("orders.jsonl") in (former, whole)
        task.attempt(RECORDS)
        assert place.files() == {"orders.jsonl": whole, **FOREIGN}, faults.steps[at]
        assert place.folders() == {"archive"}


@pytest.mark.parametrize("name", ["", "orders.jsonl"])
def test_a_retry_does_not_mistake_its_own_files_for_a_former_result(faults: Faults, place: Place, name: str) -> None:
    destination, limits = f"{place.url}{name}", {} if name else FOLDER
    _, steps = undisturbed(faults, FileTask(destination, **limits))
    whole = place.files()
    for at in range(len(steps)):
        place.empty()
        task = FileTask(destination, if_exists="fail", **limits)
        with faults.failing(at, KilledError), pytest.raises(KilledError):
            task.attempt(RECORDS)
        task.attempt(RECORDS)
        assert place.files() == whole, steps[at]


@pytest.mark.parametrize("if_exists", ["skip", "fail"])
def test_half_a_result_is_not_taken_for_one(faults: Faults, place: Place, if_exists: str) -> None:
    _, steps = undisturbed(faults, FileTask(place.url, keeps=False, **FOLDER))
    whole = place.files()
    for at in range(len(steps)):
        place.empty()
        task = FileTask(place.url, keeps=False, if_exists=if_exists, **FOLDER)
        with faults.failing(at, KilledError), pytest.raises(KilledError):
            task.attempt(RECORDS)
        came_whole = place.files().items() >= whole.items()
        with faults.failing(at, no_space), suppress(TransientError, SettingsError):
            task.attempt(RECORDS)
        with suppress(SettingsError):
            task.attempt(RECORDS)
        assert place.files().items() >= whole.items(), steps[at]
        assert came_whole or place.files() == whole, steps[at]


def test_a_failed_try_without_a_checkpoint_leaves_nothing_but_the_former_result(faults: Faults, place: Place) -> None:
    furnish(place, FORMER)
    task = FileTask(place.url, keeps=False, **FOLDER)
    with faults.failing(at_close_of_part(faults, place, 2), no_space), pytest.raises(TransientError) as caught:
        task.attempt(RECORDS)
    assert place.files() == FORMER
    assert place.folders() == set()
    assert place.url in str(caught.value)
    assert "No space left on device" in str(caught.value)
    assert "The former result is untouched" in str(caught.value)


def at_close_of_part(faults: Faults, place: Place, number: int) -> int:
    """Return the step of an undisturbed run at which that part is closed."""
    former = place.files()
    _, steps = undisturbed(faults, FileTask(place.url, keeps=False, **FOLDER))
    furnish(place, former)
    return [at for at, step in enumerate(steps) if step == "before close of a part"][number]


def test_a_try_that_goes_on_writes_only_what_was_missing(faults: Faults, place: Place) -> None:
    task = FileTask(place.url, **FOLDER)
    with faults.failing(at_close_of_part(faults, place, 2), no_space), pytest.raises(TransientError):
        task.attempt(RECORDS)
    assert len([name for name in place.files() if name.endswith(".gz")]) == 2
    faults.steps.clear()
    task.attempt(RECORDS)
    assert task.checkpoint.records == 800
    assert faults.steps.count("before open") == 1


def test_a_checkpoint_that_comes_late_counts_what_is_in_whole_parts(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = FileTask(place.url, **FOLDER)
    task.open()
    monkeypatch.setattr(task.sink, "_save_after", float("inf"))
    task.sink.write(RECORDS[:900])
    monkeypatch.setattr(task.sink, "_save_after", 0.0)
    task.sink.write(RECORDS[900:950])
    task.sink.abort()
    result = task.attempt(RECORDS)
    assert task.checkpoint.records == 800
    assert [file["records"] for file in result["files"]] == [400, 400, 200]


def test_a_try_that_goes_on_keeps_the_header_of_the_one_before(faults: Faults, place: Place) -> None:
    records = [{"b": 1, "a": 2}] * 4 + [{"a": 3}] * 4
    task = FileTask(place.url, file_format="csv", max_records_per_file=4)
    task.open()
    task.sink.write(records[:4])
    task.sink.abort()
    task.attempt(records)
    assert task.checkpoint.records == 4
    assert place.get("part-00001.csv") == b"b,a\r\n" + b",3\r\n" * 4


def test_a_try_that_goes_on_putting_parts_in_place_asks_for_no_record(faults: Faults, place: Place) -> None:
    _, steps = undisturbed(faults, FileTask(place.url, **FOLDER))
    at = next(at for at, step in enumerate(steps) if step.startswith("before move part-00001"))
    task = FileTask(place.url, **FOLDER)
    place.empty()
    with faults.failing(at, no_space), pytest.raises(TransientError, match="A retry completes it"):
        task.attempt(RECORDS)
    assert set(place.files()) & {f"part-0000{n}.jsonl.gz" for n in range(3)} == {"part-00000.jsonl.gz"}
    result = task.attempt([])
    assert [file["records"] for file in result["files"]] == [400, 400, 200]
    assert len(place.files()) == 3


@pytest.mark.parametrize("lost", ["a part", "all", "a part of a part"])
def test_a_try_starts_over_where_the_parts_of_the_former_one_are_gone(
    faults: Faults, place: Place, lost: str, caplog: pytest.LogCaptureFixture
) -> None:
    expected = FileTask(place.url, **FOLDER).attempt(RECORDS)
    task = FileTask(place.url, **FOLDER)
    with faults.failing(at_close_of_part(faults, place, 2), no_space), pytest.raises(TransientError):
        task.attempt(RECORDS)
    kept = place.files()
    if lost == "all":
        kept = {name: content for name, content in kept.items() if not name.startswith("_incomplete")}
    else:
        (name,) = (name for name in kept if name.startswith("_incomplete/part-00001") and name.endswith(".gz"))
        kept = {**kept, name: b""} if lost == "a part of a part" else {n: kept[n] for n in kept if n != name}
    furnish(place, kept)
    assert task.attempt(RECORDS)["files"] == expected["files"]
    assert task.checkpoint.resumed is None
    assert "starts over" in caplog.text


def test_a_process_that_was_given_up_does_not_spoil_the_result_of_the_next_try(tmp_path: Path) -> None:
    place = local_place(f"{tmp_path}/orders")
    tmp_path.joinpath("orders").mkdir()
    given_up = FileTask(place.url, **FOLDER)
    given_up.open()
    given_up.sink.write(RECORDS[:450])
    task = FileTask(place.url, **FOLDER)
    task.kept, task.number = given_up.kept, 1
    task.attempt(RECORDS)
    result = place.files()
    with pytest.raises(TransientError):
        given_up.sink.write(RECORDS[450:])
    given_up.sink.abort()
    assert place.files() == result


def test_of_two_tasks_with_one_destination_one_fails_and_no_file_is_half_of_each(place: Place) -> None:
    one, other = (FileTask(place.url, task_id=name, max_records_per_file=400) for name in ("one", "other"))
    one.open()
    one.sink.write([{"id": 1}] * 500)
    other.open()
    other.sink.write([{"id": 2}] * 500)
    with pytest.raises(TransientError, match="Does another task write there"):
        one.sink.finish({"pages": 1, "seconds": 1})
    one.sink.abort()
    other.sink.finish({"pages": 1, "seconds": 1})
    assert place.files() == {f"part-0000{n}.jsonl": b'{"id":2}\n' * count for n, count in ((0, 400), (1, 100))}


def test_an_error_in_a_record_leaves_nothing_either(place: Place) -> None:
    furnish(place, FORMER)
    records: list[Any] = [*RECORDS, {"id": "a surrogate: \ud800"}]
    with pytest.raises(SettingsError, match="record 1,001 cannot be written"):
        FileTask(place.url, keeps=False, **FOLDER).attempt(records)
    assert place.files() == FORMER
