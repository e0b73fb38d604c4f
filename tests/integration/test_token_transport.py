"""What can go wrong on the way to the token endpoint: sockets, TLS, redirects, servers that drip."""

from __future__ import annotations

import gzip
import json
import time
import tracemalloc
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from airflow_oauth_provider.exceptions import (
    CertificateError,
    OAuth2Error,
    TokenEndpointUnavailableError,
    TokenRefusedError,
    TokenResponseError,
)
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from tests.integration.test_token_answers import GOOD, THRICE_S, check_text
from tests.support.certificates import Authority
from tests.support.processes import wait_until
from tests.support.raw import Conversation, RawServer, answer, drip, hang, reset
from tests.support.servers import OAuthServer, Reply, free_port

if TYPE_CHECKING:
    from pathlib import Path

Connection = Callable[..., str]

BODY = json.dumps(GOOD).encode()
HEADER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n\r\n" % len(BODY)


def header_then_drip(connection_header: bytes) -> Conversation:
    slowly = drip(BODY, 0.2)

    def conversation(connection: object, stopping: object) -> None:
        answer(connection_header)(connection, stopping)  # type: ignore[arg-type]
        slowly(connection, stopping)  # type: ignore[arg-type]

    return conversation


BROKEN: dict[str, Conversation] = {
    "closed at once": answer(b""),
    "reset": reset,
    "silent": hang,
    "not HTTP": answer(b"\x00\xff\xfe SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "half a status line": answer(b"HTTP/1."),
    "endless header": answer(b"HTTP/1.1 200 OK\r\n" + b"X-Junk: x\r\n" * 5000),
    "a header line of a megabyte": answer(b"HTTP/1.1 200 OK\r\nX-Junk: " + b"x" * 2**20 + b"\r\n"),
    "a body that breaks off": answer(HEADER + LENGTH + BODY[:-10]),
    "a chunk that breaks off": answer(HEADER + b"Transfer-Encoding: chunked\r\n\r\n40\r\n" + BODY[:20]),
    "chunks without an end": answer(HEADER + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(BODY), BODY)),
    "a chunk of nonsense": answer(HEADER + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + BODY),
    "dripping header": drip(HEADER + LENGTH + BODY, 0.2),
    "dripping body": header_then_drip(HEADER + LENGTH),
    "dripping body without a length": header_then_drip(HEADER + b"Connection: close\r\n\r\n"),
    "dripping chunks": header_then_drip(HEADER + b"Transfer-Encoding: chunked\r\n\r\n"),
}


@pytest.mark.statement(14)
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_exchange_is_tried_three_times_and_then_one_clear_error(connect: Connection, name: str) -> None:
    with RawServer(BROKEN[name]) as server:
        hook = OAuth2Hook(oauth2_conn_id=connect(host=f"http://127.0.0.1:{server.port}/token", timeout="0.5,0.5"))
        began = time.monotonic()
        with pytest.raises(TokenEndpointUnavailableError, match="The token endpoint http://127") as caught:
            hook.get_token()
        took_s = time.monotonic() - began
        wait_until(lambda: server.connections >= 3)  # an attempt may be given up before it is heard of

    assert took_s < THRICE_S
    assert server.connections == 3
    check_text(caught.value)


@pytest.mark.statement(14)
def test_headers_that_break_off_are_no_answer(connect: Connection) -> None:
    with RawServer(answer(b"HTTP/1.1 200 OK\r\nContent-Ty")) as server:
        hook = OAuth2Hook(oauth2_conn_id=connect(host=f"http://127.0.0.1:{server.port}/token"))
        with pytest.raises(TokenEndpointUnavailableError) as caught:
            hook.get_token()

    assert server.connections == 3
    check_text(caught.value)


def test_a_dripping_tls_handshake_ends_in_time(connect: Connection) -> None:
    server_hello = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03" + b"\0" * 200
    with RawServer(drip(server_hello, 0.2)) as server:
        hook = OAuth2Hook(oauth2_conn_id=connect(host=f"https://127.0.0.1:{server.port}/token", timeout="0.5,0.5"))
        began = time.monotonic()
        with pytest.raises(TokenEndpointUnavailableError) as caught:
            hook.get_token()

    assert time.monotonic() - began < THRICE_S
    check_text(caught.value)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_port_on_which_nobody_listens_is_one_clear_error(connect: Connection, scheme: str) -> None:
    hook = OAuth2Hook(oauth2_conn_id=connect(host=f"{scheme}://127.0.0.1:{free_port()}/token"))

    with pytest.raises(TokenEndpointUnavailableError, match="connection refused") as caught:
        hook.get_token()

    check_text(caught.value)


