"""Servers that demand a client certificate, and clients that show one."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from airflow_oauth_provider.oauth2.keys import certificate_thumbprint
from airflow_oauth_provider.oauth2.settings import TLS_CLIENT_AUTH, KeyPair, Transport
from airflow_oauth_provider.tokens.endpoint import TokenEndpoint
from tests.support.made_up import client_settings
from tests.support.servers import OAuthServer, Reply

if TYPE_CHECKING:
    from tests.support.certificates import Authority


def demanding(ours: Authority, accepted: str, latest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> OAuthServer:
    """
    Return a server that lets nobody in without a certificate, and then everybody.

    :param ours: the authority of the server's own certificate
    :param accepted: PEM of the authorities or self-signed certificates that it knows
    :param latest: TLS that it speaks
    """
    context = ours.server_context(clients=accepted)
    context.maximum_version = latest
    server = OAuthServer(context=context)
    server.api_reply = lambda _: Reply(200, {})
    return server


def transport(ours: Authority, pair: KeyPair | None, **changes: Any) -> Transport:
    """Return what trusts the servers of *ours*, and shows *pair*."""
    return Transport(**{"verify": str(ours.bundle), "client_certificate": pair, **changes})


def endpoint_at(url: str, transport: Transport) -> TokenEndpoint:
    """Return the token endpoint of the server at *url*."""
    return TokenEndpoint(
        client_settings(
            token_endpoint=f"{url}/token",
            revocation_endpoint=f"{url}/revoke",
            client_secret="",
            auth_method=TLS_CLIENT_AUTH,
            transport=transport,
        )
    )


def thumbprint(pair: KeyPair) -> str:
    """Return what a server sees of a certificate (RFC 8705 §3.1)."""
    return certificate_thumbprint(pair.certificate or "")
