"""DPoP from the connection to an API that checks every proof: tokens, nonces, renewals, redirects, other processes."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_oauth_provider.exceptions import ApiRefusedError, ApiUnavailableError, OriginError, UnusableTokenError
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.oauth2.dpop import ProofKey
from airflow_oauth_provider.tokens import registry
from tests.support import worker
from tests.support.dpop_api import DpopServer, claims_of, header_of, nonce_demand, refusal
from tests.support.made_up import access_token
from tests.support.servers import Reply, Seen
from tests.support.threads import in_threads_at_once

if TYPE_CHECKING:
    from tests.support.processes import Nursery

Connection = Callable[..., str]
Environment = Callable[..., dict[str, str]]


@pytest.fixture
def server() -> Iterator[DpopServer]:
    with DpopServer() as running:
        yield running


@pytest.fixture
def hook(connect: Connection) -> OAuth2Hook:
    return OAuth2Hook(oauth2_conn_id=connect(dpop=True))


def store_old_token(hook: OAuth2Hook) -> None:
    """Put a bound token into the store that the server ended, old enough to be renewed."""
    entries: Any = hook._source._entries
    token = access_token("made-up-old", age_s=600, token_type="DPoP", proof_key=ProofKey.generate("ES256"))
    entries.write_token(token, expected=entries.generation())


def test_who_presses_test_is_told_that_the_token_is_bound(hook: OAuth2Hook) -> None:
    assert hook.test_connection() == (
        True,
        "Got a token that lives 3600 s, scope 'read', by client_secret_basic, bound to a key by DPoP.",
    )


# Tokens ---------------------------------------------------------------------------------------------------------------


@pytest.mark.statement(39)
@pytest.mark.statement(40)
@pytest.mark.statement(41)
@pytest.mark.parametrize("algorithm", [None, "ES384", "EdDSA", "PS256"])
def test_a_token_is_bound_to_a_key_and_used_with_proofs_of_it(
    server: DpopServer, connect: Connection, algorithm: str | None
) -> None:
    hook = OAuth2Hook(oauth2_conn_id=connect(dpop=True, **({"dpop_algorithm": algorithm} if algorithm else {})))

    assert hook.request("POST", "orders", json={"a": 1}, params={"b": "c"}).status_code == 200

    assert server.refusals == []
    asked, used = (claims_of(proof) for proof in server.proofs)
    assert (asked["htm"], asked["htu"], "ath" in asked) == ("POST", f"{server.url}/token", False)
    assert (used["htm"], used["htu"], "ath" in used) == ("POST", f"{server.url}/api/orders", True)
    assert asked["jti"] != used["jti"]
    assert {header_of(proof)["alg"] for proof in server.proofs} == {algorithm or "ES256"}
    assert hook.get_token().token_type == "DPoP"


@pytest.mark.statement(43)
def test_a_token_endpoint_that_wants_a_nonce_is_asked_twice(server: DpopServer, hook: OAuth2Hook) -> None:
    server.token_nonce = "made-up/nonce"

    hook.get_token()

    assert server.nonces == [None, "made-up/nonce"]
    assert len({claims_of(proof)["jti"] for proof in server.proofs}) == 2


@pytest.mark.statement(45)
def test_a_nonce_in_the_answer_that_grants_a_token_is_used_for_the_next_one(
    server: DpopServer, hook: OAuth2Hook
) -> None:
    def with_another_nonce_each_time(seen: Seen) -> Reply:
        reply = server.bind(seen)
        server.token_nonce = f"n{len(server.token_requests)}"
        reply.headers["DPoP-Nonce"] = server.token_nonce
        return reply

    server.token_nonce, server.token_reply = "n0", with_another_nonce_each_time
    for _ in range(3):
        hook.get_token()
        hook.forget_token()
        hook._source._shelf.drop(hook.get_token())

    assert server.nonces[:2] == [None, "n1"]
    assert server.nonces[2:] == [f"n{number}" for number in range(2, len(server.nonces))]


@pytest.mark.statement(43)
def test_a_token_endpoint_that_is_never_content_is_asked_twice(server: DpopServer, hook: OAuth2Hook) -> None:
    def never(_: Seen) -> Reply:
        return Reply(400, {"error": "use_dpop_nonce"}, {"DPoP-Nonce": f"n{len(server.token_requests)}"})

    server.token_reply = never

    with pytest.raises(Exception, match="nonce"):
        hook.get_token()

    assert server.nonces == [None, "n1"]


@pytest.mark.statement(46)
@pytest.mark.parametrize("token_type", ["Bearer", "bearer"])
def test_a_downgrade_to_bearer_is_refused_unless_dpop_is_only_preferred(
    server: DpopServer, connect: Connection, token_type: str
) -> None:
    server.token_reply = lambda _: server.issue(token_type=token_type)
    with pytest.raises(UnusableTokenError, match="dpop"):
        OAuth2Hook(oauth2_conn_id=connect(dpop=True)).get_token()
    server.api_reply = lambda _: Reply(200)

    OAuth2Hook(oauth2_conn_id=connect(dpop="preferred")).request("GET", "orders")

    assert server.api_requests[0].headers["authorization"].startswith("Bearer ")
    assert "dpop" not in server.api_requests[0].headers


@pytest.mark.statement(46)
def test_a_bound_token_is_refused_where_no_proof_was_sent(server: DpopServer, connect: Connection) -> None:
    server.token_reply = lambda _: server.issue()
    with pytest.raises(UnusableTokenError, match="Set dpop"):
        OAuth2Hook(oauth2_conn_id=connect()).get_token()


# The API --------------------------------------------------------------------------------------------------------------


@pytest.mark.statement(44)
@pytest.mark.statement(45)
def test_nonces_of_server_and_api_are_kept_apart_on_one_origin(server: DpopServer, hook: OAuth2Hook) -> None:
    server.token_nonce, server.api_nonce = "for-tokens", "for-the-api"

    for _ in range(2):
        assert hook.request("GET", "orders").status_code == 200

    assert server.nonces == [None, "for-tokens", None, "for-the-api", "for-the-api"]
    server.api_nonce = "another"
    assert hook.request("GET", "orders").status_code == 200
    assert server.nonces[5:] == ["for-the-api", "another"]


@pytest.mark.statement(42)
@pytest.mark.statement(45)
def test_paging_through_an_api_that_takes_each_nonce_once(server: DpopServer, hook: OAuth2Hook) -> None:
    server.nonce_per_answer, server.api_nonce = True, "nonce-0"

    def pages(seen: Seen) -> Reply:
        checked = server.checked(seen)
        number = int(dict(seen.query).get("page", "1"))
        following = f"{server.url}/api/items?page={number + 1}" if number < 5 else None
        body = {"items": [{"id": number}], "next": following}
        return checked if checked.status != 200 else Reply(200, body, checked.headers)

    server.api_reply = pages
    pagination = {"kind": "next_url", "path": "next"}

    records = list(hook.records("items", pagination=pagination, records="items"))

    assert [record["id"] for record in records] == [1, 2, 3, 4, 5]
    assert server.refusals == ["use_dpop_nonce"]
    assert len(server.api_requests) == 6


@pytest.mark.statement(42)
def test_an_ended_token_is_replaced_by_one_with_a_new_key_and_a_file_sent_again(
    server: DpopServer, hook: OAuth2Hook
) -> None:
    store_old_token(hook)
    server.api_nonce = "n"
    file = io.BytesIO(b"skipped|sent")
    file.seek(8)

    assert hook.request("PUT", "orders", data=file).status_code == 200

    assert server.refusals == ["invalid_token"]
    assert [seen.body for seen in server.api_requests] == [b"sent"] * 2
    keys = [header_of(seen.headers["dpop"])["jwk"]["x"] for seen in server.api_requests]
    assert keys[0] != keys[-1]
    assert len(server.token_requests) == 1


@pytest.mark.statement(47)
def test_a_refused_proof_drops_no_token_and_names_a_clock_that_is_off(server: DpopServer, hook: OAuth2Hook) -> None:
    head = 'HTTP/1.1 401 No\r\nWWW-Authenticate: DPoP error="invalid_dpop_proof"\r\nContent-Length: 0\r\n'
    wrong = Reply(raw=f"{head}Date: Tue, 24 Nov 2020 08:00:00 GMT\r\n\r\n".encode())
    server.answer_first(refusal('DPoP error="invalid_dpop_proof"'), wrong)
    value = hook.get_token().value

    with pytest.raises(ApiRefusedError, match="base_url is the URL by which the API knows itself"):
        hook.request("GET", "orders")
    with pytest.raises(ApiUnavailableError, match=r"clock is [0-9]+ s ahead of the server's"):
        hook.request("GET", "orders")

    assert hook.get_token().value == value
    assert (len(server.api_requests), len(server.token_requests)) == (2, 1)


@pytest.mark.statement(42)
def test_a_plain_session_follows_redirects_with_new_proofs(server: DpopServer, hook: OAuth2Hook) -> None:
    server.api_nonce = "n"
    server.answer_first(
        None,
        Reply(307, b"", {"Location": "/api/b?x=1", "DPoP-Nonce": "n"}),
        Reply(303, b"", {"Location": f"{server.url}/api/c#d"}),
    )
    with requests.Session() as session:
        session.auth = hook.auth
        answer = session.post(f"{server.url}/api/a", json={"a": 1}, timeout=30)
        again = session.get(f"{server.url}/api/d", timeout=30)

    assert (answer.status_code, again.status_code) == (200, 200)
    assert [(seen.method, seen.path) for seen in server.api_requests] == [
        ("POST", "/api/a"),
        ("POST", "/api/a"),
        ("POST", "/api/b"),
        ("GET", "/api/c"),
        ("GET", "/api/d"),
    ]
    assert server.refusals == ["use_dpop_nonce"]


@pytest.mark.statement(24)
def test_neither_a_plain_session_nor_the_hook_takes_a_proof_elsewhere(server: DpopServer, hook: OAuth2Hook) -> None:
    with DpopServer() as foreign:
        foreign.api_reply = lambda _: nonce_demand()
        moved = Reply(307, b"", {"Location": f"{foreign.url}/api/x"})
        server.answer_first(moved, moved)

        answer = requests.put(f"{server.url}/api/a", data=b"body", auth=hook.auth, timeout=30)
        with pytest.raises(OriginError):
            hook.request("PUT", "a", data=b"body")

        assert answer.status_code == 401
        assert len(foreign.seen) == 1
        assert not {"authorization", "dpop"} & set(foreign.seen[0].headers)


# Threads and processes ------------------------------------------------------------------------------------------------


@pytest.mark.statement(42)
def test_threads_never_use_a_proof_twice(server: DpopServer, hook: OAuth2Hook) -> None:
    server.api_nonce = "n"
    hook.request("GET", "orders")
    calls = 20

    def call() -> list[int]:
        return [hook.request("GET", f"{threading.get_ident()}/{number}").status_code for number in range(calls)]

    assert in_threads_at_once(8, call) == [[200] * calls] * 8
    assert server.refusals == ["use_dpop_nonce"]
    assert len(server.token_requests) == 1


def test_other_processes_use_the_token_with_its_key_and_the_apis_nonce(
    nursery: Nursery, server: DpopServer, environment: Environment
) -> None:
    server.token_nonce, server.api_nonce = "t", "a"
    nursery.run(1, worker.call, environment(dpop=True))
    refused = list(server.refusals)

    outcomes = nursery.run(8, worker.call, environment(dpop=True), calls=3)

    assert [outcome.value for outcome in outcomes] == [[200] * 3] * 8
    assert refused == ["nonce", "use_dpop_nonce"]
    assert server.refusals == refused
    assert len(server.token_requests) == 2


def test_a_forked_child_makes_proofs_of_its_own(nursery: Nursery, server: DpopServer, environment: Environment) -> None:
    (outcome,) = nursery.run(1, worker.call_in_parent_and_child, environment(dpop=True), calls=20)

    assert [len(outcome.value[name]) for name in ("parent", "child")] == [20, 20]
    assert server.refusals == []


def test_tokens_with_and_without_a_key_are_not_mixed_up(server: DpopServer, connect: Connection) -> None:
    bound = OAuth2Hook(oauth2_conn_id=connect(dpop=True)).get_token()
    server.token_reply = lambda _: server.issue(token_type="Bearer")

    free = OAuth2Hook(oauth2_conn_id=connect()).get_token()
    again = OAuth2Hook(oauth2_conn_id=connect(dpop=True)).get_token()

    assert free.proof_key is None
    assert again == bound


def test_the_store_holds_no_part_of_the_key_in_clear(server: DpopServer, hook: OAuth2Hook, tmp_path: Path) -> None:
    server.api_nonce = "made-up-api-nonce"
    hook.request("GET", "orders")
    key = hook.get_token().proof_key
    assert key is not None

    stored = b"".join(path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file())

    assert stored
    for hidden in (*key.private_jwk().values(), "made-up-api-nonce", *key.private_key.splitlines()[1:-1]):
        assert len(hidden) <= 8 or hidden.encode() not in stored
    registry._sources.clear()
    registry._stores.clear()
    assert OAuth2Hook(oauth2_conn_id="shop").get_token().proof_key == key
