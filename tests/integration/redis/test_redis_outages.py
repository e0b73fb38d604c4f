"""A Redis that goes, comes back empty, hangs, refuses or is full: tasks only lose sharing."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.integration.redis.conftest import PASSWORD, Environment, through, warnings
from tests.integration.redis.redis_tasks import PAUSE, call_as_one_and_another
from tests.support import long_tasks, worker
from tests.support.certificates import Authority
from tests.support.patience import OWN_LIMITS
from tests.support.processes import PROJECT, Nursery, Outcome, end_all, wait_until
from tests.support.raw import found_in
from tests.support.redis_server import RedisServer
from tests.support.servers import OAuthServer, Reply, Seen, free_port
from tests.support.tcp_proxy import Proxy

# Nobody answers there.
NO_MASTER = "127.0.0.1 1"


def all_worked_alone(outcomes: list[Outcome], server: OAuthServer) -> None:
    """Each process made its call, fetched a token of its own, and warned once."""
    assert [outcome.value for outcome in outcomes] == [[200] * 3] * len(outcomes), outcomes[0].message
    assert len(server.token_requests) == len(outcomes)
    assert [len(warnings(outcome)) for outcome in outcomes] == [1] * len(outcomes), outcomes[0].log
    assert found_in("\n".join(line for outcome in outcomes for line in outcome.log), [PASSWORD, "p@ss"]) == []


@contextmanager
def in_the_midst(server: OAuthServer) -> Iterator[Callable[[], None]]:
    """Hold the calls of ``/api/pause`` until the test leaves; yield what waits for the first of them."""
    came, go_on = threading.Event(), threading.Event()

    def hold(seen: Seen) -> Reply:
        if seen.path.endswith(PAUSE):
            came.set()
            go_on.wait(120)
        return server.checked(seen)

    def wait() -> None:
        assert came.wait(60)

    server.api_reply = hold
    try:
        yield wait
    finally:
        go_on.set()


def callers_without(tokens: set[str], server: OAuthServer) -> set[str]:
    """Return the paths, one a process, that were called with another token than these."""
    calls = ((seen.path, seen.headers["authorization"].removeprefix("Bearer ")) for seen in server.api_requests)
    return {path for path, token in calls if token not in tokens}


def test_a_redis_that_was_killed_under_running_tasks_fails_no_call(
    nursery: Nursery, server: OAuthServer, redis_server: RedisServer, environment: Environment, tmp_path: Path
) -> None:
    """The tokens live for three seconds, so that everybody needs another one without the Redis."""
    server.lifetime_s, stop = 3.0, tmp_path / "stop"
    arguments = {"stop": str(stop), "pause_s": 0.05}
    running = [nursery.start(long_tasks.call_until, environment(), **arguments) for _ in range(4)]
    try:
        for one in running:
            one.go()
        wait_until(lambda: len(callers_without(set(), server)) == 4, within_s=120)
        redis_server.kill()
        known = set(server.tokens)
        wait_until(lambda: len(callers_without(known, server)) == 4, within_s=120)
        server.lifetime_s = 3600.0
        stop.touch()
        outcomes = [one.result() for one in running]
    finally:
        end_all(running)
    cold = nursery.run(2, worker.call, environment())

    assert [outcome.error for outcome in outcomes] == [None] * 4, outcomes[0].message
    assert [error for outcome in outcomes for error in outcome.value["errors"]] == []
    assert server.ended_calls == 0
    assert [len(warnings(outcome)) for outcome in outcomes] == [1] * 4
    assert [outcome.value for outcome in cold] == [[200]] * 2


def test_a_redis_that_was_restarted_empty_costs_one_request_more(
    nursery: Nursery, server: OAuthServer, redis_server: RedisServer, environment: Environment
) -> None:
    with in_the_midst(server) as wait:
        running = nursery.start(call_as_one_and_another, environment(), other=environment(scope="write"))
        running.go()
        wait()
        redis_server.restart()
        cold = nursery.run(4, worker.call, environment())
    outcome = running.result()
    others = nursery.run(2, worker.call, environment(scope="write"))

    # Whoever had a token kept it, and did not notice.
    assert outcome.value == [200] * 3
    assert warnings(outcome) == []
    assert [outcome.value for outcome in cold + others] == [[200]] * 6
    # The first one, one for all that came after the restart, one with the other scope.
    assert len(server.token_requests) == 3


def test_a_redis_that_was_restarted_empty_during_a_fetch_ends_up_with_one_token(
    nursery: Nursery, server: OAuthServer, redis_server: RedisServer, environment: Environment
) -> None:
    came, go_on = threading.Event(), threading.Event()

    def hold_the_first(_: Seen) -> Reply:
        if not came.is_set():
            came.set()
            go_on.wait(120)
        return server.issue()

    server.token_reply = hold_the_first
    holder = nursery.start(worker.get_token, environment())
    holder.go()
    try:
        assert came.wait(60)
        redis_server.restart()
        others = nursery.run(3, worker.get_token, environment())
    finally:
        go_on.set()

    assert {outcome.value for outcome in others} == {holder.result().value}
    assert len(server.token_requests) == 2


def make_read_only(client: redis.Redis) -> None:
    client.replicaof(*NO_MASTER.split())


def fill(client: redis.Redis) -> None:
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", 1)
    with pytest.raises(redis.OutOfMemoryError):
        client.set("made-up", "x")


@pytest.mark.parametrize("spoil", [make_read_only, fill])
def test_a_redis_that_takes_nothing_any_more_still_gives_its_tokens_away(
    nursery: Nursery,
    server: OAuthServer,
    redis_server: RedisServer,
    environment: Environment,
    spoil: Callable[[redis.Redis], None],
) -> None:
    (first,) = nursery.run(1, worker.get_token, environment())
    spoil(redis_server.client())

    sharing = nursery.run(3, worker.get_token, environment())

    assert {outcome.value for outcome in sharing} == {first.value}
    assert len(server.token_requests) == 1
    server.seen.clear()
    all_worked_alone(nursery.run(3, worker.call, environment(scope="write"), calls=3), server)


def test_a_redis_that_forgets_what_it_likes_is_asked_again(
    nursery: Nursery, server: OAuthServer, redis_server: RedisServer, environment: Environment
) -> None:
    """As one does that evicts whatever was not used for long; its scripts are gone, too."""
    nursery.run(1, worker.get_token, environment())
    client = redis_server.client()
    client.flushall()
    client.script_flush()

    outcomes = nursery.run(3, worker.get_token, environment())

    assert len({outcome.value for outcome in outcomes}) == 1
    assert len(server.token_requests) == 2
    assert [warnings(outcome) for outcome in outcomes] == [[]] * 3


@pytest.mark.parametrize("hangs", ["from the start", "from the first call on"])
def test_a_redis_that_takes_five_seconds_is_given_up_after_two(
    nursery: Nursery, server: OAuthServer, proxy: Proxy, environment: Environment, hangs: str
) -> None:
    if hangs == "from the start":
        proxy.delay_s = 5.0
        outcomes = nursery.run(3, worker.call, environment(through(proxy)) | OWN_LIMITS, calls=3)
        all_worked_alone(outcomes, server)
    else:
        with in_the_midst(server) as wait:
            one, another = environment(through(proxy)), environment(through(proxy), scope="write")
            running = nursery.start(call_as_one_and_another, one | OWN_LIMITS, other=another)
            running.go()
            wait()
            proxy.delay_s = 5.0
        outcomes = [running.result()]
        assert outcomes[0].value == [200] * 3
    assert max(outcome.seconds for outcome in outcomes) < 28
    assert all("Timeout" in line or "no answer" in line for outcome in outcomes for line in warnings(outcome))


def test_a_redis_that_hangs_is_given_up_after_two_seconds_and_works_again_when_it_wakes(
    nursery: Nursery, server: OAuthServer, redis_server: RedisServer, environment: Environment
) -> None:
    nursery.run(1, worker.get_token, environment(scope="write"))
    server.seen.clear()
    redis_server.pause()
    try:
        all_worked_alone(nursery.run(3, worker.call, environment() | OWN_LIMITS, calls=3), server)
    finally:
        redis_server.resume()

    outcomes = nursery.run(3, worker.call, environment())

    # What it was told while it hung keeps nobody waiting.
    assert [outcome.value for outcome in outcomes] == [[200]] * 3
    assert max(outcome.seconds for outcome in outcomes) < 60
    assert len(server.token_requests) == 4


@pytest.mark.parametrize("user", ["", ":made-up-wrong-word", "nobody:made-up-wrong-word", "reader:made-up-word"])
def test_a_redis_that_does_not_let_us_in_costs_sharing_and_its_password_is_not_shown(
    nursery: Nursery, server: OAuthServer, redis_server: RedisServer, environment: Environment, user: str
) -> None:
    redis_server.client().acl_setuser("reader", enabled=True, passwords=["+made-up-word"], commands=["+get"], keys="*")

    outcomes = nursery.run(2, worker.call, environment(redis_server.url_for(user)), calls=3)

    all_worked_alone(outcomes, server)
    assert "made-up" not in warnings(outcomes[0])[0]


def test_a_user_with_the_rights_that_the_documentation_names_shares(
    nursery: Nursery, server: OAuthServer, redis_server: RedisServer, environment: Environment
) -> None:
    documentation = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
    command = re.search(r"ACL (SETUSER airflow on >password [^`]*?)\n(\n|```)", documentation)
    assert command is not None
    client: Any = redis_server.client()
    client.execute_command("ACL", *command[1].split())
    of_the_user = environment(redis_server.url_for("airflow:password"))

    outcomes = nursery.run(4, worker.call, of_the_user)
    (tested,) = nursery.run(1, worker.press_test, of_the_user)

    assert [outcome.value for outcome in outcomes] == [[200]] * 4
    assert [warnings(outcome) for outcome in (*outcomes, tested)] == [[]] * 5
    assert len(server.token_requests) == 2


@pytest.mark.parametrize("fault", ["unknown authority", "another name", "no TLS"])
def test_a_redis_that_cannot_prove_who_it_is_is_told_nothing(
    nursery: Nursery,
    server: OAuthServer,
    environment: Environment,
    tmp_path_factory: pytest.TempPathFactory,
    fault: str,
) -> None:
    folder = tmp_path_factory.mktemp("authorities")
    authority, other = (Authority.make(folder, name) for name in ("ours", "another"))
    with RedisServer(authority=authority, password=PASSWORD) as secure:
        url = {
            "unknown authority": secure.url.replace(str(authority.bundle), str(other.bundle)),
            "another name": secure.url.replace("127.0.0.1", "localhost"),
            "no TLS": secure.url.replace("rediss://", "redis://").partition("?")[0],
        }[fault]

        all_worked_alone(nursery.run(2, worker.call, environment(url), calls=3), server)

        assert secure.client().dbsize() == 0


def test_a_redis_that_is_not_there_costs_sharing(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    all_worked_alone(nursery.run(2, worker.call, environment(f"redis://127.0.0.1:{free_port()}/0"), calls=3), server)
