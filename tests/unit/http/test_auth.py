from __future__ import annotations

import gc
import io
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from airflow_oauth_provider.exceptions import ApiRefusedTokenError, OriginError, TokenEndpointUnavailableError
from airflow_oauth_provider.http.auth import OAuth2Auth, rewind_body
from airflow_oauth_provider.http.origin import OriginGuard
from airflow_oauth_provider.http.session import ApiSession
from tests.support.clock import Clock
from tests.support.made_up import api_settings
from tests.support.raw import RawServer
from tests.support.servers import Reply, Server
from tests.support.sessions import UNAUTHORIZED, Api, session_at, session_on
from tests.support.token_sources import Processes


@pytest.fixture
def aged(clock: Clock) -> Processes:
    """Return processes that share a token which is old enough to be renewed."""
    processes = Processes()
    processes.start().get()
    clock.advance(100)
    return processes


@pytest.mark.statement(21)
@pytest.mark.parametrize("challenge", [None, 'Bearer error="invalid_token"', 'bearer realm="a", ERROR=invalid_token'])
def test_a_401_that_refuses_the_token_is_answered_with_a_new_one_once(aged: Processes, challenge: str | None) -> None:
    headers = {"WWW-Authenticate": challenge} if challenge else {}
    with Api(Reply(401, b"", headers)) as api:
        answer = session_on(api, aged).call("GET", "x", params={"a": "1"})
        assert answer.response.status_code == 200
        assert api.tokens == ["token-1", "token-2"]
        assert [seen.query for seen in api.seen] == [[("a", "1")]] * 2
        assert [old.status_code for old in answer.response.history] == [401]


@pytest.mark.statement(21)
def test_a_new_token_that_is_refused_too_is_an_error_after_two_sends(aged: Processes) -> None:
    with Api(*[UNAUTHORIZED] * 5) as api:
        with pytest.raises(ApiRefusedTokenError, match="check audience, scope and roles") as caught:
            session_on(api, aged).call("GET", "x")
        assert api.tokens == ["token-1", "token-2"]
        assert caught.value.status_code == 401
        assert 0 < (caught.value.retry_after_s or 0) <= 60


@pytest.mark.statement(21)
def test_a_fresh_token_that_is_refused_buys_no_other_one() -> None:
    processes = Processes()
    with Api(*[UNAUTHORIZED] * 9) as api:
        for _ in range(4):
            with pytest.raises(ApiRefusedTokenError) as caught:
                session_on(api, processes).call("GET", "x")
            assert 0 < (caught.value.retry_after_s or 0) <= 60
        assert api.tokens == ["token-1"] * 4
    assert len(processes.endpoint.asked) == 1


@pytest.mark.statement(22)
@pytest.mark.parametrize(
    "challenge", ['Basic realm="x"', 'DPoP error="invalid_dpop_proof"', 'Bearer error="insufficient_scope"']
)
def test_a_401_about_something_else_renews_nothing(aged: Processes, challenge: str) -> None:
    with Api(Reply(401, b"", {"WWW-Authenticate": challenge})) as api:
        assert session_on(api, aged).get("x").status_code == 401
        assert api.tokens == ["token-1"]
    assert len(aged.endpoint.asked) == 1


@pytest.mark.statement(21)
def test_a_newer_token_in_the_store_is_used_and_not_dropped(aged: Processes) -> None:
    with Api(UNAUTHORIZED) as api:
        session = session_on(api, aged)
        session.auth.source.get()
        aged.start().fetch_new()
        assert session.call("GET", "x").response.status_code == 200
        assert api.tokens == ["token-1", "token-2"]
    assert len(aged.endpoint.asked) == 2


@pytest.mark.statement(21)
def test_a_token_of_the_store_that_is_refused_too_is_renewed(aged: Processes, clock: Clock) -> None:
    session_is_behind = aged.start()
    session_is_behind.get()
    aged.start().fetch_new()
    clock.advance(100)
    with Api(*[UNAUTHORIZED] * 2) as api:
        session = ApiSession(api_settings(base_url=api.url), session_is_behind)
        assert session.call("GET", "x").response.status_code == 200
        assert api.tokens == ["token-1", "token-2", "token-3"]


