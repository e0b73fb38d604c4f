"""The clients of the certified authorization server over TLS: one for each way to prove itself."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from tests.support.certificates import Authority, self_signed_pair
from tests.support.keys import jwk, made_key, pem

if TYPE_CHECKING:
    from airflow_oauth_provider.oauth2.settings import KeyPair

KINDS = {
    "RS256": "RSA",
    "PS256": "RSA",
    "ES256": "P-256",
    "ES384": "P-384",
    "ES512": "P-521",
    "EdDSA": "Ed25519",
    "Ed25519": "Ed25519",
}
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi"}
API = "api"

# A key of each kind for every client; others are keys that the server does not know.
KNOWN, UNKNOWN = 100, 101


@dataclass(frozen=True)
class SecureClient:
    """
    A client as the server knows it, and what its connection holds.

    :param metadata: as RFC 7591 registers it
    :param policy: what it is held to besides, see ``secure_server.mjs``
    :param extra: of its connection
    """

    metadata: dict[str, Any]
    policy: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def client_id(self) -> str:
        return str(self.metadata["client_id"])

    @property
    def client_secret(self) -> str:
        return str(self.metadata.get("client_secret", ""))


def registered_clients(authority: Authority) -> dict[str, SecureClient]:
    """
    Return all clients by name.

    :param authority: whose certificates the server takes of its clients
    """
    certified = authority.client_pair(name="warehouse", number=KNOWN)
    return {
        API: _by_secret(API, policy={"introspects": True}),
        **{method: _by_secret(method, method) for method in ("client_secret_basic", "client_secret_post")},
        **{name: _by_secret_jwt(name) for name in ("HS256", "HS512")},
        **{name: _by_key(name, name) for name in KINDS},
        "issuer_only": _by_key("issuer_only", "ES256", policy={"audience": "issuer"}),
        "endpoint_only": _by_key("endpoint_only", "ES256", policy={"audience": "endpoint"}),
        "with_key_id": _by_key("with_key_id", "ES256", policy={"kid": "key-of-2026"}, extra={"key_id": "key-of-2026"}),
        "with_typ": _by_key("with_typ", "ES256", policy={"typ": "JWT"}, extra={"assertion_typ": "JWT"}),
        "with_certificate": _by_key_and_certificate("with_certificate"),
        "revocable": _by_key("revocable", "ES256"),
        "tls_client_auth": _by_certificate("tls_client_auth", certified, tls_client_auth_subject_dn="CN=warehouse"),
        "self_signed_tls_client_auth": _by_own_certificate(),
        "bound_secret": _bound(_by_secret("bound_secret"), certified),
        "bound_key": _bound(_by_key("bound_key", "ES256"), certified),
        "dpop": _proving(_by_secret("dpop")),
        "dpop_server_nonce": _proving(_by_secret("dpop_server_nonce", policy={"as_nonce": True})),
        "dpop_api_nonce": _proving(_by_secret("dpop_api_nonce", policy={"api_nonce": "single-use"})),
        "dpop_key": _proving(_by_key("dpop_key", "ES256", policy={"as_nonce": True, "api_nonce": "lasting"})),
        "dpop_fleet": _proving(_by_key("dpop_fleet", "ES256", policy={"as_nonce": True, "api_nonce": "lasting"})),
        "resources": _by_secret("resources", authorization_details_types=["stock"]),
        "discovering": _by_key("discovering", "ES256", policy={"audience": "issuer"}),
    }


def pair_extras(pair: KeyPair, prefix: str = "") -> dict[str, str]:
    """Return the extras that hold a key and its certificate."""
    return {f"{prefix}private_key": pair.private_key, f"{prefix}certificate": pair.certificate or ""}


def thumbprint_of(certificate: str | None) -> str:
    """Return ``x5t#S256`` of a certificate (RFC 8705 §3.1)."""
    digest = x509.load_pem_x509_certificate((certificate or "").encode()).fingerprint(hashes.SHA256())
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def public_jwk(key: Any, **members: Any) -> dict[str, Any]:
    """Return the public half of a key."""
    return {name: value for name, value in jwk(key, **members).items() if name not in PRIVATE_MEMBERS}


def _by_secret(
    name: str, method: str = "client_secret_basic", policy: dict[str, Any] | None = None, **metadata: Any
) -> SecureClient:
    return SecureClient(
        {
            "client_id": f"shop-{name}",
            "client_secret": f"made-up-secret-of-{name}-6f1c93a7d2e84b506f1c93a7d2e84b506f1c93a7d2e84b50",
            "token_endpoint_auth_method": method,
            **metadata,
        },
        policy or {},
        {"auth_method": method},
    )


def _by_secret_jwt(algorithm: str) -> SecureClient:
    client = _by_secret(algorithm, "client_secret_jwt")
    return SecureClient(
        {**client.metadata, "token_endpoint_auth_signing_alg": algorithm},
        extra={**client.extra, "signing_algorithm": algorithm},
    )


def _by_key(
    name: str, algorithm: str, policy: dict[str, Any] | None = None, extra: dict[str, Any] | None = None
) -> SecureClient:
    key = made_key(KINDS[algorithm], KNOWN)
    # The JWKS names neither algorithm nor id: an assertion without `kid` finds its key all the same.
    members = {"kid": extra["key_id"]} if extra and "key_id" in extra else {}
    return SecureClient(
        {
            "client_id": f"shop-{name}",
            "token_endpoint_auth_method": "private_key_jwt",
            "token_endpoint_auth_signing_alg": algorithm,
            "jwks": {"keys": [public_jwk(key, **members)]},
        },
        policy or {},
        {"auth_method": "private_key_jwt", "private_key": pem(key), "signing_algorithm": algorithm, **(extra or {})},
    )


def _by_key_and_certificate(name: str) -> SecureClient:
    pair = self_signed_pair(kind="RSA", number=KNOWN)
    client = _by_key(name, "RS256", policy={"x5t": thumbprint_of(pair.certificate)})
    return SecureClient(client.metadata, client.policy, {**client.extra, **pair_extras(pair)})


def _by_certificate(method: str, pair: KeyPair, **metadata: Any) -> SecureClient:
    return SecureClient(
        {
            "client_id": f"shop-{method}",
            "token_endpoint_auth_method": method,
            "tls_client_certificate_bound_access_tokens": True,
            **metadata,
        },
        extra={"auth_method": method, **pair_extras(pair)},
    )


def _by_own_certificate() -> SecureClient:
    pair = self_signed_pair(number=KNOWN)
    der = "".join((pair.certificate or "").splitlines()[1:-1])
    keys = [public_jwk(made_key("P-256", KNOWN), x5c=[der])]
    return _by_certificate("self_signed_tls_client_auth", pair, jwks={"keys": keys})


def _bound(client: SecureClient, pair: KeyPair) -> SecureClient:
    """Return *client* with tokens that are bound to a certificate."""
    metadata = {**client.metadata, "tls_client_certificate_bound_access_tokens": True}
    prefix = "tls_" if "private_key" in client.extra else ""
    return SecureClient(metadata, client.policy, {**client.extra, **pair_extras(pair, prefix)})


def _proving(client: SecureClient) -> SecureClient:
    """Return *client* with tokens that are bound to a key of its own making."""
    return SecureClient(
        {**client.metadata, "dpop_bound_access_tokens": True}, client.policy, {**client.extra, "dpop": "true"}
    )


def written(clients: dict[str, SecureClient], **files: str) -> str:
    """Return what the server reads at its start."""
    known = [{"metadata": client.metadata, "policy": client.policy} for client in clients.values()]
    return json.dumps({"clients": known, **files})
