"""The lease on a token in Redis: its holder dies, sleeps, is cut off, or is somebody who never gives it back."""

from __future__ import annotations

import hashlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import redis

from airflow_oauth_provider.tokens.stores import redis as redis_store
from airflow_oauth_provider.tokens.stores.redis import RedisStore
from tests.integration.redis.conftest import Environment, through, warnings

# These hold whatever the store is.
from tests.integration.test_leases import (  # noqa: F401
    test_a_holder_that_was_stopped_and_woken_does_not_overwrite_a_newer_token,
)
from tests.integration.test_sharing import (  # noqa: F401
    test_a_fork_while_a_thread_fetches_a_token_leaves_the_child_working,
    test_a_hook_that_was_used_before_a_fork_works_in_parent_and_child,
    test_threads_of_one_process_make_one_token_request,
)
from tests.support import worker
from tests.support.patience import OWN_LIMITS
from tests.support.processes import Nursery, end_all, wait_until
from tests.support.redis_server import RedisServer
from tests.support.servers import OAuthServer, Reply, Seen
from tests.support.tcp_proxy import Proxy


@contextmanager
def first_request_held(server: OAuthServer) -> Iterator[tuple[Callable[[], None], threading.Event]]:
    """Hold the first token request; yield what waits for it, and the event that lets it go on."""
    came, go_on = threading.Event(), threading.Event()

    def reply(_: Seen) -> Reply:
        if not came.is_set():
            came.set()
            go_on.wait(120)
        return server.issue()

    def wait() -> None:
        assert came.wait(60)

    server.token_reply = reply
    try:
        yield wait, go_on
    finally:
        go_on.set()


