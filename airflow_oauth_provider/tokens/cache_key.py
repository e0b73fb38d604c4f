"""
What makes two token requests the same.

Everything that goes on the wire is part of the key, how an answer is read, and a fingerprint of the credential: two
clients, scopes, audiences, tenants or values of an extra parameter never share a token, and a changed secret is tried
at once. A proof key that we generate is no part of it: it lies beside the token that is bound to it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_oauth_provider.oauth2.token_request import wire_parameters
from airflow_oauth_provider.tokens.credential import certificates_of

if TYPE_CHECKING:
    from airflow_oauth_provider.oauth2.settings import ClientSettings
    from airflow_oauth_provider.tokens.credential import Credential

_FORMAT = "airflow-oauth-provider/1"


@dataclass(frozen=True)
class CacheKeys:
    """
    The names under which entries are stored; each a SHA-256 in hexadecimal digits.

    :param request: the whole token request: its token, and refusals of just this request (``invalid_scope``)
    :param credential: endpoint, client and how it proves itself, with all further parameters, as a tenant may be one:
        refusals of those (``invalid_client``)
    :param client: endpoint and client: throttling (429, 503)
    """

    request: str
    credential: str
    client: str


def cache_keys(settings: ClientSettings, credential: Credential, fingerprint: bytes) -> CacheKeys:
    """
    Return the names for *settings*.

    :param fingerprint: of the key of the seal, from :class:`~airflow_oauth_provider.tokens.seal.Seal`
    """
    secret = (fingerprint.hex(), credential.identity, *certificates_of(settings))
    client = ("client", settings.server, str(settings.discover), settings.client_id)
    proves = (
        *client,
        settings.auth_method,
        settings.basic_encoding,
        settings.grant_type,
        *(_text(part) for part in (settings.key_id, settings.signing_algorithm, settings.issuer)),
        *(_text(part) for part in (settings.assertion_audience, settings.assertion_typ, settings.subject)),
        _text(settings.assertion_claims),
        settings.dpop,
        settings.dpop_algorithm if settings.dpop else "",
        *_counted(settings.extra_params),
        *_counted(settings.secret_params),
        *secret,
    )
    parameters = (part for pair in wire_parameters(settings) for part in pair)
    transport = settings.transport
    return CacheKeys(
        request=_digest(
            "request",
            *proves,
            *parameters,
            "",
            repr(settings.answer),
            str(transport.verify),
            json.dumps(transport.proxies),
        ),
        credential=_digest("credential", *proves),
        client=_digest(*client, *secret),
    )


def _counted(pairs: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    return str(len(pairs)), *(part for pair in pairs for part in pair)


def _text(part: str | None) -> str:
    return "" if part is None else f"={part}"


def _digest(*parts: str) -> str:
    digest = hashlib.sha256()
    for part in (_FORMAT, *parts):
        encoded = part.encode()
        # Length-prefixed, so that no two lists of parts run together to the same bytes.
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()
