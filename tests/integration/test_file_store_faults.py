"""Disks that are full or read-only, folders of somebody else, thousands of stale files: tasks only lose sharing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.support import long_tasks, worker
from tests.support.damage import NOBODY
from tests.support.patience import LIMIT_S
from tests.support.processes import Nursery, Outcome, end_all, wait_until
from tests.support.redis_server import RedisServer
from tests.support.servers import OAuthServer

Environment = Callable[..., dict[str, str]]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="not applicable: only root can mount, and become somebody else")

LONG_AGO = (1_000_000_000, 1_000_000_000)


@contextmanager
def disk(folder: Path, options: str) -> Iterator[None]:
    """Mount a small disk at *folder*; the test is skipped where root may not do that."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"not applicable: no disk can be mounted here ({mounted.stderr.strip()})")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def make_read_only(folder: Path) -> None:
    """Do it as soon as no file of the disk is open for writing: until then it is busy."""
    command = ["mount", "-o", "remount,ro", str(folder)]
    wait_until(lambda: subprocess.run(command, capture_output=True, check=False).returncode == 0)


def fill(folder: Path) -> Path:
    """Leave not a byte on the disk of *folder*; return the file that takes its place."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(4096))
            except OSError:
                return ballast


@as_root
def test_a_full_disk_costs_sharing_and_no_task_and_all_share_again_when_there_is_room(
    nursery: Nursery, server: OAuthServer, environment: Environment, tmp_path: Path
) -> None:
    store = tmp_path / "oauth2_tokens"
    with disk(store, "size=256k,mode=0755"):
        nursery.run(1, worker.get_token, environment(scope="before"))
        ballast = fill(store)
        crowded = nursery.run(6, worker.call, environment(), calls=3)
        left_behind = list((store / str(os.geteuid())).glob("new-*"))
        made = len(server.token_requests)
        ballast.unlink()
        later = nursery.run(6, worker.call, environment(), calls=3)

    assert [outcome.value for outcome in (*crowded, *later)] == [[200] * 3] * 12
    assert all(any("does not work" in line for line in outcome.log) for outcome in crowded)
    assert left_behind == []
    assert 2 <= made <= 7
    assert len(server.token_requests) == made + 1
    assert [line for outcome in later for line in outcome.log if line.startswith("WARNING")] == []


@as_root
def test_a_disk_without_a_single_file_left_is_replaced_by_the_temporary_folder(
    nursery: Nursery, server: OAuthServer, environment: Environment, tmp_path: Path
) -> None:
    store = tmp_path / "oauth2_tokens"
    with disk(store, "nr_inodes=1,mode=0755"):
        outcomes = nursery.run(6, worker.call, environment(), calls=3)
        kept = list(store.iterdir())

    assert [outcome.value for outcome in outcomes] == [[200] * 3] * 6
    assert kept == []
    assert len(server.token_requests) == 1
    assert all(sum("cannot be kept in" in line for line in outcome.log) == 1 for outcome in outcomes)


@as_root
def test_a_read_only_disk_is_replaced_by_the_temporary_folder(
    nursery: Nursery, server: OAuthServer, environment: Environment, tmp_path: Path
) -> None:
    """Root may write everywhere but here."""
    store = tmp_path / "oauth2_tokens"
    with disk(store, "mode=0755"):
        nursery.run(1, worker.get_token, environment(scope="before"))
        make_read_only(store)
        outcomes = nursery.run(6, worker.call, environment())

    assert [outcome.value for outcome in outcomes] == [[200]] * 6
    assert all(sum("cannot be kept in" in line for line in outcome.log) == 1 for outcome in outcomes)
    assert len(server.token_requests) == 2
    assert list((tmp_path / "tmp" / f"airflow-oauth2-{os.geteuid()}").glob("*.token.entry"))


@as_root
def test_a_disk_that_becomes_read_only_under_running_tasks_costs_sharing_and_no_task(
    nursery: Nursery, server: OAuthServer, environment: Environment, tmp_path: Path
) -> None:
    """They opened the store when it could be written; tokens of two seconds make each of them need it again."""
    server.lifetime_s, stop = 2.0, tmp_path / "stop"
    store = tmp_path / "oauth2_tokens"
    with disk(store, "mode=0755"):
        arguments = {"stop": str(stop), "pause_s": 0.1}
        running = [nursery.start(long_tasks.call_until, environment(), **arguments) for _ in range(4)]
        try:
            for process in running:
                process.go()
            wait_until(partial(all_call_without, set(), server), within_s=120)
            make_read_only(store)
            # In pieces: what is on its way may still have been granted before.
            for _ in range(2):
                wait_until(partial(all_call_without, set(server.tokens), server), within_s=120)
            stop.touch()
            outcomes = [process.result() for process in running]
        finally:
            end_all(running)

    assert [outcome.message for outcome in outcomes if outcome.error] == []
    assert [error for outcome in outcomes for error in outcome.value["errors"]] == []
    assert server.ended_calls == 0
    assert all(any("does not work" in line for line in outcome.log) for outcome in outcomes)


def all_call_without(tokens: set[str], server: OAuthServer) -> bool:
    """Whether all four processes have called with another token than these."""
    calls = ((seen.path, seen.headers["authorization"].removeprefix("Bearer ")) for seen in server.api_requests)
    return len({path for path, token in calls if token not in tokens}) == 4


@as_root
def test_a_store_that_belongs_to_another_user_is_neither_used_nor_changed(
    nursery: Nursery, server: OAuthServer, environment: Environment, tmp_path: Path
) -> None:
    planted = tmp_path / "oauth2_tokens" / str(os.geteuid())
    planted.mkdir(parents=True, mode=0o777)
    os.chown(planted, NOBODY, NOBODY)
    before = planted.lstat()

    outcomes = nursery.run(6, worker.call, environment())

    assert [outcome.value for outcome in outcomes] == [[200]] * 6
    assert list(planted.iterdir()) == []
    assert (planted.lstat().st_uid, planted.lstat().st_mode) == (before.st_uid, before.st_mode)
    assert all(any("belongs to" in line for line in outcome.log) for outcome in outcomes)
    assert len(server.token_requests) == 1


@as_root
@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_run_as_user_shares_among_its_own_tasks_and_never_sees_the_other_users_store(
    nursery: Nursery, server: OAuthServer, environment: Environment, tmp_path: Path, mode: int
) -> None:
    """``sudo -E -H`` leaves AIRFLOW_HOME as it is, and that may be closed to the task's user."""
    home = tmp_path / "home"
    home.mkdir(mode=mode)
    outside = tmp_path / "tmp"
    outside.mkdir()
    outside.chmod(0o1777)
    for parent in (tmp_path, *tmp_path.parents[:-2]):
        parent.chmod(parent.stat().st_mode | 0o055)
    surroundings = environment() | {"AIRFLOW_HOME": str(home)}

    ours = nursery.run(4, worker.get_token, surroundings)
    theirs = nursery.run(4, worker.get_token, surroundings, user=NOBODY)

    assert [outcome.error for outcome in (*ours, *theirs)] == [None] * 8
    tokens = {outcome.value for outcome in ours}, {outcome.value for outcome in theirs}
    assert len(tokens[0]) == len(tokens[1]) == 1
    assert tokens[0] != tokens[1]
    assert len(server.token_requests) == 2
    assert (home / "oauth2_tokens" / str(os.geteuid())).lstat().st_mode & 0o777 == 0o700
    assert (outside / f"airflow-oauth2-{NOBODY}").lstat().st_uid == NOBODY


