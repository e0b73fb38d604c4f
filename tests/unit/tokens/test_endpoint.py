from __future__ import annotations

import base64
import gzip
import json
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_oauth_provider.exceptions import (
    AssertionUnavailableError,
    CertificateError,
    InvalidClientError,
    OAuth2Error,
    TokenEndpointUnavailableError,
    TokenRefusedError,
    TokenResponseError,
)
from airflow_oauth_provider.oauth2.settings import AssertionSource, Transport
from airflow_oauth_provider.tokens.assertions import vouched_for
from airflow_oauth_provider.tokens.endpoint import TokenEndpoint
from airflow_oauth_provider.tokens.exchange import MAX_BODY_BYTES
from tests.support.clock import Clock
from tests.support.made_up import SECRET, client_settings
from tests.support.servers import OAuthServer, Reply, free_port

GOOD = b'{"access_token": "made-up-token", "token_type": "Bearer", "expires_in": 3600}'


@pytest.fixture
def server() -> Iterator[OAuthServer]:
    with OAuthServer() as running:
        yield running


@pytest.fixture
def endpoint(server: OAuthServer) -> TokenEndpoint:
    return TokenEndpoint(client_settings(token_endpoint=f"{server.url}/token"))


def replies(server: OAuthServer, *answers: Reply) -> None:
    waiting = list(answers)
    server.token_reply = lambda _: waiting.pop(0) if len(waiting) > 1 else waiting[0]


@pytest.mark.statement(4)
def test_it_posts_and_asks_for_an_answer_that_is_not_compressed(server: OAuthServer, endpoint: TokenEndpoint) -> None:
    token = endpoint.fetch()
    assert token.value in server.tokens
    (seen,) = server.token_requests
    assert (seen.method, seen.query) == ("POST", [])
    assert seen.headers["accept-encoding"] == "identity"
    assert seen.headers["user-agent"].startswith("airflow-oauth-provider/")


