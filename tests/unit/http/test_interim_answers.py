"""Answers that only say that one will come (RFC 9110 §15.2), as a proxy or a CDN sends them unasked."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable

import pytest

from airflow_oauth_provider.exceptions import ApiUnavailableError, TokenEndpointUnavailableError
from airflow_oauth_provider.retry import TOKEN_REQUEST_POLICY
from airflow_oauth_provider.tokens.endpoint import TokenEndpoint
from tests.support.clock import Clock
from tests.support.made_up import client_settings
from tests.support.raw import RawServer
from tests.support.sessions import session_at

EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </x.css>; rel=preload\r\n\r\n"
TOKEN = b'{"access_token": "made-up", "token_type": "Bearer", "expires_in": 3600}'


def keeping_alive(interim: bytes, body: Callable[[bytes], bytes]) -> Callable[[socket.socket, threading.Event], None]:
    """Answer each request of a connection: first with *interim*, then with what *body* makes of its path."""

    def conversation(connection: socket.socket, _: threading.Event) -> None:
        with connection.makefile("rb") as file:
            while line := file.readline():
                length = 0
                while (header := file.readline().strip().lower()) != b"":
                    length = int(header.partition(b":")[2]) if header.startswith(b"content-length") else length
                file.read(length)
                content = body(line.split()[1])
                connection.sendall(interim)
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                    % (len(content), content)
                )

    return conversation


@pytest.mark.parametrize(
    "interim",
    [EARLY, b"HTTP/1.1 102 Processing\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", EARLY * 3 + b"HTTP/1.1 199\r\n\r\n"],
)
def test_each_call_gets_its_own_answer(interim: bytes) -> None:
    with RawServer(keeping_alive(interim, lambda path: b'"%s"' % path)) as server:
        session = session_at(f"http://127.0.0.1:{server.port}/v1")
        for number in range(5):
            answer = session.call("GET", str(number)).response
            assert (answer.status_code, answer.json()) == (200, f"/v1/{number}")
        assert server.connections == 1


def test_a_token_arrives_behind_them() -> None:
    with RawServer(keeping_alive(EARLY, lambda _: TOKEN)) as server:
        settings = client_settings(token_endpoint=f"http://127.0.0.1:{server.port}/token")
        assert TokenEndpoint(settings, TOKEN_REQUEST_POLICY).fetch().value == "made-up"


@pytest.mark.parametrize("interim", [EARLY * 200, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: made-up\r\n\r\n"])
def test_what_nobody_asked_for_is_no_answer_and_leaves_no_connection_behind(clock: Clock, interim: bytes) -> None:
    clock.skip_sleeps()
    with RawServer(keeping_alive(interim, lambda path: path)) as server:
        session = session_at(f"http://127.0.0.1:{server.port}/v1")
        with pytest.raises(ApiUnavailableError, match="failed"):
            session.call("GET", "x")
        assert server.connections == 5, "one for each attempt"
        settings = client_settings(token_endpoint=f"http://127.0.0.1:{server.port}/token")
        with pytest.raises(TokenEndpointUnavailableError, match=re.escape(settings.shown_endpoint)):
            TokenEndpoint(settings, TOKEN_REQUEST_POLICY).fetch()


@pytest.mark.parametrize("line", [b"X-Bad : 1", b"no colon", b"X Bad: 1", b"HTTP/1.1 200 OK", "Ünläut: 1".encode()])
def test_an_answer_whose_headers_cannot_be_read_to_their_end_is_none(clock: Clock, line: bytes) -> None:
    """The length, the encoding and the link to the next page may stand behind that line."""
    clock.skip_sleeps()

    def conversation(connection: socket.socket, _: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + line + b"\r\nContent-Length: 900\r\n\r\n{}")

    with RawServer(conversation) as server:
        session = session_at(f"http://127.0.0.1:{server.port}/v1")
        with pytest.raises(ApiUnavailableError, match="a line among the headers of the answer is no header"):
            session.call("GET", "x")
        assert server.connections == 5
        with pytest.raises(ApiUnavailableError):
            session.call("POST", "x")
        assert server.connections == 6, "it may have been done"


def test_headers_that_contradict_each_other_are_no_mistake_of_the_caller(clock: Clock) -> None:
    clock.skip_sleeps()

    def conversation(connection: socket.socket, _: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}")

    with RawServer(conversation) as server:
        session = session_at(f"http://127.0.0.1:{server.port}/v1")
        with pytest.raises(ApiUnavailableError, match="headers of the answer contradict each other"):
            session.call("GET", "x")
        with pytest.raises(ApiUnavailableError):
            session.call("POST", "x")
        assert server.connections == 6