@pytest.mark.statement(21)
def test_an_api_that_refuses_whatever_comes_gets_three_sends_and_costs_one_renewal(
    aged: Processes, clock: Clock
) -> None:
    session_is_behind = aged.start()
    session_is_behind.get()
    aged.start().fetch_new()
    clock.advance(100)
    with Api(*[UNAUTHORIZED] * 9) as api:
        session = ApiSession(api_settings(base_url=api.url), session_is_behind)
        with pytest.raises(ApiRefusedTokenError, match="refuses a fresh token") as caught:
            session.call("GET", "x")
        assert api.tokens == ["token-1", "token-2", "token-3"]
    assert "body" not in str(caught.value)
    assert len(aged.endpoint.asked) == 3


def test_several_challenge_headers_are_read_as_one(aged: Processes) -> None:
    raw = (
        b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x\r\n"
        b"WWW-Authenticate: Bearer error=invalid_token\r\nContent-Length: 0\r\n\r\n"
    )
    with Api(Reply(raw=raw)) as api:
        session_on(api, aged).get("x")
        assert api.tokens == ["token-1", "token-2"]


@pytest.mark.parametrize("data", [b"body", "body", {"a": "b"}, io.BytesIO(b"body")])
def test_a_body_that_can_be_sent_again_is_sent_again(aged: Processes, data: Any) -> None:
    with Api(UNAUTHORIZED) as api:
        session_on(api, aged).call("POST", "x", data=data)
        assert len(api.seen) == 2
        assert api.seen[0].body == api.seen[1].body != b""


def test_a_file_is_sent_again_from_where_it_stood(aged: Processes) -> None:
    file = io.BytesIO(b"skipped body")
    file.seek(8)
    with Api(UNAUTHORIZED) as api:
        session_on(api, aged).call("POST", "x", data=file)
        assert [seen.body for seen in api.seen] == [b"body", b"body"]


