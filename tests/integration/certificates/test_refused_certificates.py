"""Servers that do not take the client's certificate, or miss one: one clear error, and no second try."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_oauth_provider.exceptions import (
    ApiUnavailableError,
    CertificateError,
    SettingsError,
    TokenEndpointUnavailableError,
)
from airflow_oauth_provider.oauth2.settings import KeyPair, Transport
from tests.support.certificates import Authority, self_signed_pair
from tests.support.client_certificates import demanding, endpoint_at, transport
from tests.support.keys import everything_in
from tests.support.raw import RawServer, answer, chain_of
from tests.support.servers import OAuthServer
from tests.support.sessions import session_at

if TYPE_CHECKING:
    pass


REFUSED: dict[str, tuple[Callable[[Authority], KeyPair | None], str]] = {
    "none": (lambda _: None, r"demands a client certificate.*tls_certificate.*auth_method"),
    "ended": (lambda clients: clients.client_pair(days=-2), r"it has ended"),
    "self-signed": (lambda _: self_signed_pair(), r"its issuer is not known"),
    "of another authority": (
        lambda clients: Authority.make(clients.folder, "other").client_pair(kind="RSA"),
        r"its issuer is not known",
    ),
    "without what is between": (
        lambda clients: replace(Authority.make(clients.folder, "between", below=clients), chain="").client_pair(),
        r"certificates between the two are missing",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_certificate_that_the_server_does_not_take_is_one_error_after_one_try(
    tls: OAuthServer, ours: Authority, clients: Authority, ask: Callable[[str, Transport], object], name: str
) -> None:
    make, words = REFUSED[name]
    pair = make(clients)
    with pytest.raises(CertificateError, match=words) as caught:
        ask(tls.url, transport(ours, pair))

    assert (tls.begun, tls.seen) == (1, [])
    assert str(caught.value).startswith(f"{tls.url} ")
    assert "certificate and private_key of the connection" in str(caught.value)
    assert all(not hasattr(link, "request") for link in chain_of(caught.value))
    if pair is not None:
        assert pair.private_key.splitlines()[1] not in everything_in(caught.value)


@pytest.mark.parametrize("name", ["ended", "self-signed", "of another authority"])
def test_an_older_tls_says_it_in_the_handshake(ours: Authority, clients: Authority, name: str) -> None:
    make, words = REFUSED[name]
    with (
        demanding(ours, clients.bundle.read_text(), ssl.TLSVersion.TLSv1_2) as server,
        pytest.raises(CertificateError, match=words),
    ):
        endpoint_at(server.url, transport(ours, make(clients))).fetch()


def test_an_older_tls_that_only_says_no_leads_to_the_certificate_all_the_same(
    ours: Authority, clients: Authority
) -> None:
    """It may be about something else, and pass."""
    with demanding(ours, clients.bundle.read_text(), ssl.TLSVersion.TLSv1_2) as server:
        with pytest.raises(TokenEndpointUnavailableError, match="may want a client certificate"):
            endpoint_at(server.url, transport(ours, None)).fetch_once(10)
        with pytest.raises(ApiUnavailableError, match="may want a client certificate"):
            session_at(server.url, transport=transport(ours, None)).call("POST", "api")


def alerting(code: int) -> RawServer:
    """Return a server that ends every handshake with a fatal alert (RFC 8446 §6)."""
    return RawServer(answer(b"\x15\x03\x03\x00\x02\x02" + bytes([code])))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (42, "not registered"),
        (43, "kind or purpose"),
        (44, "revoked"),
        (45, "has ended"),
        (46, "not accepted"),
        (48, "issuer is not known"),
        (49, "may not come in"),
        (116, "kind is not taken"),
    ],
)
def test_each_alert_says_what_is_wrong_with_a_certificate(
    ours: Authority, clients: Authority, code: int, words: str
) -> None:
    with alerting(code) as server:
        url = f"https://127.0.0.1:{server.port}"
        with pytest.raises(CertificateError, match=f"{url} refuses the client certificate: .*{words}"):
            session_at(url, transport=transport(ours, clients.client_pair())).call("GET", "x")

        assert server.connections == 1


@pytest.mark.parametrize("code", [42, 116])
def test_an_alert_that_misses_a_certificate_says_so(ours: Authority, code: int) -> None:
    with alerting(code) as server, pytest.raises(CertificateError, match="demands a client certificate"):
        session_at(f"https://127.0.0.1:{server.port}", transport=transport(ours, None)).call("GET", "x")


@pytest.mark.parametrize("code", [49, 70, 80])
def test_other_alerts_are_about_something_else(ours: Authority, code: int) -> None:
    with alerting(code) as server, pytest.raises(ApiUnavailableError, match="TLS failed"):
        session_at(f"https://127.0.0.1:{server.port}", transport=transport(ours, None)).call("POST", "x")


def test_what_a_proxy_does_not_like_is_not_the_servers_word(ours: Authority, clients: Authority) -> None:
    with alerting(116) as proxy:
        by_proxy = transport(ours, clients.client_pair(), proxies=(("https", f"https://127.0.0.1:{proxy.port}"),))

        with pytest.raises(ApiUnavailableError, match="the proxy: TLS failed"):
            session_at("https://server.test", transport=by_proxy).call("POST", "x")


def test_a_key_of_another_certificate_is_an_error_before_anything_is_sent(
    tls: OAuthServer, ours: Authority, clients: Authority, ask: Callable[[str, Transport], object]
) -> None:
    pair = KeyPair(clients.client_pair(number=1).private_key, clients.client_pair().certificate)
    with pytest.raises(SettingsError, match="does not belong to the private key"):
        ask(tls.url, transport(ours, pair))

    assert tls.begun == 0


def test_an_answer_before_the_body_has_arrived_is_heard(ours: Authority) -> None:
    """Without TLS it always was; with it, an alert came to nothing."""
    context = ours.server_context()

    def too_large(plain: Any, _: object) -> None:
        with context.wrap_socket(plain, server_side=True) as connection:
            connection.recv(100)
            connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with RawServer(too_large) as server:
        session = session_at(f"https://127.0.0.1:{server.port}", transport=transport(ours, None))

        assert session.put("x", data=b"x" * 20_000_000).status_code == 413
