"""Stores, and where the parts of a result stand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]

from airflow_oauth_provider.exceptions import OAuth2Error, SettingsError, TransientError
from airflow_oauth_provider.transfers.files.staging import Part, Staging
from airflow_oauth_provider.transfers.files.store import Store
from tests.support.damage import NOBODY
from tests.support.file_tasks import Place, attach, local_place, memory_place

KEY = "a1"


@pytest.fixture(params=["local", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return local_place(str(tmp_path)) if request.param == "local" else memory_place("bucket/lake")


def staging(url: str, extension: str = ".jsonl", attempt: int = 1) -> Staging:
    return Staging(Store(url, None), extension, attempt, KEY)


def part(here: Staging, number: int, content: bytes = b"{}\n") -> Part:
    """Write a part and say that it is whole."""
    with here.open(number) as handle:
        handle.write(content)
    return here.seal(number, None, {"records": 1, "bytes": len(content), "sha256": "00"})


@contextmanager
def without_rights(path: Path) -> Iterator[None]:
    """Be somebody who may read that folder and not write to it."""
    path.chmod(0o555)
    for parent in path.parents:
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        path.chmod(0o755)


# The destination ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("orders/", "neither a URL nor an absolute path"),
        ("./orders.csv", "neither a URL nor an absolute path"),
        ("~/orders/", "neither a URL nor an absolute path"),
        ("nope://bucket/orders/", "Correct scheme or connection, or install the provider package of this store"),
        ("memory://orders.jsonl", "name the folder or the bucket of the file"),
        ("/orders.jsonl", "name the folder or the bucket of the file"),
    ],
)
def test_a_destination_that_is_none_is_an_error_that_says_so(url: str, why: str) -> None:
    memory_place("anything")
    with pytest.raises(SettingsError, match="destination") as caught:
        Store(url, None)
    assert why in str(caught.value)


def test_a_password_in_a_destination_is_refused_and_not_shown() -> None:
    with pytest.raises(SettingsError, match="the id of a connection, no user and password") as caught:
        Store("sftp://someone:made-up-password@files.example.com/orders/", None)
    assert "made-up-password" not in str(caught.value)


def test_the_connection_of_a_store_comes_from_the_parameter_or_from_the_url(place: Place) -> None:
    lake = memory_place("orders", "lake")
    for url, conn_id in (("memory://lake@orders/a.jsonl", None), ("memory://orders/b.jsonl", "lake")):
        here = Staging(Store(url, conn_id), ".jsonl", 1, KEY)
        here.prove()
        assert here.publish([part(here, 0)])[0]["path"] == url
    assert set(lake.files()) == {"a.jsonl", "b.jsonl"}


def test_a_store_that_can_rename_does_so() -> None:
    class Renaming(MemoryFileSystem):  # type: ignore[misc]
        cachable = False

        def mv(self, path1: str, path2: str, **_: Any) -> None:
            self.store[path2] = self.store.pop(path1)

        def cp_file(self, path1: str, path2: str, **_: Any) -> None:
            raise AssertionError("a copy")

    place = memory_place("orders")
    attach("memory", "renames", fs=Renaming())
    here = Staging(Store(place.url, "renames"), ".jsonl", 1, KEY)
    here.prove()
    here.publish([part(here, 0)])
    assert set(place.files()) == {"part-00000.jsonl"}


def test_folders_are_made_but_for_the_topmost(tmp_path: Path) -> None:
    staging(f"{tmp_path}/a/b c/ü/").prove()
    assert (tmp_path / "a/b c/ü/_incomplete").is_dir()
    with pytest.raises(SettingsError, match="/no-such-mount does not exist"):
        staging("/no-such-mount/orders/").prove()
    assert not Path("/no-such-mount").exists()


def test_a_folder_without_rights_is_an_error_that_names_the_destination(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    with without_rights(folder), pytest.raises(SettingsError) as caught:
        staging(f"{folder}/orders/").prove()
    assert f"destination '{folder}/orders/' cannot be used: PermissionError: Permission denied." in str(caught.value)


def test_a_file_is_no_folder_and_a_folder_no_file(tmp_path: Path) -> None:
    (tmp_path / "orders.jsonl").write_text("{}")
    with pytest.raises(SettingsError, match=r"orders.jsonl/' cannot be used: NotADirectoryError"):
        staging(f"{tmp_path}/orders.jsonl/").prove()
    with pytest.raises(SettingsError, match="is a folder: end it with a slash"):
        staging(str(tmp_path)).prove()


def test_what_a_store_says_goes_into_one_line_and_programs_errors_of_ours_pass(tmp_path: Path) -> None:
    store = Store(f"{tmp_path}/", None)
    with pytest.raises(TransientError) as caught, store.working("cannot be read"):
        raise ValueError("first\nsecond " + "x" * 1_000)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    with pytest.raises(OAuth2Error, match="as it is"), store.working("cannot be read"):
        raise OAuth2Error("as it is")


def test_the_trial_leaves_nothing_behind(place: Place) -> None:
    here = staging(place.url)
    here.prove()
    assert place.files() == {}
    here.clean(())
    assert place.folders() == set()


# Parts ----------------------------------------------------------------------------------------------------------------


def test_parts_stand_beside_the_result_under_the_number_of_their_try(place: Place) -> None:
    here = staging(place.url, ".csv.gz", attempt=3)
    here.prove()
    part(here, 7)
    assert set(place.files()) == {
        "_incomplete/part-00007.t3.a1.csv.gz",
        "_incomplete/part-00007.t3.a1.done",
    }
    alone = staging(f"{place.url}a b.csv", ".csv", attempt=1)
    alone.prove()
    part(alone, 0)
    assert "_incomplete-a b.csv/part-00000.t1.a1.csv" in place.files()


def test_a_part_of_json_is_not_mistaken_for_what_is_said_of_it(place: Place) -> None:
    here = staging(place.url, ".json")
    here.prove()
    whole = part(here, 0, b"[]")
    assert here.resume([(1, 1)], publishing=False) == ([whole], None)
    here.publish([whole])
    assert place.files() == {"part-00000.json": b"[]"}


def test_cleaning_leaves_what_is_kept_and_what_is_somebody_elses(place: Place) -> None:
    here = staging(place.url, attempt=2)
    here.prove()
    for name in ("notes.txt", "part-00000.jsonl", "publishing"):
        place.put(f"_incomplete/{name}", b"mine")
    place.put("_incomplete/part-00005.t1.a1.jsonl", b"left by a killed try")
    place.put("_incomplete/part-00005.t1.a1.done", b"{}")
    kept, other = part(here, 0), part(here, 1)
    here.clean([kept], own=True)
    assert other.number == 1
    assert {"part-00005.t1.a1.jsonl", "part-00005.t1.a1.done", "part-00000.t2.a1.jsonl"} <= names(place)
    assert "part-00001.t2.a1.jsonl" not in names(place)
    here.clean([kept])
    assert names(place) == {
        "notes.txt",
        "part-00000.jsonl",
        "publishing",
        "part-00000.t2.a1.jsonl",
        "part-00000.t2.a1.done",
    }


def names(place: Place) -> set[str]:
    return {name.removeprefix("_incomplete/") for name in place.files()}


def test_the_new_parts_take_the_place_of_the_former_ones_whatever_these_were(place: Place) -> None:
    former = ["part-00000.jsonl", "part-00001.jsonl", "part-00002.jsonl.gz", "part-00003.csv.zst", "part-00000.parquet"]
    former += ["part-00004.bin", "part-00005.json", "part-123456.csv"]
    foreign = ["part-00000.txt", "part-0001.csv", "part-00001.csv.bak", "orders.jsonl", "sub/part-00000.jsonl"]
    for name in (*former, *foreign):
        place.put(name, b"former")
    here = staging(place.url)
    here.prove()
    files = here.publish([part(here, 0, b"0"), part(here, 1, b"1")])
    assert files == [
        {"path": f"{place.url}part-0000{n}.jsonl", "records": 1, "bytes": 1, "sha256": "00"} for n in range(2)
    ]
    new = {"part-00000.jsonl": b"0", "part-00001.jsonl": b"1"}
    assert place.files() == {**new, **dict.fromkeys(foreign, b"former")}


def test_a_single_file_touches_no_other(place: Place) -> None:
    for name in ("orders.jsonl", "part-00000.jsonl", "other.jsonl", "_incomplete/part-00000.t1.a1.jsonl"):
        place.put(name, b"former")
    here = staging(f"{place.url}orders.jsonl")
    assert here.existing() == [{"path": f"{place.url}orders.jsonl", "bytes": 6}]
    here.prove()
    here.publish([part(here, 0, b"new")])
    assert place.files() == {
        "orders.jsonl": b"new",
        **dict.fromkeys(("part-00000.jsonl", "other.jsonl", "_incomplete/part-00000.t1.a1.jsonl"), b"former"),
    }


def test_a_result_that_was_only_begun_to_be_put_in_place_is_none(place: Place) -> None:
    place.put("part-00000.jsonl", b"new")
    assert staging(place.url).existing() == [{"path": f"{place.url}part-00000.jsonl", "bytes": 3}]
    place.put("_incomplete/publishing", b"")
    assert staging(place.url).existing() == []


@pytest.mark.parametrize("letters", ["[eu] *?", "{a,b}", "%20 #x?y=z", "ü 😀", "a'b\"c"])
def test_every_letter_of_a_destination_is_a_letter(place: Place, letters: str) -> None:
    here = staging(f"{place.url}{letters}/")
    here.prove()
    files = here.publish([part(here, 0), part(here, 1)])
    assert set(place.files()) == {f"{letters}/part-00000.jsonl", f"{letters}/part-00001.jsonl"}
    assert files[0]["path"] == f"{place.url}{letters}/part-00000.jsonl"


def test_a_part_that_is_gone_when_it_is_to_be_put_in_place_is_an_error(place: Place) -> None:
    here = staging(place.url)
    here.prove()
    missing: Any = Part(1, 1, 1, 1, "00")
    with pytest.raises(FileNotFoundError):
        here.publish([part(here, 0), missing])
