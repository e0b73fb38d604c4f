"""Who is shown the client's certificate in real TLS handshakes, and who is not."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from airflow_oauth_provider.exceptions import (
    CertificateError,
    OAuth2Error,
    OriginError,
)
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.oauth2.settings import Transport
from tests.support.certificates import Authority, self_signed_pair
from tests.support.client_certificates import demanding, endpoint_at, thumbprint, transport
from tests.support.raw import RawServer, hang
from tests.support.servers import OAuthServer, Reply
from tests.support.sessions import session_at
from tests.support.tunnels import Tunnel

if TYPE_CHECKING:
    pass


@pytest.mark.statement(32)
@pytest.mark.parametrize("kind", ["RSA", "P-256", "P-384", "P-521", "Ed25519"])
def test_token_endpoint_revocation_and_api_are_shown_the_certificate(
    tls: OAuthServer, ours: Authority, clients: Authority, kind: str
) -> None:
    pair = clients.client_pair(kind=kind)
    shown = transport(ours, pair)

    token = endpoint_at(tls.url, shown).fetch()
    session_at(f"{tls.url}/api", transport=shown).call("GET", "orders")
    endpoint_at(tls.url, shown).revoke(token, 10)

    assert [seen.path for seen in tls.seen] == ["/token", "/api/orders", "/revoke"]
    assert {seen.certificate for seen in tls.seen} == {thumbprint(pair)}
    assert dict(tls.token_requests[0].form)["client_id"]
    assert "authorization" not in tls.token_requests[0].headers


@pytest.mark.parametrize("latest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_certificates_between_the_clients_and_the_root_go_along(
    ours: Authority, clients: Authority, latest: ssl.TLSVersion
) -> None:
    pair = Authority.make(clients.folder, "between", below=clients).client_pair()
    with demanding(ours, clients.bundle.read_text(), latest) as server:
        session_at(server.url, transport=transport(ours, pair)).call("GET", "api")

        assert [seen.certificate for seen in server.seen] == [thumbprint(pair)]


def test_a_self_signed_certificate_is_shown_to_a_server_that_knows_it(ours: Authority) -> None:
    pair = self_signed_pair(kind="RSA")
    with demanding(ours, pair.certificate or "") as server:
        assert endpoint_at(server.url, transport(ours, pair)).fetch().value in server.tokens
        assert [seen.certificate for seen in server.seen] == [thumbprint(pair)]


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_the_certificate_is_shown_to_a_server_that_is_not_verified_too(
    tls: OAuthServer, ours: Authority, clients: Authority
) -> None:
    pair = clients.client_pair()
    shown = transport(ours, pair, verify=False)

    endpoint_at(tls.url, shown).fetch()
    session_at(f"{tls.url}/api", transport=shown).call("GET", "orders")

    assert [seen.certificate for seen in tls.seen] == [thumbprint(pair)] * 2


@pytest.mark.statement(6)
@pytest.mark.parametrize("bundle", [None, "clients.pem"])
def test_a_server_that_is_not_to_be_trusted_is_refused_as_without_a_certificate(
    tls: OAuthServer, ours: Authority, clients: Authority, bundle: str | None
) -> None:
    shown = transport(ours, clients.client_pair(), verify=str(clients.folder / bundle) if bundle else True)

    with pytest.raises(CertificateError, match="verify of the connection"):
        endpoint_at(tls.url, shown).fetch()
    with pytest.raises(CertificateError, match="verify of the connection"):
        session_at(f"{tls.url}/api", transport=shown).call("GET", "orders")
    # Another bundle for one call counts for that call.
    assert session_at(f"{tls.url}/api", transport=shown).get("orders", verify=str(ours.bundle)).status_code == 200
    assert len(tls.seen) == 1


# To whom it is not shown ----------------------------------------------------------------------------------------------


@pytest.mark.statement(24)
def test_a_redirect_to_another_origin_leads_not_even_to_a_handshake(
    tls: OAuthServer, ours: Authority, clients: Authority, ask: Callable[[str, Transport], object]
) -> None:
    with RawServer(hang) as foreign:
        elsewhere = {"Location": f"https://127.0.0.1:{foreign.port}/steal"}
        tls.token_reply = tls.api_reply = lambda _: Reply(307, b"", elsewhere)

        with pytest.raises(OAuth2Error, match="redirect"):
            ask(tls.url, transport(ours, clients.client_pair()))

        assert foreign.connections == 0
    assert len(tls.seen) == 1


@pytest.mark.statement(24)
def test_an_absolute_url_of_another_origin_leads_not_even_to_a_handshake(
    tls: OAuthServer, ours: Authority, clients: Authority
) -> None:
    session = session_at(f"{tls.url}/api", transport=transport(ours, clients.client_pair()))
    with RawServer(hang) as foreign:
        with pytest.raises(OriginError):
            session.call("GET", f"https://127.0.0.1:{foreign.port}/steal")

        assert foreign.connections == 0


def test_a_redirect_to_an_allowed_host_takes_the_certificate_along(
    tls: OAuthServer, ours: Authority, clients: Authority
) -> None:
    pair = clients.client_pair()
    with demanding(ours, clients.bundle.read_text()) as other:
        tls.api_reply = lambda _: Reply(302, b"", {"Location": f"{other.url}/api/to"})
        session = session_at(f"{tls.url}/api", transport=transport(ours, pair), allowed_hosts=(other.url,))

        session.call("GET", "from")

        assert [seen.certificate for seen in other.seen] == [thumbprint(pair)]


@pytest.mark.parametrize("with_tls", [False, True])
def test_a_proxy_leads_the_handshake_through_and_is_shown_nothing(
    ours: Authority, clients: Authority, with_tls: bool
) -> None:
    pair = clients.client_pair()
    context = ours.server_context(address="server.test", clients=clients.bundle.read_text())
    own = ours.server_context(clients=clients.bundle.read_text())
    own.verify_mode = ssl.CERT_OPTIONAL
    with OAuthServer(context=context) as server, Tunnel(server.port, context=own if with_tls else None) as proxy:
        server.api_reply = lambda _: Reply(200, {})
        shown = transport(ours, pair, proxies=(("https", proxy.url),))

        endpoint_at("https://server.test", shown).fetch()
        session = session_at("https://server.test/api", transport=shown)
        for _ in range(3):
            session.call("GET", "orders")

        assert {seen.certificate for seen in server.seen} == {thumbprint(pair)}
        assert len(server.seen) == 4
        assert proxy.asked == ["server.test:443"] * 2
        assert proxy.certificates == [None] * 2


# By a connection ------------------------------------------------------------------------------------------------------


@pytest.mark.statement(32)
@pytest.mark.parametrize(
    "changes", [{"auth_method": "tls_client_auth", "password": None}, {}], ids=["alone", "beside a secret"]
)
def test_a_connections_certificate_is_shown_to_token_endpoint_and_api(
    tls: OAuthServer, connect: Callable[..., str], ours: Authority, clients: Authority, changes: dict[str, Any]
) -> None:
    pair = clients.client_pair()
    connection = connect(
        host=f"{tls.url}/token",
        base_url=f"{tls.url}/api",
        verify=str(ours.bundle),
        private_key=pair.private_key.replace("\n", "\\n"),
        certificate=pair.certificate,
        **changes,
    )

    assert OAuth2Hook(oauth2_conn_id=connection).request("GET", "orders").status_code == 200

    assert [(seen.path, seen.certificate) for seen in tls.seen] == [
        ("/token", thumbprint(pair)),
        ("/api/orders", thumbprint(pair)),
    ]
