from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3

from airflow_oauth_provider.network import (
    causes,
    certificate_problem,
    describe,
    is_loopback,
    means_this_machine,
    misconfiguration,
    never_connected,
    proxies_for,
    timed_out,
)
from airflow_oauth_provider.oauth2.settings import Transport
from tests.support.servers import Reply, Server, free_port


def failure(call: Callable[[], Any]) -> requests.RequestException:
    with pytest.raises(requests.RequestException) as caught:
        call()
    return caught.value


@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost", "127.0.0.1", "127.8.9.1", "::1", "[::1]", "0:0:0:0:0:0:0:1"]
)
def test_loopback_is_localhost_and_the_loopback_addresses(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "localhost.",
        "localhost.example.com",
        "127.0.0.1.nip.io",
        "0.0.0.0",
        "10.0.0.1",
        "[::]",
        "2130706433",
        "0x7f.1",
    ],
)
def test_nothing_else_is_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("url", ["http://localhost:81/x", "https://127.0.0.1/x", "http://[::1]:8080/x"])
def test_loopback_is_never_reached_by_a_proxy(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.com:3128")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example.com:3128")
    assert proxies_for(url, Transport()) == {}
    assert (
        proxies_for(url, Transport(proxies=(("https", "http://p.example.com"), ("http", "http://p.example.com")))) == {}
    )


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.1", "0.0.0.0", "2130706433", "0x7f000001", "[::1]",
     "[::]", "[::ffff:127.0.0.1]", "ip6-localhost", "localhost4", "localhost.localdomain", socket.gethostname()],
)  # fmt: skip
def test_whatever_spelling_means_this_machine(host: str) -> None:
    assert means_this_machine(host)


@pytest.mark.parametrize("host", ["localhost.example.com", "127.0.0.1.example.com", "10.0.0.1", "[2001:db8::1]", ""])
def test_other_hosts_do_not_mean_this_machine(host: str) -> None:
    assert not means_this_machine(host)


def test_the_connections_proxies_beat_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://environment.example.com:3128")
    url = "https://api.example.com/v1"
    assert proxies_for(url, Transport())["https"] == "http://environment.example.com:3128"
    ours = (("https", "http://ours.example.com:3128"),)
    assert proxies_for(url, Transport(proxies=ours)) == dict(ours)


def test_no_proxy_of_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://environment.example.com:3128")
    monkeypatch.setenv("NO_PROXY", "api.example.com")
    assert proxies_for("https://api.example.com/v1", Transport()) == {}
    assert proxies_for("https://other.example.com/v1", Transport()) != {}


def test_a_refused_connection_never_connected() -> None:
    error = failure(lambda: requests.get(f"http://127.0.0.1:{free_port()}/path?secret=1", timeout=60))
    assert never_connected(error)
    assert not timed_out(error)
    assert describe(error) == "connection refused"


def test_a_server_that_hangs_up_may_have_done_something() -> None:
    with Server(lambda _: Reply(raw=b"")) as server:
        error = failure(lambda: requests.get(server.url, timeout=60))
    assert not never_connected(error)
    assert describe(error) == "the connection broke off"


def test_a_server_that_resets_is_named() -> None:
    wrapped = requests.ConnectionError(
        urllib3.exceptions.ProtocolError("x", ConnectionResetError(errno.ECONNRESET, "Reset!"))
    )
    assert describe(wrapped) == "reset!"
    assert not never_connected(wrapped)


