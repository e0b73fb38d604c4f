"""
What makes two token requests the same.

Everything that goes on the wire is part of the key, and a fingerprint of the credential: two clients, scopes,
audiences, tenants or values of an extra parameter never share a token, and a changed secret is tried at once.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_oauth_provider.oauth2.token_request import wire_parameters

if TYPE_CHECKING:
    from airflow_oauth_provider.oauth2.settings import ClientSettings

_FORMAT = "airflow-oauth-provider/1"


@dataclass(frozen=True)
class CacheKeys:
    """
    The names under which entries are stored; each a SHA-256 in hexadecimal digits.

    :param request: the whole token request: its token, and refusals of just this request (``invalid_scope``)
    :param credential: endpoint, client and credential: refusals of those (``invalid_client``)
    :param client: endpoint and client: throttling (429, 503)
    """

    request: str
    credential: str
    client: str


def cache_keys(settings: ClientSettings, fingerprint: bytes) -> CacheKeys:
    """
    Return the names for *settings*.

    :param fingerprint: of the credential, from :class:`~airflow_oauth_provider.tokens.seal.Seal`
    """
    client = ("client", settings.token_endpoint, settings.client_id)
    credential = (*client, settings.auth_method, settings.basic_encoding, settings.grant_type, fingerprint.hex())
    parameters = (part for pair in wire_parameters(settings) for part in pair)
    proxies = json.dumps(settings.transport.proxies)
    return CacheKeys(
        request=_digest("request", *credential, *parameters, "", str(settings.transport.verify), proxies),
        credential=_digest("credential", *credential),
        client=_digest(*client, fingerprint.hex()),
    )


def _digest(*parts: str) -> str:
    digest = hashlib.sha256()
    for part in (_FORMAT, *parts):
        encoded = part.encode()
        # Length-prefixed, so that no two lists of parts run together to the same bytes.
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()
