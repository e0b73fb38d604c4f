"""JSON Web Keys (RFC 7517): a private key read from one, and what of a key goes into one."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import PyJWTError

from airflow_oauth_provider.exceptions import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
# What the libraries raise for a text that is no key.
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, RecursionError, UnsupportedAlgorithm, PyJWTError)

# Digits of base64url: 16,384 bits.
_MAX_MODULUS = 2736
_READERS = {"RSA": RSAAlgorithm.from_jwk, "EC": ECAlgorithm.from_jwk, "OKP": OKPAlgorithm.from_jwk}
# In the order in which a thumbprint takes them (RFC 7638 §3.3).
_REQUIRED_MEMBERS = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}


class Jwk(NamedTuple):
    """
    A private key, and what its JWK says of it.

    :param key: of whatever kind
    :param key_id: ``kid``
    :param algorithm: ``alg`` (RFC 7517 §4.4)
    """

    key: Any
    key_id: str | None = None
    algorithm: str | None = None


def key_of_jwk(text: str, *, field: str) -> Jwk:
    """
    Return the private key of a JWK, or of the one JWK in a set.

    :param field: where the text comes from, for messages
    :raises SettingsError: it cannot be read, or is for something else than signing
    """
    jwk = _one_jwk(text)
    if jwk is None:
        raise SettingsError(f"{field} holds neither a private key as PEM nor one JWK.")
    kind = jwk.get("kty")
    if kind not in tuple(_READERS):
        raise SettingsError(f"The JWK of {field} is no asymmetric key: its kty must be {', '.join(_READERS)}.")
    if "d" not in jwk:
        raise SettingsError(f"The JWK of {field} is a public key: the private one is needed to sign.")
    if jwk.get("use") not in (None, "sig") or not _is_for_signing(jwk.get("key_ops")):
        raise SettingsError(f"The JWK of {field} is not for signing: its use or key_ops say so (RFC 7517 §4.2).")
    try:
        # To put a key together from few members takes long where one of them is huge.
        huge = any(len(str(jwk.get(member, ""))) > _MAX_MODULUS for member in "nedpq")
        key = None if huge else _READERS[kind](jwk)
    except UNREADABLE:
        key = None
    # Not in the handler above: an error's context keeps what the library raised.
    if key is None:
        raise SettingsError(f"The JWK of {field} cannot be read: its members do not make a key.")
    return Jwk(key, _member(jwk, "kid", field), _member(jwk, "alg", field))


def public_jwk(key: PrivateKey) -> dict[str, str]:
    """Return the public key as a JWK (RFC 7518 §6, RFC 8037 §2), with the required members alone."""
    jwk = private_jwk(key)
    return {name: jwk[name] for name in _REQUIRED_MEMBERS[jwk["kty"]]}


def private_jwk(key: PrivateKey) -> dict[str, Any]:
    """Return the key as a JWK with its private members, for a sealed store."""
    if isinstance(key, rsa.RSAPrivateKey):
        return RSAAlgorithm.to_jwk(key, as_dict=True)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return ECAlgorithm.to_jwk(key, as_dict=True)
    return OKPAlgorithm.to_jwk(key, as_dict=True)


def jwk_thumbprint(jwk: Mapping[str, Any]) -> str:
    """Return the SHA-256 thumbprint of a JWK (RFC 7638 §3), base64url."""
    required = {name: jwk[name] for name in _REQUIRED_MEMBERS[jwk["kty"]]}
    canonical = json.dumps(required, separators=(",", ":"))
    return base64url(hashlib.sha256(canonical.encode()).digest())


def base64url(content: bytes) -> str:
    """Return base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _is_for_signing(key_ops: Any) -> bool:
    return not key_ops or (isinstance(key_ops, list) and "sign" in key_ops)


def _member(jwk: dict[str, Any], name: str, field: str) -> str | None:
    value = jwk.get(name)
    if not isinstance(value, str) or not value:
        return None
    if re.search("[\ud800-\udfff]", value):
        raise SettingsError(f"The {name} in the JWK of {field} holds half a character (a lone UTF-16 surrogate).")
    return value


def _one_jwk(text: str) -> dict[str, Any] | None:
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        return None
    keys = read.get("keys", [read]) if isinstance(read, dict) else []
    only = keys[0] if isinstance(keys, list) and len(keys) == 1 else None
    return only if isinstance(only, dict) else None
