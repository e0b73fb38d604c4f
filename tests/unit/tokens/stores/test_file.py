from __future__ import annotations

import fcntl
import os
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from airflow_oauth_provider.tokens.stores.base import LEASE_S, MAX_ENTRY_BYTES, Counts, Entry
from airflow_oauth_provider.tokens.stores.file import FileStore
from tests.support.clock import Clock

HEADER = b"OAUTH2\x00\x01"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "oauth2_tokens" / "1000"


@pytest.fixture
def store(folder: Path) -> FileStore:
    folder.mkdir(parents=True)
    return FileStore(folder)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_folder_and_files_are_for_their_owner_alone(folder: Path) -> None:
    before = os.umask(0)
    try:
        store = FileStore(folder)
        store.write("name", b"sealed", expected=None, ttl_s=60)
        lease = store.try_lease("name")
    finally:
        os.umask(before)
    assert lease is not None
    assert mode(folder) == 0o700
    assert {mode(path) for path in folder.iterdir()} == {0o600}


def test_who_only_looks_makes_no_folder_in_somebody_elses(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uid = os.geteuid()
    with monkeypatch.context() as patched:
        patched.setattr(os, "geteuid", lambda: uid + 1)
        store = FileStore(folder)
    assert (store.read("name"), store.counts("name")) == (Entry(), Counts(0, 0))
    assert not folder.parent.exists()
    assert store.write("name", b"sealed", expected=0, ttl_s=60)
    assert store.read("name") == Entry(1, b"sealed")


def test_a_folder_that_cannot_be_made_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Not a directory"):
        FileStore(tmp_path / "file" / "oauth2_tokens" / "1000")


def test_a_folder_of_ours_that_others_may_read_is_closed(folder: Path) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    FileStore(folder)
    assert mode(folder) == 0o700


def test_a_folder_of_somebody_else_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(parents=True)
    uid = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    with pytest.raises(PermissionError, match="belongs to user"):
        FileStore(folder)


@pytest.mark.parametrize("plant", [lambda path: path.symlink_to("/tmp"), lambda path: path.write_text("x")])
def test_a_link_or_a_file_in_place_of_the_folder_is_refused(folder: Path, plant: Callable[[Path], object]) -> None:
    folder.parent.mkdir(parents=True)
    plant(folder)
    with pytest.raises(PermissionError, match="not a folder that belongs to user"):
        FileStore(folder)


def test_a_folder_that_cannot_be_written_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(PermissionError, match="not writable"):
        FileStore(folder)


def test_entries_survive_the_process_and_each_write_has_the_next_generation(folder: Path) -> None:
    assert FileStore(folder).read("name") == Entry(0, None)
    assert FileStore(folder).write("name", b"one", expected=0, ttl_s=60)
    assert FileStore(folder).write("name", b"two", expected=1, ttl_s=60)
    assert FileStore(folder).read("name") == Entry(2, b"two")
    assert FileStore(folder).read("other") == Entry()


def test_a_write_on_another_generation_is_refused(store: FileStore) -> None:
    store.write("name", b"one", expected=None, ttl_s=60)
    assert not store.write("name", b"late", expected=0, ttl_s=60)
    assert store.read("name") == Entry(1, b"one")


def test_a_tombstone_keeps_the_generation(store: FileStore) -> None:
    store.write("name", b"one", expected=0, ttl_s=60)
    assert store.write("name", None, expected=1, ttl_s=60)
    assert store.read("name") == Entry(2, None)


@pytest.mark.statement(56)
@pytest.mark.parametrize(
    "content",
    [
        b"", b"garbage", HEADER, HEADER + b"\0" * 7, b"OAUTH2\x00\x02" + b"\0" * 8 + b"sealed",
        HEADER + b"\xff" * 8 + b"sealed", HEADER + b"\0" * 8 + b"x" * (MAX_ENTRY_BYTES + 1), b"\0" * 10_000_000,
    ],
)  # fmt: skip
def test_a_file_in_another_format_is_a_miss_and_is_replaced(store: FileStore, folder: Path, content: bytes) -> None:
    (folder / "name.entry").write_bytes(content)
    assert store.read("name") == Entry()
    assert store.write("name", b"sealed", expected=0, ttl_s=60)
    assert store.read("name") == Entry(1, b"sealed")


@pytest.mark.statement(56)
def test_a_file_of_another_owner_is_a_miss(store: FileStore, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("name", b"sealed", expected=0, ttl_s=60)
    uid = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    assert store.read("name") == Entry()


@pytest.mark.statement(56)
@pytest.mark.parametrize("full", [False, True])
def test_a_directory_in_place_of_an_entry_is_a_miss_and_is_put_aside(
    store: FileStore, folder: Path, full: bool
) -> None:
    planted = folder / "name.entry"
    planted.mkdir()
    if full:
        (planted / "file").touch()
    assert store.read("name") == Entry()
    assert store.write("name", b"sealed", expected=0, ttl_s=60)
    assert store.read("name") == Entry(1, b"sealed")


@pytest.mark.statement(56)
def test_a_planted_link_is_not_followed(store: FileStore, folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(HEADER + (7).to_bytes(8, "big") + b"theirs")
    (folder / "name.entry").symlink_to(target)
    assert store.read("name") == Entry()
    assert store.write("name", b"sealed", expected=0, ttl_s=60)
    assert target.read_bytes().endswith(b"theirs")
    assert store.read("name").sealed == b"sealed"


@pytest.mark.statement(56)
def test_a_planted_fifo_hangs_nobody(store: FileStore, folder: Path) -> None:
    os.mkfifo(folder / "name.entry")
    assert store.read("name") == Entry()


def test_a_write_replaces_the_file_as_a_whole(store: FileStore, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("name", b"one", expected=0, ttl_s=60)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        store.write("name", b"two", expected=1, ttl_s=60)
    assert store.read("name") == Entry(1, b"one")
    assert not list(folder.glob("new-*"))


def test_a_writer_that_does_not_get_the_short_lock_gives_up(
    store: FileStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_oauth_provider.tokens.stores.file._LOCK_TIMEOUT_S", 0.05)
    with FileLock(folder / "store.lock"), pytest.raises(TimeoutError):
        store.write("name", b"x", expected=None, ttl_s=60)


def test_a_lease_is_held_by_one_at_a_time(store: FileStore, folder: Path) -> None:
    lease = store.try_lease("name")
    assert lease is not None
    assert FileStore(folder).try_lease("name") is None
    assert FileStore(folder).try_lease("other") is not None
    lease.release()
    assert FileStore(folder).try_lease("name") is not None


@pytest.mark.statement(57)
def test_a_lease_that_should_have_ended_is_taken_over_and_its_old_holder_changes_nothing(
    store: FileStore, folder: Path, clock: Clock
) -> None:
    stopped = store.try_lease("name")
    assert stopped is not None
    clock.advance(LEASE_S - 1)
    assert FileStore(folder).try_lease("name") is None
    clock.advance(2)
    # The new lease is stamped by the kernel's clock, which the test cannot set.
    taken = FileStore(folder).try_lease("name")
    assert taken is not None
    os.utime(folder / "name.lease", (clock.time(), clock.time()))
    stopped.release()
    assert FileStore(folder).try_lease("name") is None


def test_a_lease_that_was_stamped_just_now_is_not_taken_over(
    store: FileStore, folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "name.lease"
    lease = store.try_lease("name")
    assert lease is not None
    clock.advance(LEASE_S + 1)
    monkeypatch.setattr(time, "sleep", lambda _: os.utime(path, (clock.time(), clock.time())))
    assert FileStore(folder).try_lease("name") is None


def test_a_lease_whose_file_vanished_is_not_taken_over_by_mistake(store: FileStore, folder: Path) -> None:
    assert store._end_overdue_lease(folder / "missing.lease") is False


def test_files_whose_end_is_a_day_past_are_swept_once_an_hour(store: FileStore, folder: Path, clock: Clock) -> None:
    store.write("short", b"x", expected=None, ttl_s=60)
    store.write("long", b"x", expected=None, ttl_s=10 * 86_400)
    clock.advance(86_400 - 60)
    store.write("other", b"x", expected=None, ttl_s=86_400)
    assert (folder / "short.entry").exists()
    clock.advance(3700)
    store.write("other", b"y", expected=None, ttl_s=86_400)
    assert not (folder / "short.entry").exists()
    assert (folder / "long.entry").exists()
    assert (folder / "store.lock").exists()


def test_nobody_waits_for_who_holds_a_count_and_was_stopped(store: FileStore, folder: Path) -> None:
    store.count("name", made=1)
    with (folder / "name.count").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            store.count("name", made=1)
        assert store.counts("name") == Counts(1, 0)
    store.count("name", made=1)
    assert store.counts("name") == Counts(2, 0)


def test_counts_outlive_a_month_between_two_runs(store: FileStore, folder: Path, clock: Clock) -> None:
    store.count("name", made=1)
    for seconds in (15 * 86_400, 14 * 86_400):
        clock.advance(seconds)
        store.write("other", b"x", expected=None, ttl_s=60)
    assert store.counts("name") == Counts(1, 0)
    store.count("name", saved=1)
    clock.advance(29 * 86_400)
    store.write("other", b"x", expected=None, ttl_s=60)
    assert store.counts("name") == Counts(1, 1)
    clock.advance(2 * 86_400)
    store.write("other", b"x", expected=None, ttl_s=60)
    assert not (folder / "name.count").exists()


def test_sweeping_keeps_no_task_waiting(
    store: FileStore, folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_oauth_provider.tokens.stores.file._SWEEP_TIME_S", -1.0)
    store.write("old", b"x", expected=None, ttl_s=0)
    clock.advance(2 * 86_400)
    store.write("name", b"x", expected=None, ttl_s=60)
    assert (folder / "old.entry").exists()
    assert not (folder / "swept").exists()


def test_a_folder_that_vanished_is_made_anew_for_its_owner_alone(store: FileStore, folder: Path) -> None:
    shutil.rmtree(folder)
    assert store.read("name") == Entry()
    assert store.write("name", b"sealed", expected=0, ttl_s=60)
    assert store.read("name") == Entry(1, b"sealed")
    assert mode(folder) == 0o700


def test_it_says_where_it_is(store: FileStore, folder: Path) -> None:
    assert store.describe() == f"file://{folder}"


def test_the_stores_own_key_is_one_for_all_and_for_its_owner_alone(store: FileStore, folder: Path) -> None:
    key = store.own_key()
    assert len(key) == 32
    assert FileStore(folder).own_key() == key
    assert mode(folder / "store.key") == 0o600


def test_the_stores_own_key_outlives_what_is_swept_away(store: FileStore, folder: Path) -> None:
    key = store.own_key()
    ended = time.time() - 10 * 86_400
    os.utime(folder / "store.key", (ended, ended))
    store.write("name", b"sealed", expected=None, ttl_s=60)
    assert (folder / "swept").exists()
    assert store.own_key() == key


@pytest.mark.parametrize("damage", ["short", "long", "readable by others", "link", "folder"])
def test_a_key_that_may_be_somebody_elses_is_replaced(store: FileStore, folder: Path, damage: str) -> None:
    path, key = folder / "store.key", store.own_key()
    if damage == "readable by others":
        path.chmod(0o644)
    else:
        path.unlink()
        planted = folder.parent / "planted"
        planted.write_bytes(b"p" * 32)
        planted.chmod(0o600)
        plant: dict[str, Callable[[], object]] = {
            "short": lambda: path.write_bytes(b"p" * 31),
            "long": lambda: path.write_bytes(b"p" * 33),
            "link": lambda: path.symlink_to(planted),
            "folder": path.mkdir,
        }
        plant[damage]()
    replaced = store.own_key()
    assert replaced not in (key, b"p" * 32)
    assert store.own_key() == replaced
