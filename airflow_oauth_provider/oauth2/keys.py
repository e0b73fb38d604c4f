"""
A client's private key and certificate, in whatever form a connection has them.

No message of this package holds a part of a key. Nor does an error's cause or context: what a library raises may hold
the text that it was given, so it is gone before an error of ours is raised.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.oauth2.jwk import (
    CURVES,
    UNREADABLE,
    Jwk,
    PrivateKey,
    base64url,
    jwk_thumbprint,
    key_of_jwk,
    private_jwk,
    public_jwk,
)
from airflow_oauth_provider.oauth2.pem import Block, blocks_of

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_oauth_provider.oauth2.settings import KeyPair

__all__ = [
    "ALGORITHMS",
    "WrittenKey",
    "certificate_end",
    "certificate_thumbprint",
    "check_pair",
    "jwk_thumbprint",
    "key_thumbprint",
    "load_key",
    "private_jwk",
    "private_key_der",
    "public_jwk",
    "read_certificate",
    "read_private_key",
    "signing_algorithm",
]

# RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2; the first of each is what is taken where none is asked for.
ALGORITHMS = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
    "Ed25519": ("EdDSA", "Ed25519"),
}
_RSA_BITS = 2048
_MAX_LENGTH = 65_536


# The private key ----------------------------------------------------------------------------------------------------


class WrittenKey(NamedTuple):
    """
    A private key, in one form whatever it was written in.

    :param pem: unencrypted PKCS#8
    :param key_id: ``kid`` of a JWK
    :param algorithm: ``alg`` of a JWK: by nothing else it may sign (RFC 7517 §4.4)
    """

    pem: str
    key_id: str | None = None
    algorithm: str | None = None


def read_private_key(text: str, *, passphrase: str | None, field: str) -> WrittenKey:
    """
    Return a private key.

    :param text: PEM of any format, lost newlines mended; or a JWK (RFC 7517), alone or as the one key of a set
    :param passphrase: of an encrypted PEM
    :param field: where the text comes from, for messages
    :raises SettingsError: it cannot be read, or is of a kind that nothing here signs with
    """
    _refuse_huge(text, field)
    if blocks := blocks_of(text):
        jwk = Jwk(_key_of_pem(blocks, passphrase, field))
    else:
        jwk = key_of_jwk(text, field=field)
        if passphrase:
            raise _superfluous_passphrase(field)
    _kind(jwk.key, field)
    pem: bytes = jwk.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return WrittenKey(pem.decode(), jwk.key_id, jwk.algorithm)


@lru_cache(maxsize=16)
def load_key(pem: str) -> PrivateKey:
    """Return the key of a PEM that :func:`read_private_key` wrote; kept, since loading costs more than signing."""
    key = load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, PrivateKey):
        raise TypeError(f"{type(key).__name__} does not sign")
    return key


def private_key_der(pem: str) -> bytes:
    """Return the key as PKCS#8 DER: the same bytes however it was written."""
    return load_key(pem).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def signing_algorithm(pem: str, wanted: str | None, *, field: str) -> str:
    """
    Return the JOSE algorithm to sign with: *wanted*, or the usual one of the key's kind.

    :param field: where *wanted* comes from, for messages
    :raises SettingsError: such a key does not sign so
    """
    kind = _kind(load_key(pem), field)
    if wanted is None:
        return ALGORITHMS[kind][0]
    if wanted not in ALGORITHMS[kind]:
        fitting = ", ".join(ALGORITHMS[kind])
        raise SettingsError(f"{field}: {wanted[:20]} does not go with a key of kind {kind}, which signs by {fitting}.")
    return wanted


def key_thumbprint(pem: str) -> str:
    """Return the thumbprint (RFC 7638) of the public key that belongs to a private one."""
    return jwk_thumbprint(public_jwk(load_key(pem)))


# The certificate ----------------------------------------------------------------------------------------------------