def test_plain_http_where_tls_is_expected_is_one_clear_error(server: OAuthServer, connect: Connection) -> None:
    hook = OAuth2Hook(oauth2_conn_id=connect(host=f"https://127.0.0.1:{server.port}/token"))

    with pytest.raises(OAuth2Error, match="TLS failed") as caught:
        hook.get_token()

    check_text(caught.value)
    assert server.token_requests == []


@pytest.mark.statement(6)
def test_a_certificate_of_a_trusted_authority_is_taken(connect: Connection, tmp_path: Path) -> None:
    authority = Authority.make(tmp_path, "ours")
    with OAuthServer(context=authority.server_context()) as server:
        hook = OAuth2Hook(oauth2_conn_id=connect(host=f"{server.url}/token", verify=str(authority.bundle)))

        assert hook.get_token().value in server.tokens


@pytest.mark.statement(6)
@pytest.mark.parametrize("problem", ["untrusted", "ended", "of another host"])
def test_a_certificate_that_is_not_to_be_trusted_is_refused_at_once(
    connect: Connection, tmp_path: Path, problem: str
) -> None:
    ours, other = Authority.make(tmp_path, "ours"), Authority.make(tmp_path, "other")
    context, words = {
        "untrusted": (other.server_context(), "self-signed|unable to get local issuer|signature failure"),
        "ended": (ours.server_context(days=-2), "expired"),
        "of another host": (ours.server_context(address="127.0.0.2"), "mismatch"),
    }[problem]
    with OAuthServer(context=context) as server:
        hook = OAuth2Hook(oauth2_conn_id=connect(host=f"{server.url}/token", verify=str(ours.bundle)))
        with pytest.raises(CertificateError, match=words) as caught:
            hook.get_token()
        assert server.token_requests == []

    assert "verify of the connection" in str(caught.value)
    check_text(caught.value)


@pytest.mark.statement(15)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["elsewhere", "the same server"])
def test_a_redirect_is_an_error_and_its_target_gets_nothing(
    server: OAuthServer, connect: Connection, status: int, target: str
) -> None:
    with OAuthServer() as other:
        location = f"{other.url}/token" if target == "elsewhere" else f"{server.url}/token/"
        server.token_reply = lambda _: Reply(status, b"", {"Location": location})
        with pytest.raises(OAuth2Error, match=r"[Rr]edirects are not followed") as caught:
            OAuth2Hook(oauth2_conn_id=connect()).get_token()

        assert other.connections == 0
    assert len(server.seen) == 1
    assert type(caught.value).__name__ == "TokenRefusedError"
    assert location in str(caught.value)
    check_text(caught.value)


@pytest.mark.statement(15)
@pytest.mark.parametrize("location", ["http://[", "//[x", "https://exämple.com/ü", "made up"])
def test_a_redirect_to_nowhere_is_one_too(server: OAuthServer, connect: Connection, location: str) -> None:
    server.token_reply = lambda _: Reply(302, b"", {"Location": location.encode().decode("latin-1")})
    with pytest.raises(TokenRefusedError, match=r"[Rr]edirects are not followed") as caught:
        OAuth2Hook(oauth2_conn_id=connect()).get_token()
    assert len(server.seen) == 1
    check_text(caught.value)


@pytest.mark.statement(15)
@pytest.mark.parametrize("headers", [{}, {"Location": "/elsewhere"}], ids=["with status 200", "of a redirect"])
def test_a_body_that_swells_is_not_read_to_its_end(
    server: OAuthServer, connect: Connection, headers: dict[str, str]
) -> None:
    swelling = gzip.compress(bytes(64 * 2**20), 1)
    status = 302 if headers else 200
    server.token_reply = lambda _: Reply(status, swelling, {"Content-Encoding": "gzip", **headers})
    tracemalloc.start()
    try:
        with pytest.raises(TokenResponseError, match="more than 1 MiB"):
            OAuth2Hook(oauth2_conn_id=connect()).get_token()
        assert tracemalloc.get_traced_memory()[1] < 32 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.statement(15)
def test_a_netrc_file_is_not_read(
    server: OAuthServer, connect: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login made-up-user password made-up-password\n")
    monkeypatch.setenv("NETRC", str(netrc))
    hook = OAuth2Hook(oauth2_conn_id=connect(auth_method="client_secret_post"))

    assert hook.request("GET", "orders").status_code == 200

    assert [seen.headers.get("authorization", "")[:7] for seen in server.seen] == ["", "Bearer "]
