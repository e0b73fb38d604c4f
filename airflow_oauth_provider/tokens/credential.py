"""What a client proves itself by, as far as sharing its token needs to know it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_oauth_provider.oauth2.settings import AssertionSource, ClientSettings, KeyPair

_LONG_SECRET = 32


@dataclass(frozen=True)
class Credential:
    """
    A credential.

    :param material: from which the key of the seal derives; empty where nothing lasting is at hand
    :param guessable: whether *material* is a text so short that somebody may have made it up
    :param identity: what it is of public facts: thumbprints of keys, whom an assertion of the platform names
    :param vouched_for: whom that assertion names, as :func:`~airflow_oauth_provider.tokens.assertions.vouched_for` says
    """

    material: bytes = field(repr=False)
    guessable: bool
    identity: str
    vouched_for: str = ""


def credential_of(settings: ClientSettings) -> Credential:
    """
    Return the credential of *settings*.

    :raises AssertionUnavailableError: it is the platform's, and not there: nobody knows whose token to look for
    """
    pairs = [pair for pair in (settings.signing_key, settings.transport.client_certificate) if pair is not None]
    named, opaque = ("", "") if settings.assertion_source is None else _platform_identity(settings.assertion_source)
    identity = json.dumps([[_thumbprint(pair) for pair in pairs], named or opaque])
    secret, longest = settings.client_secret, len(settings.client_secret)
    if not secret and not pairs and settings.secret_params:
        # The last resort: a password of a dialect, or the subject token of an exchange.
        secret, longest = json.dumps(settings.secret_params), max(len(value) for _, value in settings.secret_params)
    if secret:
        return Credential(secret.encode(), longest < _LONG_SECRET, identity, named)
    return Credential(_der(pairs[0]) if pairs else b"", guessable=False, identity=identity, vouched_for=named)


def certificates_of(settings: ClientSettings) -> tuple[str, str]:
    """
    Return the SHA-256 of the certificate that assertions name, and of the one in the TLS handshake.

    A token may be bound to the second, not to its key (RFC 8705); whoever mends the first is tried at once.
    """
    return _thumbprint_of_certificate(settings.signing_key), _thumbprint_of_certificate(
        settings.transport.client_certificate
    )


def _platform_identity(source: AssertionSource) -> tuple[str, str]:
    """Return whom the platform's assertion names; and what stands for one that is no JWT, and so says nothing of it."""
    from airflow_oauth_provider.tokens.assertions import read_assertion, vouched_for

    assertion = read_assertion(source)
    return vouched_for(assertion), hashlib.sha256(assertion.encode()).hexdigest()


def _thumbprint(pair: KeyPair) -> str:
    from airflow_oauth_provider.oauth2.keys import key_thumbprint

    return key_thumbprint(pair.private_key)


def _thumbprint_of_certificate(pair: KeyPair | None) -> str:
    if pair is None or pair.certificate is None:
        return ""
    from airflow_oauth_provider.oauth2.keys import certificate_thumbprint

    return certificate_thumbprint(pair.certificate)


def _der(pair: KeyPair) -> bytes:
    from airflow_oauth_provider.oauth2.keys import private_key_der

    return private_key_der(pair.private_key)