@pytest.mark.statement(51)
def test_no_token_is_fetched_in_the_name_of_another_identity_than_the_one_that_shares_it(
    server: OAuthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def jwt(sub: str, number: int) -> str:
        claims = {"iss": "https://cluster.example", "sub": sub, "jti": number}
        return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.made-up"

    endpoint = TokenEndpoint(
        client_settings(
            token_endpoint=f"{server.url}/token",
            auth_method="workload_identity",
            assertion_source=AssertionSource(variable="MADE_UP"),
        ),
        vouched_for=vouched_for(jwt("one", 1)),
    )
    for another in (jwt("another", 1), "opaque-assertion-of-somebody-else"):
        monkeypatch.setenv("MADE_UP", another)
        with pytest.raises(AssertionUnavailableError, match="vouches for somebody else"):
            endpoint.fetch()
    assert server.token_requests == []
    monkeypatch.setenv("MADE_UP", jwt("one", 2))
    assert endpoint.fetch().value in server.tokens


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_throttling_and_5xx_are_tried_three_times(
    server: OAuthServer, endpoint: TokenEndpoint, clock: Clock, status: int
) -> None:
    clock.skip_sleeps()
    replies(server, Reply(status), Reply(status), Reply(200, GOOD))
    assert endpoint.fetch().value == "made-up-token"
    replies(server, Reply(status))
    with pytest.raises(TokenEndpointUnavailableError):
        endpoint.fetch()
    assert len(server.token_requests) == 6


@pytest.mark.parametrize(
    "reply",
    [
        Reply(400, {"error": "invalid_request"}),
        Reply(400, {"error": "temporarily_unavailable"}),
        Reply(401, {"error": "invalid_client"}),
        Reply(404),
        Reply(408),
        Reply(200, "<html>"),
        Reply(302, b"", {"Location": "/elsewhere"}),
    ],
)
def test_other_answers_are_not_tried_again(
    server: OAuthServer, endpoint: TokenEndpoint, clock: Clock, reply: Reply
) -> None:
    clock.skip_sleeps()
    replies(server, reply)
    with pytest.raises(OAuth2Error):
        endpoint.fetch()
    assert len(server.seen) == 1


@pytest.mark.parametrize("raw", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort"])
def test_a_connection_that_breaks_off_is_tried_again(
    server: OAuthServer, endpoint: TokenEndpoint, clock: Clock, raw: bytes
) -> None:
    clock.skip_sleeps()
    replies(server, Reply(raw=raw), Reply(200, GOOD))
    assert endpoint.fetch().value == "made-up-token"


def test_a_server_that_is_not_there_is_tried_three_times(clock: Clock) -> None:
    clock.skip_sleeps()
    endpoint = TokenEndpoint(client_settings(token_endpoint=f"http://127.0.0.1:{free_port()}/token"))
    with pytest.raises(TokenEndpointUnavailableError, match="could not be asked: connection refused"):
        endpoint.fetch()
    assert len(clock.slept) == 2


@pytest.mark.parametrize(("value", "slept"), [("30", [30]), ("31", [])])
def test_retry_after_is_honoured_up_to_30_s_and_a_longer_one_comes_with_the_error(
    server: OAuthServer, endpoint: TokenEndpoint, clock: Clock, value: str, slept: list[float]
) -> None:
    clock.skip_sleeps()
    replies(server, Reply(503, b"", {"Retry-After": value}), Reply(200, GOOD))
    if slept:
        endpoint.fetch()
    else:
        with pytest.raises(TokenEndpointUnavailableError) as caught:
            endpoint.fetch()
        assert caught.value.retry_after_s == 31
    assert clock.slept == slept


@pytest.mark.statement(15)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server: OAuthServer, endpoint: TokenEndpoint, status: int) -> None:
    replies(server, Reply(status, b"", {"Location": f"{server.url}/api/steal"}))
    with pytest.raises(TokenRefusedError, match="redirects to"):
        endpoint.fetch()
    assert server.api_requests == []


@pytest.mark.statement(15)
def test_netrc_and_the_environments_ca_bundle_are_not_read(
    server: OAuthServer, endpoint: TokenEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login made-up password made-up")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/made/up.pem")
    endpoint.fetch()
    assert server.token_requests[0].basic() == ("made-up-app", SECRET)


@pytest.mark.statement(15)
@pytest.mark.parametrize("compressed", [False, True])
def test_the_decoded_body_is_capped(server: OAuthServer, endpoint: TokenEndpoint, compressed: bool) -> None:
    body = GOOD + b" " * MAX_BODY_BYTES
    headers = {"Content-Encoding": "gzip"} if compressed else {}
    replies(server, Reply(200, gzip.compress(body) if compressed else body, headers))
    with pytest.raises(TokenResponseError, match="more than 1 MiB"):
        endpoint.fetch()


def test_a_body_of_just_a_mebibyte_is_read(server: OAuthServer, endpoint: TokenEndpoint) -> None:
    replies(server, Reply(200, GOOD + b" " * (MAX_BODY_BYTES - len(GOOD))))
    assert endpoint.fetch().value == "made-up-token"


def test_a_body_that_was_compressed_twice_is_refused(server: OAuthServer, endpoint: TokenEndpoint) -> None:
    replies(server, Reply(200, gzip.compress(gzip.compress(GOOD)), {"Content-Encoding": "gzip, gzip"}))
    with pytest.raises(TokenResponseError, match="compressed its answer more than once"):
        endpoint.fetch()


def test_a_slow_drip_ends_at_the_deadline(server: OAuthServer, endpoint: TokenEndpoint) -> None:
    slow = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + GOOD
    replies(server, Reply(raw=slow, drip_s=0.05))
    with pytest.raises(TokenEndpointUnavailableError, match="did not finish its answer"):
        endpoint.fetch_once(0.3)


def test_an_answer_that_ends_in_silence_at_the_deadline_is_not_taken_for_a_whole_one(server: OAuthServer) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"

    def silent(_: Any) -> Reply:
        return Reply(raw=head + GOOD + b" " * 1000, drip_s=0.002)

    server.token_reply = silent
    endpoint = TokenEndpoint(client_settings(token_endpoint=f"{server.url}/token"))
    with pytest.raises(TokenEndpointUnavailableError):
        endpoint.fetch_once(0.6)


def test_the_connections_timeouts_bound_an_attempt() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/token"
        endpoint = TokenEndpoint(client_settings(token_endpoint=url, transport=Transport(0.1, 0.1)))
        with pytest.raises(TokenEndpointUnavailableError, match=r"no answer in time|did not finish"):
            endpoint.fetch_once(30)


def test_a_certificate_that_is_not_to_be_trusted_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch, endpoint: TokenEndpoint, clock: Clock
) -> None:
    clock.skip_sleeps()
    problem = ssl.SSLCertVerificationError(1, "verify failed")
    problem.verify_message = "self-signed certificate"

    def refuse(*_: Any, **__: Any) -> requests.Response:
        raise requests.exceptions.SSLError(problem)

    monkeypatch.setattr(requests.Session, "request", refuse)
    with pytest.raises(CertificateError, match=r"self-signed certificate.*verify of the connection"):
        endpoint.fetch()
    assert clock.slept == []


def test_a_machine_without_a_thread_left_still_gets_its_token(
    server: OAuthServer, endpoint: TokenEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if "process_request_thread" not in repr(getattr(thread, "_target", None)):  # the server's own
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert endpoint.fetch().value in server.tokens


def test_an_exchange_that_does_not_get_as_far_as_a_socket_ends_too(
    endpoint: TokenEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved = threading.Event()
    monkeypatch.setattr("airflow_oauth_provider.tokens.exchange._GRACE_S", 0.05)
    monkeypatch.setattr(requests.Session, "request", lambda *_, **__: resolved.wait(30))
    with pytest.raises(TokenEndpointUnavailableError, match="did not finish"):
        endpoint.fetch_once(0.1)
    resolved.set()


def test_a_narrower_scope_is_said_in_the_log(server: OAuthServer, caplog: pytest.LogCaptureFixture) -> None:
    server.token_reply = lambda _: server.issue(scope="a")
    with caplog.at_level(logging.INFO):
        TokenEndpoint(client_settings(token_endpoint=f"{server.url}/token", scope="a b")).fetch()
    assert "narrower scope than asked for: without b" in caplog.text
    assert not any(token in caplog.text for token in server.tokens)
    assert SECRET not in caplog.text


@pytest.mark.parametrize("answer", [lambda: Reply(401, {"error": "invalid_client"}), lambda: Reply(raw=b"")])
def test_an_error_holds_no_request_and_no_cause_that_does(
    server: OAuthServer, endpoint: TokenEndpoint, answer: Callable[[], Reply]
) -> None:
    replies(server, answer())
    with pytest.raises((InvalidClientError, TokenEndpointUnavailableError)) as caught:
        endpoint.fetch_once(5)
    error: Any = caught.value
    assert (error.__cause__, error.__context__) == (None, None)
    assert SECRET not in repr(vars(error))
