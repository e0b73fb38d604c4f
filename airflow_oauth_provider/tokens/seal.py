"""
Encryption of what is stored.

The key comes from the client's own credential, so whoever reads the store without knowing the credential learns
nothing. Where the credential is short and human-chosen, ``[oauth2] token_store_key`` keeps it from being guessed; where
nothing lasting is at hand, it takes the credential's place, or a key of the store's own does.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from airflow_oauth_provider.oauth2.settings import ClientSettings
    from airflow_oauth_provider.tokens.credential import Credential

VERSION = b"airflow-oauth-provider/1"
_NONCE_LENGTH = 12

# scrypt costs some 50 ms by design: once a process for each credential.
_roots: dict[bytes, bytes] = {}


class Seal:
    """
    AES-256-GCM under keys derived from one root (RFC 5869, RFC 7914).

    :param root: 32 bytes
    """

    def __init__(self, root: bytes) -> None:
        self._root = root
        self.fingerprint = _expand(root, b"fingerprint")

    def close(self, purpose: str, name: str, plain: bytes) -> bytes:
        """Return *plain* sealed; it opens only under the same *purpose* and *name*."""
        nonce = os.urandom(_NONCE_LENGTH)
        return nonce + self._cipher(purpose).encrypt(nonce, plain, _associated(purpose, name))

    def open(self, purpose: str, name: str, sealed: bytes) -> bytes | None:
        """Return what was sealed, None when it was not sealed by this credential for this place."""
        from cryptography.exceptions import InvalidTag

        nonce, body = sealed[:_NONCE_LENGTH], sealed[_NONCE_LENGTH:]
        try:
            return self._cipher(purpose).decrypt(nonce, body, _associated(purpose, name))
        except (InvalidTag, ValueError):
            return None

    def _cipher(self, purpose: str) -> AESGCM:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(_expand(self._root, b"entry:" + purpose.encode()))


def seals_for(
    settings: ClientSettings, credential: Credential, store_keys: Sequence[str] = (), own_key: bytes | None = None
) -> list[Seal]:
    """
    Return the seals of a client: the first one writes, all read.

    :param store_keys: ``[oauth2] token_store_key``, the current one first
    :param own_key: of the store, for a client without anything lasting
    :raises ValueError: there is nothing to make a key of
    """
    material = credential.material
    if store_keys:
        return [Seal(_root(material + b"\0" + key.encode(), b"store key", None)) for key in store_keys]
    if not material:
        if not own_key:
            raise ValueError("nothing to make a key of")
        return [Seal(_root(own_key, b"own key", None))]
    if not credential.guessable:
        return [Seal(_root(material, b"credential", None))]
    salt = hashlib.sha256(f"{settings.server}\0{settings.client_id}".encode()).digest()
    return [Seal(_root(material, b"guessable", salt))]


def _root(material: bytes, kind: bytes, salt: bytes | None) -> bytes:
    name = hashlib.sha256(kind + b"\0" + (salt or b"") + hashlib.sha256(material).digest()).digest()
    if name not in _roots:
        if salt is not None:
            material = hashlib.scrypt(material, salt=salt, n=2**14, r=8, p=1, maxmem=64 * 2**20, dklen=32)
        _roots[name] = _expand(material, b"root:" + kind)
    return _roots[name]


def _expand(material: bytes, info: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=32, salt=None, info=VERSION + b":" + info).derive(material)


def _associated(purpose: str, name: str) -> bytes:
    return b"\0".join((VERSION, purpose.encode(), name.encode()))
