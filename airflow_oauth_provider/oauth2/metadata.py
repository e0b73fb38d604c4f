"""What an authorization server says of itself (RFC 8414, OpenID Connect Discovery)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from airflow_oauth_provider.exceptions import (
    ServerMetadataError,
    TokenEndpointUnavailableError,
    TokenResponseError,
)
from airflow_oauth_provider.oauth2.settings import DPOP_OFF
from airflow_oauth_provider.oauth2.token_response import json_object
from airflow_oauth_provider.retry import RETRIED_STATUSES, retry_after_s

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_oauth_provider.masking import Redactor
    from airflow_oauth_provider.oauth2.settings import ClientSettings

_MAX_SHOWN = 200


@dataclass(frozen=True)
class ServerMetadata:
    """
    What is used of a metadata document. A list that the document does not have is None.

    :param issuer: the server's identifier (RFC 8414 §2)
    :param auth_methods: ways of client authentication at the token endpoint
    :param signing_algorithms: of client assertions there
    :param dpop_algorithms: of DPoP proofs (RFC 9449 §5.1)
    :param mtls_token_endpoint: for clients that show a certificate (RFC 8705 §5)
    """

    issuer: str
    token_endpoint: str
    revocation_endpoint: str | None = None
    mtls_token_endpoint: str | None = None
    mtls_revocation_endpoint: str | None = None
    auth_methods: tuple[str, ...] | None = None
    signing_algorithms: tuple[str, ...] | None = None
    dpop_algorithms: tuple[str, ...] | None = None
    grant_types: tuple[str, ...] | None = None

    @classmethod
    def from_members(cls, members: Mapping[str, Any]) -> Self:
        """
        Return what a document's *members* say; what is not of its type is as if it were not there.

        :raises ValueError: without an issuer or a token endpoint it is of no use
        """
        issuer, token_endpoint = _text(members, "issuer"), _text(members, "token_endpoint")
        if issuer is None or token_endpoint is None:
            raise ValueError("issuer" if issuer is None else "token_endpoint")
        aliases = members.get("mtls_endpoint_aliases")
        aliases = aliases if isinstance(aliases, dict) else {}
        return cls(
            issuer=issuer,
            token_endpoint=token_endpoint,
            revocation_endpoint=_text(members, "revocation_endpoint"),
            mtls_token_endpoint=_text(aliases, "token_endpoint"),
            mtls_revocation_endpoint=_text(aliases, "revocation_endpoint"),
            auth_methods=_texts(members, "token_endpoint_auth_methods_supported"),
            signing_algorithms=_texts(members, "token_endpoint_auth_signing_alg_values_supported"),
            dpop_algorithms=_texts(members, "dpop_signing_alg_values_supported"),
            grant_types=_texts(members, "grant_types_supported"),
        )

    def members(self) -> dict[str, Any]:
        """Return it as the document has it, for the store."""
        return {
            "issuer": self.issuer,
            "token_endpoint": self.token_endpoint,
            "revocation_endpoint": self.revocation_endpoint,
            "mtls_endpoint_aliases": {
                "token_endpoint": self.mtls_token_endpoint,
                "revocation_endpoint": self.mtls_revocation_endpoint,
            },
            "token_endpoint_auth_methods_supported": self.auth_methods,
            "token_endpoint_auth_signing_alg_values_supported": self.signing_algorithms,
            "dpop_signing_alg_values_supported": self.dpop_algorithms,
            "grant_types_supported": self.grant_types,
        }

    def takes_proofs(self, algorithm: str) -> bool:
        """Whether the server says that it takes DPoP proofs signed by *algorithm*."""
        return algorithm in (self.dpop_algorithms or ())


def well_known_urls(issuer: str) -> tuple[str, str]:
    """
    Return where an issuer's document may be: before its path (RFC 8414 §3), or behind it (OpenID Connect).

    >>> well_known_urls("https://login.example.com/tenant")[0]
    'https://login.example.com/.well-known/oauth-authorization-server/tenant'
    """
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    return (
        parts._replace(path=f"/.well-known/oauth-authorization-server{path}").geturl(),
        parts._replace(path=f"{path}/.well-known/openid-configuration").geturl(),
    )


def parse_metadata(
    issuer: str,
    redactor: Redactor,
    *,
    url: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    now: float,
) -> ServerMetadata:
    """
    Return what the answer to a request for the document of *issuer* says.

    :param url: where the document was looked for
    :param headers: names without regard to case
    :param body: decoded, and already capped by the caller
    :param now: epoch seconds
    :raises TokenEndpointUnavailableError: the server may have it another time
    :raises TokenResponseError: it cannot be read
    :raises ServerMetadataError: there is none, or it is of another issuer (RFC 8414 §3.3)
    """
    if status in RETRIED_STATUSES or status >= 500:
        raise TokenEndpointUnavailableError(
            f"The server metadata {url} cannot be had now (HTTP {status}).",
            status_code=status,
            retry_after_s=retry_after_s(headers, now),
        )
    if 300 <= status < 400:
        target = redactor.server_text(headers.get("Location") or "nowhere", _MAX_SHOWN)
        raise ServerMetadataError(f"{url} redirects to {target}, which is not followed.", status_code=status)
    if status != 200:
        raise ServerMetadataError(f"There is no server metadata at {url} (HTTP {status}).", status_code=status)
    members = json_object(body)
    if members is None:
        raise TokenResponseError(f"The server metadata {url} is not a JSON object.", status_code=status)
    try:
        metadata = ServerMetadata.from_members(members)
    except ValueError as missing:
        raise ServerMetadataError(f"The server metadata {url} names no {missing}.", status_code=status) from None
    if metadata.issuer != issuer:
        named = redactor.server_text(metadata.issuer, _MAX_SHOWN)
        raise ServerMetadataError(
            f"The server metadata {url} is of the issuer {named!r} and not of "
            f"{redactor.server_text(issuer, _MAX_SHOWN)!r}: they must be identical (RFC 8414 §3.3).",
            status_code=status,
        )
    return metadata


def resolved(settings: ClientSettings, metadata: ServerMetadata) -> ClientSettings:
    """
    Return *settings* with what the server's metadata add.

    Whoever shows a certificate goes where it is asked for (RFC 8705 §5); what the connection names itself stays; and
    where DPoP is only preferred, a server that does not say it takes it gets none.
    """
    token_endpoint, revocation_endpoint = metadata.token_endpoint, metadata.revocation_endpoint
    if settings.transport.client_certificate is not None:
        token_endpoint = metadata.mtls_token_endpoint or token_endpoint
        revocation_endpoint = metadata.mtls_revocation_endpoint or revocation_endpoint
    return replace(
        settings,
        token_endpoint=token_endpoint,
        revocation_endpoint=settings.revocation_endpoint or revocation_endpoint,
        issuer=metadata.issuer,
        dpop=settings.dpop if metadata.takes_proofs(settings.dpop_algorithm) else DPOP_OFF,
    )


def _text(members: Mapping[str, Any], name: str) -> str | None:
    value = members.get(name)
    return value if isinstance(value, str) and value else None


def _texts(members: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    value = members.get(name)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list | tuple) else None
