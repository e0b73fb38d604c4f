"""What the processes of a :class:`~tests.support.processes.Nursery` do: functions of plain values."""

from __future__ import annotations

import json
import os
import resource
import threading
import time
from typing import Any

from airflow_oauth_provider.exceptions import PermanentError
from tests.support.servers import BEGAN_AT

CONN_ID = "shop"
# Processes whose clocks differ have one that is right.
right_clock = time.time


def get_token(**surroundings: Any) -> str:
    """Return the fingerprint of the token."""
    return str(surrounded_hook(**surroundings).get_token().fingerprint)


def get_token_where_folders_hang(seconds: float = 30.0) -> float:
    """Return the remaining life of the token, where the store's folder lies on a network that is gone."""
    from pathlib import Path

    Path.mkdir = lambda *_, **__: time.sleep(seconds)  # type: ignore[method-assign]
    return float(hook().get_token().expires_at - time.time())


def call(endpoint: str = "orders", method: str = "GET", calls: int = 1, **surroundings: Any) -> list[int]:
    """Return the statuses of calls, each by a hook of its own, as tasks make them."""
    surrounded_hook(**surroundings)
    return [hook().request(method, endpoint).status_code for _ in range(calls)]


def call_for(seconds: float, pause_s: float, **surroundings: Any) -> dict[str, int]:
    """Call a path of this process again and again for a while; return how many calls there were, how many tokens."""
    surrounded_hook(**surroundings)
    end, calls, tokens = time.monotonic() + seconds, 0, set()
    slowest_s = 0.0
    while time.monotonic() < end:
        began = time.monotonic()
        response = hook().request("GET", f"orders/{os.getpid()}", retry_args=once(), headers=stamped())
        slowest_s = max(slowest_s, time.monotonic() - began)
        tokens.add(response.request.headers["Authorization"])
        calls += 1
        time.sleep(pause_s)
    return {"calls": calls, "tokens": len(tokens), "slowest_ms": round(slowest_s * 1000)}