def test_a_body_that_is_shorter_than_announced_broke_off() -> None:
    with Server(lambda _: Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort")) as server:
        error = failure(lambda: requests.get(server.url, timeout=60))
    assert describe(error) == "the answer broke off"


def test_broken_compression_is_named() -> None:
    reply = Reply(200, b"not gzip", {"Content-Encoding": "gzip"})
    with Server(lambda _: reply) as server:
        error = failure(lambda: requests.get(server.url, timeout=60))
    assert describe(error) == "the answer's compression is broken"


def test_a_silent_server_timed_out_after_the_connection_stood() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        error = failure(lambda: requests.get(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=(60, 0.05)))
    assert timed_out(error)
    assert not never_connected(error)
    assert describe(error) == "no answer in time"


def test_a_connection_that_does_not_stand_in_time_never_connected() -> None:
    error = requests.ConnectTimeout("x")
    assert never_connected(error)
    assert describe(error) == "no connection in time"


def test_an_unknown_host_name_is_named() -> None:
    error = urllib3.exceptions.NameResolutionError("api.invalid", None, socket.gaierror(-2, "unknown"))  # type: ignore[arg-type]
    assert describe(requests.ConnectionError(error)) == "the host name is not known"
    assert never_connected(error)


def test_a_certificate_problem_is_found_wherever_it_lies() -> None:
    problem = ssl.SSLCertVerificationError(1, "certificate verify failed")
    problem.verify_message = "self-signed certificate"
    wrapped = requests.exceptions.SSLError(urllib3.exceptions.MaxRetryError(None, "/", problem))  # type: ignore[arg-type]
    assert certificate_problem(wrapped) == "self-signed certificate"
    assert certificate_problem(requests.exceptions.SSLError("handshake")) is None
    assert certificate_problem(requests.ConnectionError()) is None


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_ca_bundle_that_is_none_is_a_matter_of_verify(tmp_path: Path, content: str | None) -> None:
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_text(content)
    with Server(lambda _: Reply()) as server, pytest.raises(OSError) as caught:  # noqa: PT011  # requests' or ssl's
        requests.get(f"https://127.0.0.1:{server.port}/", verify=str(bundle), timeout=60)
    assert "check verify" in (misconfiguration(caught.value) or "")


def test_a_proxy_that_cannot_be_used_is_a_matter_of_proxies() -> None:
    error = failure(lambda: requests.get("https://api.example.com/", proxies={"https": "http:///x"}, timeout=1))
    assert "check proxies" in (misconfiguration(error) or "")


def test_a_socks_proxy_without_its_package_says_what_to_install() -> None:
    error = requests.exceptions.InvalidSchema("Missing dependencies for SOCKS support.")
    assert "requests[socks]" in (misconfiguration(error) or "")


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example"])
def test_a_host_name_that_cannot_be_encoded_is_a_matter_of_the_url(host: str) -> None:
    with pytest.raises(UnicodeError) as caught:
        socket.getaddrinfo(host, 80)
    assert "URL" in (misconfiguration(caught.value) or "")


def test_what_the_network_does_is_no_misconfiguration() -> None:
    assert misconfiguration(UnicodeDecodeError("utf-8", b"x", 0, 1, "made up")) is None
    assert misconfiguration(requests.ConnectionError(ConnectionResetError(104, "reset"))) is None
    assert misconfiguration(requests.ReadTimeout("x")) is None


def test_another_tls_failure_is_named() -> None:
    failed = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")
    failed.reason = "WRONG_VERSION_NUMBER"
    assert describe(requests.exceptions.SSLError(failed)) == "TLS failed (WRONG_VERSION_NUMBER)"


def test_a_handshake_that_failed_may_have_wanted_a_certificate() -> None:
    failed = ssl.SSLError(1, "[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] sslv3 alert handshake failure")
    failed.reason = "SSLV3_ALERT_HANDSHAKE_FAILURE"
    assert "may want a client certificate" in describe(requests.exceptions.SSLError(failed))


def test_a_description_never_holds_url_or_query() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/made-up-path?key=made-up-key"
        error = failure(lambda: requests.get(url, timeout=(60, 0.05)))
    assert "made-up" not in describe(error)


def test_causes_that_lie_behind_each_other_are_each_seen_once() -> None:
    first, second = ValueError("a"), KeyError("b")
    first.__cause__, second.__context__ = second, first
    assert list(causes(first)) == [first, second]
