"""Somebody who may write the Redis: that costs requests and bounded waits, never a secret and never a task."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.integration.conftest import CLIENT_ID, CLIENT_SECRET
from tests.integration.redis.conftest import PASSWORD, Environment, warnings
from tests.integration.redis.redis_tasks import call_and_weigh
from tests.support import worker
from tests.support.processes import Nursery, wait_until
from tests.support.raw import encodings, found_in
from tests.support.redis_server import RedisServer
from tests.support.servers import OAuthServer, Reply

Client = Any  # redis-py's own types say "or a coroutine" everywhere
OTHER = "another-made-up-client"


@pytest.fixture
def enemy(redis_server: RedisServer) -> Client:
    return redis_server.client()


def keys(enemy: Client, end: str) -> list[bytes]:
    """Return the keys of a kind of entry."""
    return sorted(key for key in enemy.scan_iter() if key.endswith(end.encode()))


def move(enemy: Client, source: bytes, target: bytes) -> None:
    enemy.restore(target, 60_000, enemy.dump(source), replace=True)


@contextmanager
def overheard(enemy: Client) -> Iterator[list[str]]:
    """Yield a list that holds, at the end, every command that the Redis was given meanwhile."""
    said: list[str] = []
    with enemy.monitor() as monitor:
        yield said
        enemy.echo("made-up end")
        while not said or "made-up end" not in said[-1]:
            said.append(monitor.next_command()["command"])


# Entries that are ours, at another place or time ----------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{"login": OTHER}, {"scope": "admin"}], ids=["client", "scope"])
def test_tokens_that_changed_places_are_given_to_nobody(
    nursery: Nursery, server: OAuthServer, enemy: Client, environment: Environment, changes: dict[str, str]
) -> None:
    nursery.run(1, worker.get_token, environment())
    (ours,) = keys(enemy, ".token")
    (foreign,) = nursery.run(1, worker.get_token, environment(**changes))
    (theirs,) = set(keys(enemy, ".token")) - {ours}
    move(enemy, theirs, ours)

    first, second = nursery.run(2, worker.get_token, environment())

    assert first.value == second.value != foreign.value
    assert len(server.token_requests) == 3


def test_the_refusals_of_another_client_keep_nobody_from_a_token(
    nursery: Nursery, server: OAuthServer, enemy: Client, environment: Environment
) -> None:
    server.token_reply = lambda seen: Reply(401) if seen.basic()[0] == OTHER else server.issue()
    (refused,) = nursery.run(1, worker.get_token, environment(login=OTHER))
    theirs = keys(enemy, ".failure")
    nursery.run(1, worker.get_token, environment())
    (token,) = keys(enemy, ".token")
    enemy.delete(token)
    with overheard(enemy) as said:
        nursery.run(1, worker.get_token, environment())
    asked_for = {word.encode() for line in said for word in line.split() if word.endswith(".failure")}
    # Under each name that is asked for, there lies what binds the other one.
    enemy.delete(token)
    for name in asked_for:
        move(enemy, theirs[0], name)

    (outcome,) = nursery.run(1, worker.call, environment())

    assert refused.error == "InvalidClientError"
    assert len(asked_for) == 3
    assert outcome.value == [200]


def test_a_token_that_was_rolled_back_is_used_while_the_api_takes_it(
    nursery: Nursery, server: OAuthServer, enemy: Client, environment: Environment
) -> None:
    (old,) = nursery.run(1, worker.get_token, environment())
    (key,) = keys(enemy, ".token")
    kept = enemy.dump(key)
    nursery.run(1, worker.press_test, environment())
    enemy.restore(key, 3_600_000, kept, replace=True)

    outcomes = nursery.run(2, worker.call, environment())
    (later,) = nursery.run(1, worker.get_token, environment())

    assert [outcome.value for outcome in outcomes] == [[200]] * 2
    assert later.value == old.value
    assert len(server.token_requests) == 2


def test_a_revoked_token_that_was_rolled_back_costs_one_request(
    nursery: Nursery, server: OAuthServer, enemy: Client, environment: Environment
) -> None:
    nursery.run(1, worker.store_old_token, environment())
    (key,) = keys(enemy, ".token")
    kept = enemy.dump(key)
    nursery.run(1, worker.press_test, environment())
    enemy.restore(key, 3_600_000, kept, replace=True)

    outcomes = nursery.run(4, worker.call, environment())

    assert [outcome.value for outcome in outcomes] == [[200]] * 4
    assert len(server.token_requests) == 2


@pytest.mark.parametrize("life_ms", [None, 10**12])
def test_a_token_that_was_made_to_stay_is_not_used_after_its_end(
    nursery: Nursery, server: OAuthServer, enemy: Client, environment: Environment, life_ms: int | None
) -> None:
    server.lifetime_s = 1.0
    nursery.run(1, worker.get_token, environment())
    got_at, server.lifetime_s = time.time(), 3600.0
    (key,) = keys(enemy, ".token")
    move(enemy, key, b"kept")
    wait_until(lambda: time.time() > got_at + 1.1)
    enemy.restore(key, life_ms or 0, enemy.dump("kept"), replace=True)

    (outcome,) = nursery.run(1, worker.call, environment())

    assert outcome.value == [200]
    assert server.ended_calls == 0


# Things that are not ours ---------------------------------------------------------------------------------------------

PLANTS: dict[str, Callable[[Client, bytes], object]] = {
    "a string": lambda enemy, key: enemy.set(key, '{"access_token": "planted-token"}'),
    "a list": lambda enemy, key: enemy.lpush(key, "x"),
    "a set": lambda enemy, key: enemy.sadd(key, "x"),
    "a sorted set": lambda enemy, key: enemy.zadd(key, {"x": 1}),
    "a stream": lambda enemy, key: enemy.xadd(key, {"x": "1"}),
    "another hash": lambda enemy, key: enemy.hset(key, "x", "1"),
    "plain text": lambda enemy, key: enemy.hset(key, mapping={"generation": 7, "sealed": '{"value": "planted-token"}'}),
    "no generation": lambda enemy, key: enemy.hset(key, "sealed", "x"),
    "an odd generation": lambda enemy, key: enemy.hset(key, mapping={"generation": "nan", "sealed": "x"}),
    "a negative generation": lambda enemy, key: enemy.hset(key, mapping={"generation": -1, "sealed": "x"}),
    "an infinite generation": lambda enemy, key: enemy.hset(key, mapping={"generation": "1e999", "sealed": "x"}),
    "a last generation": lambda enemy, key: enemy.hset(key, mapping={"generation": 2**53 - 1, "sealed": "x"}),
    "a long generation": lambda enemy, key: enemy.hset(key, mapping={"generation": "9" * 5000, "sealed": "x"}),
    "odd counts": lambda enemy, key: enemy.hset(key, mapping={"made": "x", "saved": "9" * 5000}),
}


@pytest.mark.parametrize("plant", PLANTS.values(), ids=PLANTS)
def test_what_is_planted_under_every_name_is_nothing_and_is_replaced(
    nursery: Nursery,
    server: OAuthServer,
    enemy: Client,
    environment: Environment,
    plant: Callable[[Client, bytes], object],
) -> None:
    nursery.run(1, worker.get_token, environment())
    server.token_reply = lambda _: Reply(400, {"error": "invalid_scope"})
    nursery.run(1, worker.get_token, environment(scope="other"))
    server.token_reply = None
    server.seen.clear()
    for key in [*enemy.scan_iter(), keys(enemy, ".count")[0].replace(b".count", b".lease")]:
        enemy.delete(key)
        plant(enemy, key)

    outcomes = nursery.run(3, worker.call, environment())
    status, *_ = nursery.run(1, worker.press_test, environment(scope="other"))

    assert [outcome.value for outcome in outcomes] == [[200]] * 3
    assert [warnings(outcome) for outcome in (*outcomes, status)] == [[]] * 4
    assert max(outcome.seconds for outcome in outcomes) < 60
    # One for all three, and the one of Test.
    assert len(server.token_requests) == 2
    assert all(enemy.hget(key, "sealed") for key in keys(enemy, ".token"))


@pytest.mark.parametrize("kind", ["string", "hash"])
def test_a_gigabyte_in_place_of_the_token_is_not_even_fetched(
    nursery: Nursery, server: OAuthServer, enemy: Client, environment: Environment, kind: str
) -> None:
    nursery.run(1, worker.get_token, environment())
    (key,) = keys(enemy, ".token")
    enemy.config_set("proto-max-bulk-len", 2**31)
    enemy.config_set("client-query-buffer-limit", 2**31)
    enemy.delete(key)
    if kind == "string":
        enemy.setrange(key, 2**30 - 1, "x")
    else:
        enemy.hset(key, mapping={"generation": 7, "sealed": bytes(2**30)})
    assert enemy.memory_usage(key) >= 2**30

    outcomes = nursery.run(2, call_and_weigh, environment())

    assert [outcome.value[0] for outcome in outcomes] == [200] * 2, outcomes[0].log
    assert max(outcome.value[1] for outcome in outcomes) < 100
    assert [warnings(outcome) for outcome in outcomes] == [[]] * 2
    assert len(server.token_requests) == 2
    assert enemy.hstrlen(key, "sealed") < 5000


# Somebody who reads ---------------------------------------------------------------------------------------------------


def test_nothing_lies_in_the_redis_or_goes_there_in_clear(
    nursery: Nursery, server: OAuthServer, enemy: Client, environment: Environment
) -> None:
    server.token_reply = lambda seen: Reply(401) if ("scope", "no") in seen.form else server.issue()
    with overheard(enemy) as said:
        outcomes = nursery.run(2, worker.call, environment())
        outcomes += nursery.run(1, worker.call, environment(scope="no"))

    values = [repr(enemy.hgetall(key)) for key in enemy.scan_iter()]
    assert len(keys(enemy, ".token")) == 1
    assert len(keys(enemy, ".failure")) >= 1
    secrets = {*encodings(CLIENT_ID, CLIENT_SECRET), *server.tokens, CLIENT_ID, "access_token", "invalid_client"}
    assert found_in("\n".join((*values, *said, *map(repr, enemy.scan_iter()))), {*secrets, "Bearer", "shop"}) == []
    logged = "\n".join(line for outcome in outcomes for line in outcome.log)
    assert found_in(logged, {*encodings("", PASSWORD), *server.tokens}) == []
    # Nothing stays for ever.
    assert all(0 < enemy.pttl(key) <= 30 * 86_400_000 for key in enemy.scan_iter())
