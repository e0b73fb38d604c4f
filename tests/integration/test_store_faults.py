"""A store that is damaged, full, closed, slow or used by processes whose clocks differ: tasks only lose sharing."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import CLIENT_ID, CLIENT_SECRET
from tests.support import damage, long_tasks, worker
from tests.support.damage import NOBODY
from tests.support.patience import LIMIT_S, OWN_LIMITS
from tests.support.processes import Nursery, wait_until
from tests.support.raw import encodings, found_in
from tests.support.servers import OAuthServer, Reply

if TYPE_CHECKING:
    from pathlib import Path

Environment = Callable[..., dict[str, str]]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="not applicable: only root can give files away")


def folder_of(tmp_path: Path, user: int | None = None) -> Path:
    return tmp_path / "oauth2_tokens" / str(os.geteuid() if user is None else user)


def token_entry(tmp_path: Path) -> Path:
    (entry,) = folder_of(tmp_path).glob("*.token.entry")
    return entry


@pytest.mark.statement(56)
@pytest.mark.parametrize(
    "spoil",
    [
        damage.truncate,
        damage.empty,
        damage.cut_the_header,
        damage.flip_a_bit,
        damage.garbage,
        damage.text,
        damage.other_version,
        damage.huge_generation,
        damage.oversize,
        damage.folder,
        damage.full_folder,
        damage.fifo,
        damage.symlink,
        damage.endless_symlink,
        pytest.param(damage.wrong_owner, marks=as_root),
    ],
    ids=lambda spoil: spoil.__name__,
)
def test_a_wrong_file_in_place_of_the_entry_is_a_miss_and_is_replaced(
    nursery: Nursery,
    server: OAuthServer,
    environment: Environment,
    tmp_path: Path,
    spoil: Callable[[Path], None],
) -> None:
    (first,) = nursery.run(1, worker.get_token, environment())
    spoil(token_entry(tmp_path))

    outcomes = nursery.run(4, worker.call, environment())
    (later,) = nursery.run(1, worker.get_token, environment())

    assert [outcome.value for outcome in outcomes] == [[200]] * 4
    assert max(outcome.seconds for outcome in outcomes) < LIMIT_S - 5, "nothing hangs until it is given up"
    assert later.value != first.value
    # One for the damaged one, shared by all again.
    assert len(server.token_requests) == 2
    assert stat.S_ISREG(token_entry(tmp_path).lstat().st_mode)


@pytest.mark.statement(51)
def test_an_entry_of_another_client_under_our_name_is_a_miss(
    nursery: Nursery, server: OAuthServer, environment: Environment, tmp_path: Path
) -> None:
    nursery.run(1, worker.get_token, environment())
    ours = token_entry(tmp_path)
    nursery.run(1, worker.get_token, environment(login="another-client"))
    (other,) = set(folder_of(tmp_path).glob("*.token.entry")) - {ours}
    shutil.copyfile(other, ours)

    (outcome,) = nursery.run(1, worker.call, environment())

    assert outcome.value == [200]
    assert len(server.token_requests) == 3


def test_an_entry_of_another_scope_of_the_same_client_under_our_name_is_a_miss(
    nursery: Nursery, server: OAuthServer, environment: Environment, tmp_path: Path
) -> None:
    """The key of the seal is the same, only the name under which it was sealed differs."""
    nursery.run(1, worker.get_token, environment())
    ours = token_entry(tmp_path)
    (wide,) = nursery.run(1, worker.get_token, environment(scope="admin"))
    (other,) = set(folder_of(tmp_path).glob("*.token.entry")) - {ours}
    shutil.copyfile(other, ours)

    (outcome,) = nursery.run(1, worker.get_token, environment())

    assert outcome.value != wide.value
    assert len(server.token_requests) == 3


def test_the_store_is_private_and_holds_nothing_in_clear(
    nursery: Nursery, server: OAuthServer, environment: Environment, tmp_path: Path
) -> None:
    server.token_reply = lambda seen: Reply(401) if ("scope", "no") in seen.form else server.issue()
    nursery.run(2, worker.call, environment())
    nursery.run(1, worker.call, environment(scope="no"))

    store = folder_of(tmp_path)
    assert stat.S_IMODE(store.lstat().st_mode) == 0o700
    files = [file for file in store.iterdir() if file.is_file()]
    assert len([file for file in files if file.suffix == ".entry"]) >= 2
    assert {stat.S_IMODE(file.lstat().st_mode) for file in files} == {0o600}
    content = b"".join(file.read_bytes() for file in files).decode("latin-1") + " ".join(map(str, files))
    secrets = {
        *encodings(CLIENT_ID, CLIENT_SECRET),
        *server.tokens,
        CLIENT_ID,
        "access_token",
        "invalid_client",
        "Bearer",
    }
    assert found_in(content, secrets) == []


def test_a_folder_that_others_may_read_is_closed(nursery: Nursery, environment: Environment, tmp_path: Path) -> None:
    store = folder_of(tmp_path)
    store.mkdir(parents=True)
    store.chmod(0o755)

    nursery.run(1, worker.get_token, environment())

    assert stat.S_IMODE(store.lstat().st_mode) == 0o700


@as_root
def test_a_read_only_folder_is_replaced_by_one_for_temporary_files(
    nursery: Nursery, server: OAuthServer, environment: Environment, tmp_path: Path
) -> None:
    open_to_nobody(tmp_path)
    store = folder_of(tmp_path, NOBODY)
    store.mkdir(parents=True)
    os.chown(store, NOBODY, NOBODY)
    store.chmod(0o500)

    outcomes = nursery.run(6, worker.call, environment(), user=NOBODY)

    assert [outcome.value for outcome in outcomes] == [[200]] * 6, outcomes[0].message
    assert len(server.token_requests) == 1
    assert list(store.iterdir()) == []
    other = tmp_path / "tmp" / f"airflow-oauth2-{NOBODY}"
    assert stat.S_IMODE(other.lstat().st_mode) == 0o700
    assert all(sum("cannot be kept in" in line for line in outcome.log) == 1 for outcome in outcomes)


def test_a_file_where_the_folders_should_be_leaves_memory_and_is_said_once(
    nursery: Nursery, server: OAuthServer, environment: Environment, tmp_path: Path
) -> None:
    (tmp_path / "oauth2_tokens").write_text("a file")
    changed = environment() | {"TMPDIR": str(tmp_path)}
    (tmp_path / f"airflow-oauth2-{os.geteuid()}").write_text("a file")

    outcomes = nursery.run(3, worker.call, changed, calls=3)

    assert [outcome.value for outcome in outcomes] == [[200] * 3] * 3
    assert len(server.token_requests) == 3
    assert all(sum("shares its tokens with no other" in line for line in outcome.log) == 1 for outcome in outcomes)


@as_root
def test_a_folder_for_temporary_files_that_belongs_to_somebody_else_is_not_used(
    nursery: Nursery, environment: Environment, tmp_path: Path
) -> None:
    planted = tmp_path / "tmp" / f"airflow-oauth2-{os.geteuid()}"
    planted.mkdir(parents=True)
    os.chown(planted, NOBODY, NOBODY)
    (tmp_path / "oauth2_tokens").write_text("a file")

    (outcome,) = nursery.run(1, worker.call, environment())

    assert outcome.value == [200]
    assert list(planted.iterdir()) == []


def test_a_full_disk_costs_sharing_and_no_task(
    nursery: Nursery, server: OAuthServer, environment: Environment, tmp_path: Path
) -> None:
    outcomes = nursery.run(4, worker.call, environment(), calls=3, no_space=True)

    assert [outcome.value for outcome in outcomes] == [[200] * 3] * 4
    assert len(server.token_requests) <= 4
    assert all(any("does not work" in line for line in outcome.log) for outcome in outcomes)
    assert list(folder_of(tmp_path).glob("new-*")) == []


def test_a_process_that_could_not_write_does_not_keep_the_lease(
    nursery: Nursery, server: OAuthServer, environment: Environment, tmp_path: Path
) -> None:
    """It lives on, as a long task does, until the others that come meanwhile are done."""
    stop = tmp_path / "stop"
    living = nursery.start(long_tasks.call_until, environment(), stop=str(stop), pause_s=0.05, no_space=True)
    try:
        living.go()
        wait_until(lambda: server.api_requests)
        others = nursery.run(4, worker.call, environment())
        stop.touch()
        outcome = living.result()
    finally:
        living.end()

    assert outcome.error is None
    assert outcome.value["errors"] == []
    assert [other.value for other in others] == [[200]] * 4
    assert max(other.seconds for other in others) < 60, "a lease lives for a hundred seconds"
    assert len(server.token_requests) == 2


@pytest.mark.parametrize("operation", ["read", "write", "try_lease"])
def test_a_store_that_hangs_is_given_up_after_two_seconds(
    nursery: Nursery, server: OAuthServer, environment: Environment, operation: str
) -> None:
    outcomes = nursery.run(2, worker.call, environment() | OWN_LIMITS, calls=3, hanging_store=operation)

    assert [outcome.value for outcome in outcomes] == [[200] * 3] * 2
    # Where only writing hangs, the one that comes second waits for the first one to give up.
    assert max(outcome.seconds for outcome in outcomes) < 25
    assert all(sum("does not work" in line for line in outcome.log) == 1 for outcome in outcomes)
    assert len(server.token_requests) == 2


def test_the_hourly_sweep_takes_ended_entries_and_leaves_the_lock_alone(
    nursery: Nursery, environment: Environment, tmp_path: Path
) -> None:
    """Were the lock's file taken away, two processes could hold the lock at one time."""
    nursery.run(1, worker.get_token, environment())
    store = folder_of(tmp_path)
    lock, ended = store / "store.lock", token_entry(tmp_path)
    inode = lock.stat().st_ino
    for file in store.iterdir():
        os.utime(file, (1_000_000_000, 1_000_000_000))

    (outcome,) = nursery.run(1, worker.get_token, environment(scope="write"))

    assert outcome.error is None
    assert not ended.exists()
    assert lock.stat().st_ino == inode


def open_to_nobody(folder: Path) -> None:
    """Let every user pass through the folders that pytest made for its own."""
    (folder / "tmp").mkdir(exist_ok=True)
    for path in (folder, *folder.parents):
        if path.stat().st_mode & 0o005 != 0o005 and len(path.parts) > 2:
            path.chmod(0o755)
    folder.chmod(0o777)
    (folder / "tmp").chmod(0o777)