def read_certificate(text: str, *, field: str) -> str:
    """
    Return a certificate and its chain as PEM, lost newlines mended; a private key beside them is left out.

    :param field: where the text comes from, for messages
    :raises SettingsError: there is none, or it cannot be read
    """
    _refuse_huge(text, field)
    pem = "".join(block.text for block in blocks_of(text) if block.label == "CERTIFICATE")
    if not pem:
        raise SettingsError(f"{field} holds no certificate: PEM with -----BEGIN CERTIFICATE----- is expected.")
    try:
        certificates = x509.load_pem_x509_certificates(pem.encode())
    except UNREADABLE:
        certificates = []
    if not certificates:
        raise SettingsError(f"The certificate of {field} cannot be read: it is damaged, or not whole.")
    return "".join(certificate.public_bytes(Encoding.PEM).decode() for certificate in certificates)


def certificate_thumbprint(pem: str) -> str:
    """Return ``x5t#S256`` of the first certificate (RFC 7515 §4.1.8, RFC 8705 §3.1): its DER's SHA-256, base64url."""
    return base64url(hashlib.sha256(_first_certificate(pem).public_bytes(Encoding.DER)).digest())


def certificate_end(pem: str) -> datetime:
    """Return when the first certificate ends, UTC."""
    return _first_certificate(pem).not_valid_after_utc


def check_pair(pair: KeyPair, *, key_field: str, certificate_field: str) -> None:
    """
    Check that a certificate is the one of its key.

    :raises SettingsError: it is another key's
    """
    if pair.certificate is None:
        return
    try:
        certified = _public_der(_first_certificate(pair.certificate).public_key())
    except UNREADABLE:
        certified = b""
    if certified != _public_der(load_key(pair.private_key).public_key()):
        raise SettingsError(
            f"{certificate_field} and {key_field} do not belong together: the first certificate is another key's. "
            "The client's own comes first, its chain behind."
        )


# Their parts --------------------------------------------------------------------------------------------------------


def _refuse_huge(text: str, field: str) -> None:
    if len(text) > _MAX_LENGTH:
        raise SettingsError(f"{field} has more than {_MAX_LENGTH // 1024} KiB: it is something else.")


def _key_of_pem(blocks: list[Block], passphrase: str | None, field: str) -> Any:
    keys = [block for block in blocks if block.is_private_key]
    if len(keys) != 1:
        raise SettingsError(f"{field} holds {'more than one' if keys else 'a PEM, but no'} private key.")
    block = keys[0]
    if block.label.startswith("OPENSSH"):
        raise SettingsError(f"The key of {field} is in OpenSSH's own format. Convert it: ssh-keygen -p -m PKCS8 -f …")
    if block.is_encrypted and not passphrase:
        raise SettingsError(f"The key of {field} is encrypted, and {_passphrase_field(field)} is empty.")
    if passphrase and not block.is_encrypted:
        raise _superfluous_passphrase(field)
    try:
        return load_pem_private_key(block.text.encode(), passphrase.encode() if passphrase else None)
    except UNREADABLE:
        pass
    # Not in the handler above: an error's context keeps what the library raised.
    if passphrase:
        raise SettingsError(
            f"The key of {field} cannot be decrypted: {_passphrase_field(field)} is wrong, the key is damaged, "
            "or its encryption is out of date (openssl pkcs8 -topk8 renews it)."
        )
    raise SettingsError(f"The private key of {field} cannot be read: it is damaged, not whole, or of a rare kind.")


def _kind(key: Any, field: str) -> str:
    kind: str | None = None
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= _RSA_BITS:
        kind = "RSA"
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        kind = CURVES.get(key.curve.name)
    elif isinstance(key, ed25519.Ed25519PrivateKey):
        kind = "Ed25519"
    if kind is None:
        raise SettingsError(
            f"The key of {field} is of a kind or size that does not do: "
            f"RSA of {_RSA_BITS} bits and more, {', '.join(CURVES.values())} or Ed25519 is needed."
        )
    return kind


def _superfluous_passphrase(field: str) -> SettingsError:
    return SettingsError(f"The key of {field} is not encrypted: {_passphrase_field(field)} must be empty.")


def _passphrase_field(field: str) -> str:
    return f"{'tls_' if field.startswith('tls_') else ''}private_key_passphrase"


def _first_certificate(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


def _public_der(key: Any) -> bytes:
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded
