"""Calls to an API: what is repeated and what is not, how long is waited, and how connections are kept."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests
import tenacity

from airflow_oauth_provider.exceptions import (
    ApiRefusedError,
    ApiUnavailableError,
    OAuth2Error,
    PermanentError,
)
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.retry import RetryPolicy
from tests.integration.conftest import first_then_good
from tests.support.paged_api import with_lines
from tests.support.processes import wait_until
from tests.support.raw import RawServer, answer
from tests.support.servers import OAuthServer, Reply, free_port

if TYPE_CHECKING:
    import socket

Connection = Callable[..., str]
BROKEN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"


@pytest.mark.parametrize(
    "reply",
    [Reply(status) for status in (408, 425, 429, 500, 502, 503, 504)] + [Reply(raw=BROKEN), Reply(raw=b"")],
    ids=lambda reply: str(reply.raw or reply.status),
)
def test_a_failure_that_may_pass_is_repeated_for_get(server: OAuthServer, connect: Connection, reply: Reply) -> None:
    server.api_reply = first_then_good(server, reply)

    answer = OAuth2Hook(oauth2_conn_id=connect()).call("GET", "orders")

    assert (answer.response.status_code, answer.attempts) == (200, 2)
    assert len(server.api_requests) == 2


@pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 410, 422, 501])
def test_any_other_refusal_is_not_repeated(server: OAuthServer, connect: Connection, status: int) -> None:
    server.api_reply = first_then_good(server, Reply(status, {"reason": "made-up"}, {"X-Request-Id": "r-1"}))

    with pytest.raises(OAuth2Error, match="made-up") as caught:
        OAuth2Hook(oauth2_conn_id=connect()).request("GET", "orders")

    assert (caught.value.status_code, caught.value.request_id) == (status, "r-1")
    assert isinstance(caught.value, PermanentError) == (status not in (409, 501))
    assert len(server.api_requests) == 1


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(
    ("reply", "sends"),
    [
        (Reply(425), 2),
        (Reply(429), 2),
        (Reply(500), 1),
        (Reply(503), 1),
        (Reply(503, b"", {"Retry-After": "1"}), 1),
        (Reply(raw=BROKEN), 1),
        (Reply(raw=b""), 1),
    ],
    ids=["425", "429", "500", "503", "503 with Retry-After", "broken body", "closed"],
)
def test_what_may_have_been_done_is_not_sent_twice_by_post(
    server: OAuthServer, connect: Connection, method: str, reply: Reply, sends: int
) -> None:
    server.api_reply = first_then_good(server, reply)
    hook = OAuth2Hook(oauth2_conn_id=connect())

    if sends == 1:
        with pytest.raises(ApiUnavailableError):
            hook.request(method, "orders", json={"order": 1})
    else:
        assert hook.request(method, "orders", json={"order": 1}).status_code == 200

    assert len(server.api_requests) == sends


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_was_answered_too_slowly_is_not_sent_twice_by_post(
    server: OAuthServer, connect: Connection, method: str
) -> None:
    server.api_reply = first_then_good(server, Reply(200, b"late", drip_s=2.0))
    hook = OAuth2Hook(oauth2_conn_id=connect())
    hook.get_token()

    with pytest.raises(ApiUnavailableError):
        hook.request(method, "orders", json={"order": 1}, timeout=(30, 0.5))

    wait_until(lambda: server.api_requests)  # the server may be slower than it was to be
    assert len(server.api_requests) == 1


def test_post_is_repeated_when_the_caller_says_that_it_does_no_harm(server: OAuthServer, connect: Connection) -> None:
    server.api_reply = first_then_good(server, Reply(500))

    assert OAuth2Hook(oauth2_conn_id=connect()).request("POST", "a", data=b"x", idempotent=True).status_code == 200

    assert [seen.body for seen in server.api_requests] == [b"x"] * 2


def test_post_is_repeated_when_nobody_was_reached(connect: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    hook = OAuth2Hook(oauth2_conn_id=connect(allowed_hosts=f"http://127.0.0.1:{port}"))
    hook.get_token()
    with ExitStack() as servers:

        def begin_to_serve(_: float) -> None:
            servers.enter_context(RawServer(answer(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"), port))

        # In the pause behind the first attempt, which meets nobody.
        monkeypatch.setitem(RetryPolicy.retrying.__kwdefaults__ or {}, "sleep", begin_to_serve)
        answered = hook.call("POST", f"http://127.0.0.1:{port}/a", data=b"x")

    assert (answered.response.status_code, answered.attempts) == (204, 2)


def test_retry_after_is_obeyed_as_seconds_and_as_a_date(
    server: OAuthServer, connect: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    date, later = (format_datetime(datetime.now(UTC) + timedelta(seconds=s), usegmt=True) for s in (0, 2))
    server.api_reply = first_then_good(
        server,
        Reply(429, b"", {"Retry-After": "1"}),
        with_lines(f"Retry-After: {later}", f"Date: {date}", status="503 Wait"),
    )

    assert OAuth2Hook(oauth2_conn_id=connect()).call("GET", "orders").attempts == 3

    first, second, third = (seen.at for seen in server.api_requests)
    assert second - first > 0.95
    assert third - second > 1.95
    # And no longer, whatever else may hold this machine up.
    assert re.findall(r"comes in ([0-9.]+) s", caplog.text) == ["1.0", "2.0"]


@pytest.mark.parametrize("after", ["3600", "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_a_long_retry_after_is_an_error_at_once(server: OAuthServer, connect: Connection, after: str) -> None:
    server.api_reply = lambda _: Reply(429, b"", {"Retry-After": after})
    began = time.monotonic()

    with pytest.raises(ApiUnavailableError) as caught:
        OAuth2Hook(oauth2_conn_id=connect()).request("GET", "orders")

    assert time.monotonic() - began < 50  # a pause that is cut to what we wait for is one of 60 s
    assert (caught.value.retry_after_s or 0) >= 3600
    assert len(server.api_requests) == 1


def test_403_with_retry_after_is_no_permanent_error(server: OAuthServer, connect: Connection) -> None:
    server.api_reply = lambda _: Reply(403, b"", {"Retry-After": "100"})

    with pytest.raises(ApiUnavailableError) as caught:
        OAuth2Hook(oauth2_conn_id=connect()).request("GET", "orders")

    assert caught.value.retry_after_s == 100


def test_an_iterator_is_not_repeated_and_the_log_says_so(
    server: OAuthServer, connect: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    server.api_reply = lambda _: Reply(503)

    with pytest.raises(ApiUnavailableError):
        OAuth2Hook(oauth2_conn_id=connect()).request("PUT", "orders", data=iter([b"x"]))

    assert len(server.api_requests) == 1
    assert "read only once" in caplog.text


# Connections ----------------------------------------------------------------------------------------------------------


def test_fifty_hooks_make_fifty_calls_over_one_connection(server: OAuthServer, connect: Connection) -> None:
    conn_id = connect()

    for number in range(50):
        OAuth2Hook(oauth2_conn_id=conn_id).request("GET", f"orders/{number}")

    assert len({seen.client for seen in server.api_requests}) == 1
    assert len(server.token_requests) == 1


def test_a_connection_that_the_server_closed_while_idle_is_replaced(server: OAuthServer, connect: Connection) -> None:
    server.api_reply = lambda seen: Reply(200, b"", {"Connection": "close"})
    hook = OAuth2Hook(oauth2_conn_id=connect())

    for _ in range(3):
        assert hook.request("POST", "orders", data=b"x").status_code == 200

    assert len(server.api_requests) == 3


def test_a_streamed_answer_is_not_read_before_the_caller_does(connect: Connection) -> None:
    returned = threading.Event()
    returned_first: list[bool] = []

    def conversation(connection: socket.socket, _: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")
        returned_first.append(returned.wait(20))
        connection.sendall(b"x" * 99)

    with RawServer(conversation) as api:
        hook = OAuth2Hook(oauth2_conn_id=connect(base_url=f"http://127.0.0.1:{api.port}"))
        response = hook.request("GET", "orders", stream=True)
        returned.set()

        assert next(response.iter_content(1)) == b"x"
        assert len(response.raw.read()) == 99
        response.close()

    assert returned_first == [True]


def test_cookies_of_the_api_come_back_within_a_session_and_in_no_other(
    server: OAuthServer, connect: Connection
) -> None:
    server.api_reply = lambda seen: Reply(200, {"cookie": seen.headers.get("cookie")}, {"Set-Cookie": "sid=made-up"})
    hook = OAuth2Hook(oauth2_conn_id=connect())

    answers = [hook.request("GET", "a").json()["cookie"] for _ in range(2)]

    assert answers == [None, "sid=made-up"]
    assert OAuth2Hook(oauth2_conn_id="shop").request("GET", "a").json()["cookie"] is None


def test_the_caller_s_retry_arguments_take_the_place_of_ours(server: OAuthServer, connect: Connection) -> None:
    server.api_reply = lambda _: Reply(404)
    own: dict[str, Any] = {"stop": tenacity.stop_after_attempt(4), "wait": tenacity.wait_none()}

    with pytest.raises(ApiRefusedError):
        OAuth2Hook(oauth2_conn_id=connect()).request("GET", "orders", retry_args=own)

    assert len(server.api_requests) == 4


def test_a_session_returns_refused_answers_as_a_plain_one_does(server: OAuthServer, connect: Connection) -> None:
    server.api_reply = lambda _: Reply(404, {"a": 1})

    response = OAuth2Hook(oauth2_conn_id=connect()).get_conn().get("orders")

    assert isinstance(response, requests.Response)
    assert (response.status_code, response.json()) == (404, {"a": 1})


# Odd arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "odd",
    [
        {"method": "GET\r\nX-Injected: yes"},
        {"method": "G T"},
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": "soon"},
        {"timeout": (1, 2, 3)},
        {"headers": {"X-Own": "a\r\nX-Injected: yes"}},
        {"headers": {"X-Own": 5}},
        {"headers": {"X-Own": "\u20ac"}},
        {"headers": {"authorization": "Bearer mine"}},
        {"auth": ("made-up", "made-up")},
        {"json": {1, 2}},
        {"json": float("nan")},
        {"params": {"a": "\ud800"}},
        {"bogus": 1},
    ],
    ids=str,
)
def test_an_argument_that_cannot_be_used_is_an_error_of_this_package_at_once(
    server: OAuthServer, connect: Connection, odd: dict[str, Any]
) -> None:
    hook = OAuth2Hook(oauth2_conn_id=connect())

    with pytest.raises(PermanentError) as caught:
        hook.request(**{"method": "GET", "endpoint": "orders", **odd})

    assert str(caught.value).isprintable()
    assert server.api_requests == []


@pytest.mark.parametrize("endpoint", ["a\n[2026-01-01] INFO forged", "a\x1b[2J", "a\u202eb"])
def test_an_endpoint_forges_no_line_of_the_log(
    connect: Connection, caplog: pytest.LogCaptureFixture, endpoint: str
) -> None:
    """An endpoint may come out of another API's answer."""
    hook = OAuth2Hook(oauth2_conn_id=connect(base_url=f"http://127.0.0.1:{free_port()}"))
    two: dict[str, Any] = {"stop": tenacity.stop_after_attempt(2)}

    with pytest.raises(ApiUnavailableError) as caught:
        hook.request("GET", endpoint, retry_args=two)

    assert all(text.isprintable() for text in (str(caught.value), *caplog.messages))


def test_an_international_name_is_one_origin_however_it_is_spelt(connect: Connection) -> None:
    hook = OAuth2Hook(oauth2_conn_id=connect(base_url="https://b\u00fccher.invalid/v1"))
    one: dict[str, Any] = {"stop": tenacity.stop_after_attempt(1)}

    for name in ("b\u00fccher.invalid", "xn--bcher-kva.invalid", "XN--BCHER-KVA.invalid:443"):
        with pytest.raises(ApiUnavailableError, match="name"):  # there is no such host
            hook.request("GET", f"https://{name}/v1/orders", retry_args=one)