def test_those_who_wait_for_a_process_that_was_killed_make_one_request_when_its_lease_ends(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    """The lease of the killed one lives for two seconds instead of a hundred."""
    holder = nursery.start(worker.get_token, environment(), lease_s=2.0)
    waiters = [nursery.start(worker.get_token, environment()) for _ in range(4)]
    try:
        with first_request_held(server) as (wait, _):
            holder.go()
            wait()
            for waiter in waiters:
                waiter.go()
            holder.signal(signal.SIGKILL)
            outcomes = [waiter.result() for waiter in waiters]
    finally:
        end_all([holder, *waiters])

    assert [outcome.error for outcome in outcomes] == [None] * 4
    assert len({outcome.value for outcome in outcomes}) == 1
    assert len(server.token_requests) == 2


@pytest.mark.parametrize("silent", [False, True], ids=["connections end", "packets vanish"])
def test_a_holder_that_is_cut_off_works_and_the_others_go_on_when_its_lease_ends(
    nursery: Nursery, server: OAuthServer, environment: Environment, proxy: Proxy, silent: bool
) -> None:
    holder = nursery.start(worker.call, environment(through(proxy)) | OWN_LIMITS, lease_s=2.0)
    with first_request_held(server) as (wait, go_on):
        holder.go()
        wait()
        if silent:
            proxy.silent = True
        else:
            proxy.cut()
        go_on.set()
        others = nursery.run(3, worker.call, environment())
    outcome = holder.result()

    assert outcome.value == [200]
    assert outcome.seconds < 50
    assert len(warnings(outcome)) <= 2  # writing, and giving the lease back
    assert [other.value for other in others] == [[200]] * 3
    assert [warnings(other) for other in others] == [[]] * 3
    assert len(server.token_requests) == 2


@pytest.mark.parametrize("script", ["_LEASE", "_KEEP", "_WRITE", "_READ"])
def test_an_answer_that_gets_lost_is_asked_for_again(
    nursery: Nursery, server: OAuthServer, environment: Environment, proxy: Proxy, script: str
) -> None:
    """Redis has done then what it was told, and is told it again: that must not look like somebody else's doing."""
    far_away = environment(through(proxy))
    nursery.run(1, worker.get_token, environment(scope="write"))  # Redis knows the scripts from now on
    proxy.lose_answer_to(hash_of(script))

    first, *others = nursery.run(1, worker.get_token, far_away) + nursery.run(2, worker.get_token, far_away)

    assert proxy.connections == 4, "no answer was lost"
    assert {outcome.value for outcome in others} == {first.value}
    assert warnings(first) == []
    assert len(server.token_requests) == 2


@pytest.mark.parametrize("script", ["_LEASE", "_KEEP"])
def test_a_lease_is_granted_though_the_answer_got_lost(redis_server: RedisServer, proxy: Proxy, script: str) -> None:
    """Its holder would wait for itself."""
    near, far = RedisStore(redis_server.url), RedisStore(through(proxy))
    assert near.try_lease("other") is not None  # Redis knows the scripts from now on
    proxy.lose_answer_to(hash_of(script))

    lease = far.try_lease("made-up")

    assert proxy.connections == 2, "no answer was lost"
    assert lease is not None
    assert near.try_lease("made-up") is None
    lease.release()
    assert near.try_lease("made-up") is not None


def test_a_lease_that_redis_grants_when_nobody_listens_any_more_soon_ends(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hung when it was asked, and does now what it was told."""
    patient, name = RedisStore(redis_server.url), "made-up"
    monkeypatch.setattr(redis_store, "_SOCKET_TIMEOUT_S", 1.5)
    monkeypatch.setattr(redis_store, "_CLAIM_S", 3.0)
    store, client = RedisStore(redis_server.url), redis_server.client()
    assert patient.try_lease("other") is not None  # Redis knows the scripts from now on

    def connected() -> bool:
        with suppress(redis.TimeoutError):
            return store.read("other") is not None
        return False

    wait_until(connected)
    asked = scripts_run(client)
    redis_server.pause()
    try:
        with pytest.raises(redis.TimeoutError):
            store.try_lease(name)
    finally:
        redis_server.resume()
    wait_until(lambda: scripts_run(client) > asked)

    began = time.monotonic()
    wait_until(lambda: patient.try_lease(name) is not None, within_s=60)

    assert time.monotonic() - began < 60, "a lease lives for a hundred seconds"


@pytest.mark.parametrize("life_ms", [None, 3_600_000])
def test_a_lease_without_an_end_in_sight_is_taken_over_at_once(
    nursery: Nursery, server: OAuthServer, redis_server: RedisServer, environment: Environment, life_ms: int | None
) -> None:
    client = redis_server.client()
    client.set(lease_key(nursery, server, client, environment()), "made-up-squatter", px=life_ms)

    outcomes = nursery.run(3, worker.get_token, environment())

    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert max(outcome.seconds for outcome in outcomes) < 60
    assert len(server.token_requests) == 1


def test_a_lease_that_is_squatted_for_ever_costs_a_bounded_wait_and_some_requests(
    nursery: Nursery, server: OAuthServer, redis_server: RedisServer, environment: Environment
) -> None:
    """Everybody waits for as long as a lease lives, which is eight seconds here, and for those that patience takes."""
    client = redis_server.client()
    key = lease_key(nursery, server, client, environment())
    enough = threading.Event()

    def squat() -> None:
        while not enough.wait(0.05):
            with suppress(redis.ConnectionError):
                client.set(key, "made-up-squatter", px=7900)

    squatter = threading.Thread(target=squat)
    squatter.start()
    try:
        outcomes = nursery.run(3, worker.get_token, environment(), lease_s=8.0, patience_s=1.0)
    finally:
        enough.set()
        squatter.join()
    (later,) = nursery.run(1, worker.get_token, environment())

    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert 8 < max(outcome.seconds for outcome in outcomes) < 60
    assert len(server.token_requests) <= 3
    # Squatting keeps nobody from sharing what was fetched.
    assert later.value in {outcome.value for outcome in outcomes}


def scripts_run(client: Any) -> int:
    """Return how often the Redis was told to run a script that it knows."""
    return int(client.info("commandstats")["cmdstat_evalsha"]["calls"])


def hash_of(script: str) -> bytes:
    """Return the name by which Redis knows a script of the store."""
    return hashlib.sha1(getattr(redis_store, script).encode()).hexdigest().encode()


def lease_key(nursery: Nursery, server: OAuthServer, client: redis.Redis, environment: dict[str, str]) -> str:
    """Return the key of the lease on the token of ``shop``, and leave nothing else behind."""
    nursery.run(1, worker.get_token, environment)
    (token,) = (str(key, "ascii") for key in client.scan_iter() if key.endswith(b".token"))
    client.flushall()
    server.seen.clear()
    return token.removesuffix(".token") + ".lease"
