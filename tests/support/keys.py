"""Private keys of every kind, in every form in which people have them, and certificates for them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from joserfc import jwk as joserfc_jwk

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSPHRASE = "made-up pässphrase"
PKCS8 = PrivateFormat.PKCS8
TRADITIONAL = PrivateFormat.TraditionalOpenSSL

_MAKERS: dict[str, Any] = {
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
    "RSA of 1024 bits": lambda: rsa.generate_private_key(65537, 1024),
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "Ed448": ed448.Ed448PrivateKey.generate,
    "X25519": x25519.X25519PrivateKey.generate,
}


@cache
def made_key(kind: str, number: int = 0) -> Any:
    """Return a key of *kind*: always the same one for one *number*, since to make one takes its time."""
    return _MAKERS[kind]()


def pem(key: Any, form: PrivateFormat = PKCS8, passphrase: str | None = None) -> str:
    """Return a key as OpenSSL writes it."""
    encryption: KeySerializationEncryption = NoEncryption()
    if passphrase is not None:
        encryption = BestAvailableEncryption(passphrase.encode())
    written: bytes = key.private_bytes(Encoding.PEM, form, encryption)
    return written.decode()


def der(key: Any) -> bytes:
    """Return a key as unencrypted PKCS#8."""
    written: bytes = key.private_bytes(Encoding.DER, PKCS8, NoEncryption())
    return written


def jwk(key: Any, **members: Any) -> dict[str, Any]:
    """Return a key as a JWK with its private members, as another library writes it."""
    return {**joserfc_jwk.import_key(pem(key).encode(), _key_type(key)).as_dict(private=True), **members}


def forms(key: Any) -> Iterator[tuple[str, str, str | None]]:
    """Yield a key in every form: what it is called, its text, its passphrase."""
    yield "PKCS#8", pem(key), None
    yield "encrypted PKCS#8", pem(key, passphrase=PASSPHRASE), PASSPHRASE
    yield "JWK", json.dumps(jwk(key), indent=2), None
    yield "JWK set", json.dumps({"keys": [jwk(key)]}), None
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        yield "PKCS#1 or SEC1", pem(key, TRADITIONAL), None
        yield "encrypted PKCS#1 or SEC1", pem(key, TRADITIONAL, PASSPHRASE), PASSPHRASE


def certificate(key: Any, *, days: int = 1, name: str = "client of a test") -> str:
    """
    Return a self-signed certificate.

    :param days: for which it lives from now on; negative: it ended so many days ago
    """
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=10))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )
    return signed.public_bytes(Encoding.PEM).decode()


def everything_in(error: BaseException) -> str:
    """Return all that an error shows or carries along, its causes and contexts included."""
    shown: list[str] = []
    link: BaseException | None
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop()
        if link is not None:
            shown += [str(link), repr(link), repr(link.args), repr(vars(link)), repr(getattr(link, "__notes__", ()))]
            waiting += [link.__cause__, link.__context__]
    return "\n".join(shown)


def _key_type(key: Any) -> Any:
    if isinstance(key, rsa.RSAPrivateKey):
        return "RSA"
    return "EC" if isinstance(key, ec.EllipticCurvePrivateKey) else "OKP"