def threads(number: int, endpoint: str | None = None, **surroundings: Any) -> list[str]:
    """Return the fingerprints that threads of one process get, or the statuses of their calls, or their errors."""
    surrounded_hook(**surroundings)
    barrier = threading.Barrier(number)
    answers: list[str] = []

    def run() -> None:
        barrier.wait()
        try:
            if endpoint is None:
                answers.append(hook().get_token().fingerprint)
            else:
                answers.append(str(hook().request("GET", endpoint).status_code))
        except Exception as error:
            answers.append(f"{type(error).__name__}: {error}")

    running = [threading.Thread(target=run) for _ in range(number)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return answers


def store_token(value: str, lifetime_s: float, left_s: float, **surroundings: Any) -> None:
    """Put a token into the store as a process would have that got it *lifetime_s - left_s* seconds ago."""
    from tests.support.made_up import access_token

    entries = surrounded_hook(**surroundings)._source._entries
    token = access_token(value, lifetime_s=lifetime_s, age_s=lifetime_s - left_s)
    entries.write_token(token, expected=entries.generation())


def store_old_token() -> None:
    """Put one into the store that no server knows, and that is old enough to be renewed when an API refuses it."""
    store_token("made-up-old-token", lifetime_s=3600.0, left_s=3000.0)


def call_after_a_jump_back(jump_s: float, pause_s: float) -> list[int]:
    """Return the statuses of a call before and one after the wall clock was set back."""
    used = hook()
    statuses = [used.request("GET", "before").status_code]
    wall_clock = time.time
    time.time = lambda: wall_clock() - jump_s
    time.sleep(pause_s)  # the token's life is what passes here
    return [*statuses, used.request("GET", "after").status_code]


def call_in_parent_and_child(calls: int) -> dict[str, list[str]]:
    """Return the paths that the server saw, by the parent's and by a forked child's account, of one hook's calls."""
    used = hook()
    used.request("GET", "before")
    reader, writer = os.pipe()
    child = os.fork()
    name = "parent" if child else "child"
    paths = [used.request("GET", f"{name}-{number}").json()["path"] for number in range(calls)]
    if not child:
        os.write(writer, json.dumps(paths).encode())
        os._exit(0)
    os.waitpid(child, 0)
    return {"parent": paths, "child": json.loads(os.read(reader, 65536))}


def fork_while_a_thread_fetches(**surroundings: Any) -> dict[str, Any]:
    """Return how a forked child fares that wants the token which its parent's thread is just fetching."""
    used = surrounded_hook(**surroundings)
    fetching = threading.Thread(target=used.get_token)
    fetching.start()
    while fetching.is_alive() and not used._source._fetching.locked():
        time.sleep(0.01)
    time.sleep(0.5)  # the server is slow: the thread is in its midst
    began, child = time.monotonic(), os.fork()
    if not child:
        got = False
        try:
            got = bool(used.get_token())
        finally:
            os._exit(0 if got else 1)
    _, status = os.waitpid(child, 0)
    seconds = time.monotonic() - began
    fetching.join()
    return {"status": os.waitstatus_to_exitcode(status), "seconds": seconds}


def press_test(**surroundings: Any) -> tuple[bool, str]:
    """Do as the button *Test* of the connection form does."""
    worked, message = surrounded_hook(**surroundings).test_connection()
    return worked, message


def nothing(**surroundings: Any) -> None:
    """Hold still: for what the surroundings alone do."""
    surrounded_hook(**surroundings)


# Surroundings ---------------------------------------------------------------------------------------------------------


def hook() -> Any:
    from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook

    return OAuth2Hook(oauth2_conn_id=CONN_ID)


def stamped() -> dict[str, str]:
    """Return a header for a call that begins now: its token has to live by then."""
    return {BEGAN_AT: str(right_clock())}


def once() -> dict[str, Any]:
    import tenacity

    return {"stop": tenacity.stop_after_attempt(1)}


def surrounded_hook(
    *,
    clock_shift_s: float = 0.0,
    lease_s: float | None = None,
    user: int | None = None,
    no_space: bool = False,
    hanging_store: str | None = None,
    patience_s: float | None = None,
    refresh_s: float | None = None,
    failure_s: float | None = None,
) -> Any:
    """
    Return a hook in surroundings that are not as they should be.

    :param clock_shift_s: how much this process's wall clock is ahead
    :param lease_s: seconds for which a lease lives, in place of the hundred that no test can wait for
    :param user: to become
    :param no_space: nothing more can be written to any file
    :param hanging_store: the operation of the file store that never comes back
    :param patience_s: for which somebody waits whose token still lives, in place of five seconds
    :param refresh_s: that an early refresh may take, in place of five seconds
    :param failure_s: for which what can pass is remembered, in place of five seconds and more
    """
    if clock_shift_s:
        wall_clock = time.time
        time.time = lambda: wall_clock() + clock_shift_s
    if lease_s is not None:
        from airflow_oauth_provider.tokens import source
        from airflow_oauth_provider.tokens.stores import base, file, redis

        for module in (base, file, redis, source):
            module.LEASE_S = lease_s  # type: ignore[attr-defined]
    if patience_s is not None:
        from airflow_oauth_provider.tokens import source

        source.PATIENCE_S = patience_s
    if refresh_s is not None:
        from airflow_oauth_provider.tokens import early_refresh

        early_refresh.TIMEOUT_S, early_refresh._LEASE_S = refresh_s, 2 * refresh_s
    if failure_s is not None:
        from airflow_oauth_provider.tokens import refusals

        refusals.FIRST_FAILURE_S = refusals.MAX_FAILURE_S = failure_s
    if user is not None:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    if no_space:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    if hanging_store is not None:
        from airflow_oauth_provider.tokens.stores.file import FileStore

        setattr(FileStore, hanging_store, lambda *_, **__: threading.Event().wait())
    return hook()


def facts_of(error: BaseException) -> dict[str, Any]:
    """Return what an error of the package carries."""
    facts = {name: getattr(error, name, None) for name in ("status_code", "error", "retry_after_s", "request_id")}
    return {**facts, "permanent": isinstance(error, PermanentError)}
