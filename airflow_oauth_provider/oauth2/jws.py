"""JSON Web Signature in its compact form (RFC 7515 §7.1), for assertions and proofs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jwt.algorithms import get_default_algorithms

from airflow_oauth_provider.oauth2.jwk import base64url
from airflow_oauth_provider.oauth2.keys import load_key

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRET_ALGORITHMS = ("HS256", "HS384", "HS512")

_ALGORITHMS = get_default_algorithms()
# RFC 9864 §2.2: what a new deployment calls EdDSA by a key of this kind.
_ALGORITHMS["Ed25519"] = _ALGORITHMS["EdDSA"]


def sign(header: Mapping[str, Any], claims: Mapping[str, Any], *, key: str | bytes, algorithm: str) -> str:
    """
    Return a signed JWT.

    :param header: without ``alg``, which is *algorithm*
    :param key: PKCS#8 PEM without a passphrase; for HS256, HS384 and HS512 the secret
    """
    signed = f"{_part({**header, 'alg': algorithm})}.{_part(claims)}"
    return f"{signed}.{base64url(signature(signed.encode(), key=key, algorithm=algorithm))}"


def signature(content: bytes, *, key: str | bytes, algorithm: str) -> bytes:
    """Return the signature of *content*, in JOSE's form (RFC 7518 §3)."""
    # Not by jwt.encode: it warns of short secrets, which the server chose, and refuses some that look like keys.
    if algorithm in SECRET_ALGORITHMS:
        return _ALGORITHMS[algorithm].sign(content, key.encode() if isinstance(key, str) else key)
    return _ALGORITHMS[algorithm].sign(content, load_key(key if isinstance(key, str) else key.decode()))


def _part(members: Mapping[str, Any]) -> str:
    return base64url(json.dumps(members, separators=(",", ":")).encode())