@as_root
def test_run_as_user_shares_the_token_of_all_others_by_way_of_redis(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    with RedisServer() as redis:
        surroundings = environment() | {"AIRFLOW__OAUTH2__TOKEN_STORE": redis.url}
        ours = nursery.run(4, worker.get_token, surroundings)
        theirs = nursery.run(4, worker.get_token, surroundings, user=NOBODY)

    assert len({outcome.value for outcome in (*ours, *theirs)}) == 1
    assert len(server.token_requests) == 1


def test_ten_thousand_stale_files_are_cleaned_and_keep_no_task_waiting(
    nursery: Nursery, server: OAuthServer, environment: Environment, tmp_path: Path
) -> None:
    """Of a year of secrets and scopes that are used no more; a write sweeps for half a second at most."""
    nursery.run(1, worker.get_token, environment())
    store = tmp_path / "oauth2_tokens" / str(os.geteuid())
    (store / "swept").unlink()
    living = {file.name for file in store.iterdir()}
    kinds = ("token.entry", "failure.entry", "lease", "count")
    for number in range(10_000):
        stale = store / f"{number:064x}.{kinds[number % len(kinds)]}"
        stale.touch()
        os.utime(stale, LONG_AGO)

    outcomes: list[Outcome] = []
    while len(list(store.iterdir())) > 100 and len(outcomes) < 60:
        outcomes += nursery.run(1, worker.get_token, environment(scope=f"new-{len(outcomes)}"))
    again = nursery.run(2, worker.get_token, environment())

    left = {file.name for file in store.iterdir()}
    assert [name for name in left if name.startswith("0000")] == []
    assert living <= left
    assert [outcome.error for outcome in (*outcomes, *again)] == [None] * (len(outcomes) + 2)
    assert max(outcome.seconds for outcome in outcomes) < LIMIT_S - 5
    assert len(server.token_requests) == 1 + len(outcomes)