def test_a_body_that_can_be_sent_once_is_not_sent_again(aged: Processes) -> None:
    def lines() -> Iterator[bytes]:
        yield b"body"

    def refuse(_: Any) -> Reply:
        return Reply(raw=b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")

    with Server(refuse) as api:
        with pytest.raises(ApiRefusedTokenError, match="body can be read only once"):
            session_on(api, aged).call("POST", "x", data=lines())
        assert len(api.seen) == 1


@pytest.mark.statement(24)
def test_a_foreign_origin_that_answers_401_after_a_redirect_gets_nothing(aged: Processes) -> None:
    with Server(lambda _: UNAUTHORIZED) as foreign, Api(Reply(302, b"", {"Location": foreign.url})) as api:
        auth = OAuth2Auth(aged.start(), OriginGuard(api.url))
        # A plain session follows the redirect and strips the token; what renews it may not bring it back.
        assert requests.get(f"{api.url}/x", auth=auth).status_code == 401
        assert [seen.headers.get("authorization") for seen in foreign.seen] == [None]
    assert len(aged.endpoint.asked) == 1


def test_a_plain_session_that_keeps_the_token_over_a_redirect_is_stopped_before_a_renewal(aged: Processes) -> None:
    class Careless(requests.Session):
        def rebuild_auth(self, *_: Any) -> None:
            """Keep whatever there is."""

    with Server(lambda _: Reply(401)) as foreign, Api(Reply(302, b"", {"Location": foreign.url})) as api:
        auth = OAuth2Auth(aged.start(), OriginGuard(api.url))
        with Careless() as session, pytest.raises(OriginError):
            session.get(f"{api.url}/x", auth=auth)
        assert len(foreign.seen) == 1
    assert len(aged.endpoint.asked) == 1


def test_the_token_does_not_follow_a_redirect_to_https_on_another_port(aged: Processes) -> None:
    auth = OAuth2Auth(aged.start(), OriginGuard("http://localhost"))
    request = auth(requests.Request("GET", "http://localhost/v1/x").prepare())
    answer = requests.Response()
    answer.status_code, answer.url, answer.request = 302, request.url or "", request
    answer.headers["Location"] = "https://localhost/elsewhere"
    stripped = requests.Session().should_strip_auth(answer.url, answer.headers["Location"])  # type: ignore[no-untyped-call]
    assert not stripped, "requests leaves it"
    auth.authorize_redirect(request, answer)
    assert "Authorization" not in request.headers


def test_a_new_token_is_not_replaced_once_more_however_slow_the_api_is(clock: Clock) -> None:
    processes = Processes(lifetime_s=50)
    processes.start().get()
    clock.advance(20)

    def slowly(_: Any) -> Reply:
        clock.advance(6)  # a tenth of the token's life, and more
        return UNAUTHORIZED

    with Api(*[slowly] * 9) as api:
        with pytest.raises(ApiRefusedTokenError):
            session_on(api, processes).call("GET", "x")
        assert api.tokens == ["token-1", "token-2"]
    assert len(processes.endpoint.asked) == 2


def test_the_body_of_a_refusal_is_not_read_without_an_end(aged: Processes) -> None:
    def endless(connection: socket.socket, stopping: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not stopping.is_set():
            connection.sendall(b"10000\r\n" + bytes(0x10000) + b"\r\n")

    with RawServer(endless) as api:
        session = session_at(f"http://127.0.0.1:{api.port}/v1", aged)
        with pytest.raises(ApiRefusedTokenError):
            session.call("GET", "x", stream=True)
        assert api.connections == 2


def test_any_library_based_on_requests_can_use_it() -> None:
    processes = Processes()
    with Api() as api:
        auth = OAuth2Auth(processes.start(), OriginGuard(api.url))
        assert requests.get(f"{api.url}/elsewhere", auth=auth).status_code == 200
        assert api.tokens == ["token-1"]
        with pytest.raises(OriginError):
            requests.get("https://evil.example/", auth=auth)


def test_a_failing_renewal_is_the_token_endpoints_error(aged: Processes) -> None:
    aged.endpoint.script = [TokenEndpointUnavailableError("down")]
    with Api(UNAUTHORIZED) as api:
        with pytest.raises(TokenEndpointUnavailableError, match="down"):
            session_on(api, aged).call("GET", "x")
        assert len(api.seen) == 1
    # A connection that was left behind open is a ResourceWarning here.
    gc.collect()


def test_tokens_that_were_sent_are_known_and_their_number_is_bounded(clock: Clock) -> None:
    processes = Processes(lifetime_s=10)
    with Api() as api:
        session = session_on(api, processes)
        for _ in range(20):
            session.get("x")
            clock.advance(11)
    assert len(api.tokens) == len(set(api.tokens)) == 20
    assert session.auth.sent_tokens() == tuple(api.tokens[-8:])
    assert session.redactor()(f"you sent {api.tokens[-1]}") == "you sent ***"


def test_a_request_that_was_not_authorized_by_us_holds_none_of_our_tokens() -> None:
    auth = OAuth2Auth(Processes().start(), OriginGuard("https://api.example.com"))
    foreign = requests.Request("GET", "https://api.example.com", headers={"Authorization": "Bearer theirs"}).prepare()
    assert auth.token_in(foreign) is None
    assert auth.token_in(requests.Request("GET", "https://api.example.com").prepare()) is None


@pytest.mark.parametrize(("body", "again"), [(None, True), (b"x", True), ("x", True), (iter([b"x"]), False)])
def test_which_bodies_can_be_sent_again(body: Any, again: bool) -> None:
    assert rewind_body(requests.Request("POST", "https://api.example.com", data=body).prepare()) is again


def test_a_file_that_was_closed_cannot_be_sent_again() -> None:
    file = io.BytesIO(b"x")
    request = requests.Request("POST", "https://api.example.com", data=file).prepare()
    assert rewind_body(request)
    file.close()
    assert not rewind_body(request)
