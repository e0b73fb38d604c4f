"""TLS, certificate bundles and proxies on the way to the API, and what stock HTTP classes expect of the hook."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
import requests
import tenacity

from airflow_oauth_provider.exceptions import CertificateError, OAuth2Error, SettingsError
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from tests.support import worker
from tests.support.certificates import Authority
from tests.support.raw import RawServer
from tests.support.servers import OAuthServer, Reply, Seen

if TYPE_CHECKING:
    import socket
    from pathlib import Path

Connection = Callable[..., str]


# TLS ------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority.make(tmp_path, "ours")


@pytest.fixture
def other(tmp_path: Path) -> Authority:
    return Authority.make(tmp_path, "other")


@pytest.fixture
def tls(ours: Authority) -> Iterator[OAuthServer]:
    with OAuthServer(context=ours.server_context()) as running:
        yield running


def connect_to(server: OAuthServer, connect: Connection, **changes: Any) -> OAuth2Hook:
    return OAuth2Hook(oauth2_conn_id=connect(host=f"{server.url}/token", base_url=f"{server.url}/api", **changes))


@pytest.mark.statement(6)
def test_the_bundle_of_the_connection_is_for_token_and_api(
    tls: OAuthServer, connect: Connection, ours: Authority
) -> None:
    assert connect_to(tls, connect, verify=str(ours.bundle)).request("GET", "orders").status_code == 200


@pytest.mark.statement(6)
@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_bundle_of_the_environment_counts_where_the_connection_names_none(
    tls: OAuthServer, connect: Connection, ours: Authority, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, str(ours.bundle))

    assert connect_to(tls, connect).request("GET", "orders").status_code == 200


@pytest.mark.statement(6)
@pytest.mark.parametrize("verify", ["true", "other.pem"])
def test_what_the_connection_says_beats_the_bundle_of_the_environment(
    tls: OAuthServer, connect: Connection, ours: Authority, monkeypatch: pytest.MonkeyPatch, verify: str
) -> None:
    Authority.make(ours.folder, "other")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ours.bundle))

    with pytest.raises(CertificateError):
        connect_to(tls, connect, verify=verify if verify == "true" else str(ours.folder / verify)).request(
            "GET", "orders"
        )

    assert tls.seen == []


@pytest.mark.statement(6)
def test_verify_of_a_call_beats_that_of_the_connection_and_of_the_environment(
    tls: OAuthServer, connect: Connection, ours: Authority, other: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = connect_to(tls, connect, verify=str(ours.bundle))
    hook.get_token()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ours.bundle))

    with pytest.raises(CertificateError):
        hook.request("GET", "orders", verify=str(other.bundle))
    with pytest.raises(CertificateError):
        hook.run("orders", extra_options={"verify": str(other.bundle)})

    assert hook.request("GET", "orders").status_code == 200
    assert len(tls.api_requests) == 1


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_verify_false_takes_any_certificate(tls: OAuthServer, connect: Connection) -> None:
    assert connect_to(tls, connect, verify="false").request("GET", "orders").status_code == 200


# Proxies --------------------------------------------------------------------------------------------------------------


class Proxy(RawServer):
    """A proxy for plain HTTP that remembers what was asked of it, and answers all of it itself."""

    def __init__(self, *answers: bytes) -> None:
        self.asked: list[str] = []
        self._answers = list(answers)
        super().__init__(self._converse)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _converse(self, connection: socket.socket, _: threading.Event) -> None:
        request = connection.recv(65536).decode("latin-1")
        self.asked.append(" ".join(request.split(" ", 2)[:2]))
        body = b'{"access_token":"proxied.token","token_type":"Bearer","expires_in":3600}'
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
        if "/token" not in request and self._answers:
            connection.sendall(self._answers.pop(0))
            return
        connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy() as running:
        yield running


NAMES = {"host": "http://login.test/token", "base_url": "http://api.test/v1", "allow_http": True}


@pytest.mark.parametrize("way", ["environment", "connection"])
def test_names_are_reached_by_the_proxy(
    connect: Connection, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    changes = {"proxies": {"http": proxy.url}} if way == "connection" else {}
    if way == "environment":
        monkeypatch.setenv("http_proxy", proxy.url)

    assert OAuth2Hook(oauth2_conn_id=connect(**NAMES, **changes)).request("GET", "orders").status_code == 200

    assert proxy.asked == ["POST http://login.test/token", "GET http://api.test/v1/orders"]


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "127.0.0.2"])
def test_loopback_is_never_reached_by_a_proxy(
    server: OAuthServer, connect: Connection, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("all_proxy", proxy.url)
    base = f"http://{name}:{server.port}"
    hook = OAuth2Hook(oauth2_conn_id=connect(host=f"{base}/token", base_url=f"{base}/api", proxies={"all": proxy.url}))

    try:
        hook.request("GET", "orders", proxies={"http": proxy.url}, retry_args={"stop": tenacity.stop_after_attempt(1)})
        reached = True
    except OAuth2Error:  # nobody listens on the second loopback address
        reached = False

    assert reached == (name != "127.0.0.2")
    assert proxy.connections == 0


def test_no_proxy_counts_for_the_target_of_a_redirect_too(connect: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    redirect = (
        b"HTTP/1.1 302 Found\r\nLocation: http://inside.test/v1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    )
    with Proxy(redirect) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "inside.test")
        hook = OAuth2Hook(oauth2_conn_id=connect(**NAMES, allowed_hosts="http://inside.test"))
        with pytest.raises(OAuth2Error):  # there is no such name
            hook.request("GET", "orders", retry_args={"stop": tenacity.stop_after_attempt(1)})

        assert "GET http://inside.test/v1" not in proxy.asked


# Stock HTTP classes ---------------------------------------------------------------------------------------------------


def sent(seen: Seen) -> tuple[str, str, list[tuple[str, str]], bytes]:
    return seen.method, seen.path, seen.query, seen.body


@pytest.mark.parametrize(
    ("method", "call"),
    [
        ("GET", {"endpoint": "orders", "data": {"page": 2, "tag": ["a", "b"]}}),
        ("GET", {"endpoint": "/orders", "data": None}),
        ("HEAD", {"endpoint": "orders", "data": {"page": 2}}),
        ("POST", {"endpoint": "orders", "data": {"a": "1 2"}}),
        ("POST", {"endpoint": "orders", "data": '{"a": 1}', "headers": {"Content-Type": "application/json"}}),
        ("PUT", {"endpoint": "orders", "json": {"a": 1}}),
        ("PATCH", {"endpoint": "orders", "data": b"bytes"}),
        ("DELETE", {"endpoint": "orders/1"}),
        ("GET", {"endpoint": None}),
    ],
)
def test_run_sends_what_the_stock_hook_sends(
    server: OAuthServer, connect: Connection, monkeypatch: pytest.MonkeyPatch, method: str, call: dict[str, Any]
) -> None:
    from airflow.providers.http.hooks.http import HttpHook

    server.api_reply = lambda _: Reply(200, b"{}")
    monkeypatch.setenv("AIRFLOW_CONN_STOCK", f'{{"conn_type": "http", "host": "{server.url}/api"}}')

    OAuth2Hook(oauth2_conn_id=connect(), method=method).run(**call)
    HttpHook(http_conn_id="stock", method=method).run(**call)

    ours, theirs = server.api_requests
    assert sent(ours) == sent(theirs)
    assert ours.headers.get("content-type") == theirs.headers.get("content-type")


def test_run_takes_every_option_of_the_stock_hook(server: OAuthServer, connect: Connection, ours: Authority) -> None:
    server.api_reply = lambda seen: Reply(302, b"", {"Location": "/api/to"}) if seen.path == "/api/from" else Reply(404)
    hook = OAuth2Hook(oauth2_conn_id=connect())
    options = {"timeout": 50, "verify": str(ours.bundle), "cert": None, "proxies": {}, "stream": True}

    unchecked = hook.run("gone", extra_options={**options, "check_response": False})
    there = hook.run("from", extra_options={"allow_redirects": False})

    assert (unchecked.status_code, there.status_code) == (404, 302)
    unchecked.close()
    with pytest.raises(OAuth2Error, match="redirected too often"):
        hook.run("from", extra_options={"max_redirects": 0, "check_response": False})
    with pytest.raises(SettingsError, match="retries"):
        hook.run("from", extra_options={"retries": 3})


def test_advanced_retry_repeats_as_the_caller_says_and_still_renews_a_token(
    server: OAuthServer, connect: Connection
) -> None:
    replies = [Reply(404), Reply(401), Reply(404)]
    hook = OAuth2Hook(oauth2_conn_id=connect())
    worker.store_old_token()
    server.api_reply = lambda _: replies.pop(0) if replies else Reply(200, {"ok": True})

    response = hook.run_with_advanced_retry(
        {"stop": tenacity.stop_after_attempt(5), "wait": tenacity.wait_none()}, endpoint="orders"
    )

    assert response.json() == {"ok": True}
    # The second attempt is one refused send and one with a new token.
    assert len(server.api_requests) == 4
    assert len(server.token_requests) == 1


def test_advanced_retry_has_our_own_retries_off(server: OAuthServer, connect: Connection) -> None:
    server.api_reply = lambda _: Reply(503)

    with pytest.raises(OAuth2Error):
        OAuth2Hook(oauth2_conn_id=connect()).run_with_advanced_retry(
            {"stop": tenacity.stop_after_attempt(1)}, endpoint="orders"
        )

    assert len(server.api_requests) == 1


@pytest.mark.statement(15)
def test_a_netrc_file_is_not_read_for_the_api_either(
    server: OAuthServer, connect: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("default login made-up-user password made-up-password\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    hook = OAuth2Hook(oauth2_conn_id=connect())
    with requests.Session() as session:
        assert session.get(f"{server.url}/api/orders", auth=hook.auth).ok
        assert hook.get_conn().get(f"{server.url}/api/orders").ok

    assert {seen.headers["authorization"] for seen in server.api_requests} == {f"Bearer {hook.get_token().value}"}
