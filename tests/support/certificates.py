"""Certificates for servers and clients on loopback: good ones, and ones that nobody should trust."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from airflow_oauth_provider.oauth2.settings import KeyPair
from tests.support.keys import certificate as self_signed
from tests.support.keys import made_key, pem

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Authority:
    """
    A certificate authority of a test's own.

    :param chain: PEM of the authorities between this one and the root, its own first; empty for a root
    :param bundle: its certificate, as ``verify`` takes it
    """

    folder: Path
    name: str
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    chain: str = ""

    @classmethod
    def make(cls, folder: Path, name: str, *, below: Authority | None = None) -> Authority:
        """
        Return a new authority.

        :param below: the one that vouches for it; by default it is a root
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} of a test")])
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        issuer, issuer_key = (below.certificate.subject, below.key) if below else (subject, key)
        certificate = (
            _builder(subject, issuer, key.public_key(), days=1)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0 if below else 1), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
            .sign(issuer_key, hashes.SHA256())
        )
        text = certificate.public_bytes(Encoding.PEM).decode()
        authority = cls(folder, name, key, certificate, text + below.chain if below else "")
        authority.bundle.write_text(text)
        return authority

    @property
    def bundle(self) -> Path:
        return self.folder / f"{self.name}.pem"

    def server_context(
        self, *, address: str | tuple[str, ...] = "127.0.0.1", days: int = 1, clients: str = ""
    ) -> ssl.SSLContext:
        """
        Return the context of a server; see :meth:`server_pem`.

        :param clients: PEM of the authorities, or of the self-signed certificates, of which it demands one
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server_pem(address=address, days=days))
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=clients)
        return context

    def server_pem(self, *, address: str | tuple[str, ...] = "127.0.0.1", days: int = 1) -> Path:
        """
        Return the file with a server's certificate and key.

        :param address: for which its certificate is, or a name, or several
        :param days: for which it lives from now on; negative: it ended so many days ago
        """
        addresses = (address,) if isinstance(address, str) else address
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server of a test")])
        certificate = (
            _builder(subject, self.certificate.subject, key.public_key(), days=days)
            .add_extension(x509.SubjectAlternativeName(map(_alternative, addresses)), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        path = self.folder / f"{self.name}-{addresses[0]}-{days}.pem"
        path.write_bytes(
            certificate.public_bytes(Encoding.PEM)
            + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        return path

    def client_pair(
        self, *, name: str = "client of a test", kind: str = "P-256", number: int = 0, days: int = 1
    ) -> KeyPair:
        """
        Return a client's key, and its certificate with the chain behind.

        :param name: the certificate's common name
        :param kind: of the key
        :param number: of the key
        :param days: for which it lives from now on; negative: it ended so many days ago
        """
        key = made_key(kind, number)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            _builder(subject, self.certificate.subject, key.public_key(), days=days)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return KeyPair(pem(key), certificate.public_bytes(Encoding.PEM).decode() + self.chain)


def self_signed_pair(*, kind: str = "P-256", number: int = 0, days: int = 1) -> KeyPair:
    """Return a client's key and a certificate that nobody vouches for; see :meth:`Authority.client_pair`."""
    key = made_key(kind, number)
    return KeyPair(pem(key), self_signed(key, days=days))


def _alternative(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def _builder(subject: x509.Name, issuer: x509.Name, key: Any, *, days: int) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=10))
        .not_valid_after(now + timedelta(days=days))
    )
