"""DPoP (RFC 9449): a token that is bound to a key, and the proofs that whoever sends it has that key."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import urlsplit

from airflow_oauth_provider.exceptions import SettingsError, TokenExposureError
from airflow_oauth_provider.lazy import lazy_property

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

PROOF_TYP = "dpop+jwt"
NONCE_HEADER = "DPoP-Nonce"
USE_NONCE = "use_dpop_nonce"

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
# NQCHAR (RFC 6749 App. A), of which a nonce is one or more (RFC 9449 §8.1); a proof must still fit into a header.
_NONCE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,2048}", re.ASCII)
# An API is one server, or a few.
_MAX_ORIGINS = 32


class ProofKey:
    """
    The key to which a token is bound.

    It is new with each token, lies sealed beside it in the store, and leaves the process in no other way: serializing
    or pickling raises :class:`TokenExposureError`, and like the token it is no dataclass.

    :param algorithm: JOSE name, asymmetric
    :param private_key: PKCS#8 PEM
    """

    def __init__(self, algorithm: str, private_key: str) -> None:
        self.algorithm: Final = algorithm
        self.private_key: Final = private_key

    @classmethod
    def generate(cls, algorithm: str) -> ProofKey:
        """
        Return a new key for *algorithm*.

        :raises SettingsError: no key can be made for it
        """
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        key = _new_key(algorithm)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return cls(algorithm, pem.decode())

    @classmethod
    def from_jwk(cls, members: Mapping[str, Any]) -> ProofKey:
        """
        Return the key that :meth:`private_jwk` gave.

        :raises ValueError: it is none
        """
        from airflow_oauth_provider.oauth2.keys import read_private_key, signing_algorithm

        try:
            pem = read_private_key(json.dumps(members), passphrase=None, field="proof_key").pem
            return cls(signing_algorithm(pem, members.get("alg"), field="proof_key"), pem)
        except SettingsError:
            raise ValueError("the proof key cannot be read") from None

    def private_jwk(self) -> dict[str, Any]:
        """Return the key for the sealed store, and for nothing else."""
        from airflow_oauth_provider.oauth2.jwk import private_jwk
        from airflow_oauth_provider.oauth2.keys import load_key

        return {**private_jwk(load_key(self.private_key)), "alg": self.algorithm}

    @lazy_property
    def public_jwk(self) -> dict[str, str]:
        """What proofs show of the key."""
        from airflow_oauth_provider.oauth2.jwk import public_jwk
        from airflow_oauth_provider.oauth2.keys import load_key

        return public_jwk(load_key(self.private_key))

    @lazy_property
    def thumbprint(self) -> str:
        """By which a token names its key (``jkt``, RFC 9449 §6.1; RFC 7638)."""
        from airflow_oauth_provider.oauth2.jwk import jwk_thumbprint

        return jwk_thumbprint(self.public_jwk)

    def proof(
        self,
        method: str,
        url: str,
        *,
        now: float,
        unique_id: str,
        nonce: str | None = None,
        access_token: str | None = None,
    ) -> str:
        """
        Return the ``DPoP`` header of one request (RFC 9449 §4.2); a second one needs a proof of its own (§11.1).

        :param url: as it is sent; its query and fragment do not count
        :param now: epoch seconds
        :param unique_id: becomes ``jti``
        :param nonce: the last one of the server that is asked (§8)
        :param access_token: the token in the request, at an API (§7)
        """
        from airflow_oauth_provider.oauth2.jws import sign

        claims: dict[str, str | int] = {"jti": unique_id, "htm": method, "htu": target_uri(url), "iat": int(now)}
        if nonce is not None:
            claims["nonce"] = nonce
        if access_token is not None:
            claims["ath"] = token_hash(access_token)
        header = {"typ": PROOF_TYP, "jwk": self.public_jwk}
        return sign(header, claims, key=self.private_key, algorithm=self.algorithm)

    def __eq__(self, other: object) -> bool:
        mine = (self.algorithm, self.private_key)
        return isinstance(other, ProofKey) and mine == (other.algorithm, other.private_key)

    def __hash__(self) -> int:
        return hash((self.algorithm, self.private_key))

    def __repr__(self) -> str:
        return f"ProofKey(algorithm={self.algorithm!r}, thumbprint={self.thumbprint[:6]}…)"

    def serialize(self) -> NoReturn:
        """Refuse, because Airflow calls this to put a returned object into an XCom."""
        raise TokenExposureError("The key of a token cannot leave its process.")

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        self.serialize()


class Nonces:
    """
    The last nonce of each server, by its origin (RFC 9449 §8.2). Safe between threads.

    An authorization server's and an API's nonces are two things (§9), even on one origin: each has an object of its
    own.

    :param initial: what another process's :meth:`snapshot` gave
    :param on_change: called after a server gave another nonce than before
    """

    def __init__(
        self, initial: Mapping[str, str] | None = None, on_change: Callable[[], object] = lambda: None
    ) -> None:
        known = {origin: nonce for origin, nonce in (initial or {}).items() if _NONCE.fullmatch(nonce)}
        self._nonces = dict([*known.items()][-_MAX_ORIGINS:])
        self._on_change = on_change

    def of(self, url: str) -> str | None:
        """Return what the next proof for *url* has to hold, None when its server never asked for anything."""
        return self._nonces.get(_origin(url))

    def adopt(self, url: str, headers: Mapping[str, str]) -> bool:
        """
        Take over the nonce in an answer, of whatever status.

        :param headers: names without regard to case
        :return: whether there was one
        """
        nonce = nonce_in(headers)
        if nonce is None:
            return False
        origin = _origin(url)
        if self._nonces.get(origin) != nonce:
            # A new dict each time: threads share it without a lock, which a fork could leave locked.
            others = [item for item in self._nonces.items() if item[0] != origin]
            self._nonces = dict([*others, (origin, nonce)][-_MAX_ORIGINS:])
            self._on_change()
        return True

    def snapshot(self) -> dict[str, str]:
        """Return all of them, for another process."""
        return dict(self._nonces)


def nonce_in(headers: Mapping[str, str]) -> str | None:
    """Return the nonce that an answer names, None where there is none that could stand in a proof."""
    nonce = headers.get(NONCE_HEADER)
    return nonce if nonce is not None and _NONCE.fullmatch(nonce) else None


def demands_nonce(status: int, error_code: str | None, headers: Mapping[str, str]) -> bool:
    """Whether a token endpoint asks for the same once more, with the nonce that it names (RFC 9449 §8)."""
    return status in (400, 401) and error_code == USE_NONCE and nonce_in(headers) is not None


def token_hash(access_token: str) -> str:
    """Return ``ath`` of a token (RFC 9449 §4.2)."""
    from airflow_oauth_provider.oauth2.jwk import base64url

    return base64url(hashlib.sha256(access_token.encode("ascii")).digest())


def target_uri(url: str) -> str:
    """
    Return ``htu`` of a request: without query and fragment, and as a server sees it that knows its own name.

    >>> target_uri("HTTPS://API.Example.com:443/v1/a%20b?page=2#x")
    'https://api.example.com/v1/a%20b'
    """
    return _origin(url) + (urlsplit(url).path or "/")


def _origin(url: str) -> str:
    parts = urlsplit(url)  # which puts the scheme into lower case
    authority = parts.netloc.lower().removesuffix(":")
    return f"{parts.scheme}://{authority.removesuffix(_DEFAULT_PORTS.get(parts.scheme, ':'))}"


def _new_key(algorithm: str) -> PrivateKeyTypes:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    curves: dict[str, ec.EllipticCurve] = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
    if algorithm in curves:
        return ec.generate_private_key(curves[algorithm])
    if algorithm in ("EdDSA", "Ed25519"):
        return ed25519.Ed25519PrivateKey.generate()
    if re.fullmatch("[RP]S(256|384|512)", algorithm):
        return rsa.generate_private_key(65537, 2048)
    raise SettingsError(f"dpop_algorithm: no key can be made for {algorithm[:20]!r}. ES256 is what every server knows.")
