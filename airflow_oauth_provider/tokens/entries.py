"""Tokens and refusals as sealed entries of a store."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_oauth_provider.oauth2.token import AccessToken
from airflow_oauth_provider.tokens.cache_key import CacheKeys, cache_keys
from airflow_oauth_provider.tokens.known_metadata import MAX_AGE_S, KnownMetadata
from airflow_oauth_provider.tokens.refusals import Refusal, Scope
from airflow_oauth_provider.tokens.stores.base import LEASE_S

if TYPE_CHECKING:
    from airflow_oauth_provider.oauth2.dpop import ProofKey
    from airflow_oauth_provider.oauth2.settings import ClientSettings
    from airflow_oauth_provider.tokens.credential import Credential
    from airflow_oauth_provider.tokens.seal import Seal
    from airflow_oauth_provider.tokens.stores.base import Counts, Entry, Lease
    from airflow_oauth_provider.tokens.stores.guarded import GuardedStore

TOKEN = "token"
FAILURE = "failure"
NONCES = "nonces"
METADATA = "metadata"

NONCES_TTL_S = 3600.0


@dataclass(frozen=True)
class StoredToken:
    """
    A token and where it lies.

    :param generation: of its entry
    :param place: which of the seals opened it; 0 is the one that writes
    :param ttl_s: seconds until the store forgets it, where its own clock tells
    """

    token: AccessToken
    generation: int
    place: int = 0
    ttl_s: float | None = None


class SealedEntries:
    """
    What a store holds for one client.

    :param seals: the first one writes, all read
    """

    def __init__(
        self, settings: ClientSettings, credential: Credential, store: GuardedStore, seals: list[Seal]
    ) -> None:
        self._store = store
        self._places = [(seal, cache_keys(settings, credential, seal.fingerprint)) for seal in seals]

    @property
    def keys(self) -> CacheKeys:
        """The names under which is written."""
        return self._places[0][1]

    def token(self) -> StoredToken | None:
        """Return the stored token, the first one that lives; when none does, one that has ended."""
        ended: StoredToken | None = None
        for place, (_, keys) in enumerate(self._places):
            entry, members = self._read(place, TOKEN, keys.request)
            if members is not None and (token := _token_from(members)) is not None:
                stored = StoredToken(token, entry.generation, place, entry.ttl_s)
                if token.expires_at > time.time():
                    return stored
                ended = ended or stored
        return ended

    def generation(self) -> int:
        """Return the generation on which the next write builds."""
        return self._store.read(f"{self.keys.request}.{TOKEN}").generation

    def write_token(self, token: AccessToken, *, expected: int) -> bool | None:
        """Store *token*; False when somebody else wrote first, None when the store failed."""
        life_s = max(0.0, token.expires_at - time.time())
        return self._write(TOKEN, self.keys.request, _members_of(token), expected=expected, ttl_s=life_s)

    def drop_token(self, stored: StoredToken) -> None:
        """Leave a tombstone in place of just this token; a newer one stays."""
        name = f"{self._places[stored.place][1].request}.{TOKEN}"
        self._store.write(name, None, expected=stored.generation, ttl_s=stored.token.lifetime_s)

    def drop_tokens(self) -> None:
        """Leave a tombstone in place of whatever is stored."""
        for _, keys in self._places:
            self._store.write(f"{keys.request}.{TOKEN}", None, expected=None, ttl_s=60.0)

    def nonces(self) -> dict[str, str]:
        """Return the last DPoP nonce of each API, by its origin (RFC 9449 §8.2)."""
        members = self._read(0, NONCES, self.keys.request)[1] or {}
        return {origin: nonce for origin, nonce in members.items() if isinstance(nonce, str)}

    def write_nonces(self, nonces: dict[str, str]) -> None:
        """Keep *nonces* for processes that come later: a stale one costs them one request."""
        self._write(NONCES, self.keys.request, nonces, expected=None, ttl_s=NONCES_TTL_S)

    def metadata(self) -> KnownMetadata | None:
        """Return the server's metadata that were fetched last, at most a day ago."""
        now, found = time.time(), []
        for place, (_, keys) in enumerate(self._places):
            _, members = self._read(place, METADATA, keys.request)
            if members is not None and (known := KnownMetadata.from_members(members, now)) is not None:
                found.append(known)
        return max(found, key=lambda known: known.fetched_at, default=None)

    def write_metadata(self, known: KnownMetadata) -> None:
        """Share *known* with whoever asks the server in the same way: over the same proxies, by the same trust."""
        self._write(METADATA, self.keys.request, known.members(), expected=None, ttl_s=MAX_AGE_S)

    def forget_metadata(self) -> None:
        """Leave a tombstone in place of what is known of the server."""
        for _, keys in self._places:
            self._store.write(f"{keys.request}.{METADATA}", None, expected=None, ttl_s=60.0)

    def refusal(self, scope: Scope, now: float) -> Refusal | None:
        """Return what is remembered about *scope*, ended or not: a repetition is remembered for longer."""
        found: list[Refusal] = []
        for place, (_, keys) in enumerate(self._places):
            entry, members = self._read(place, FAILURE, scope.entry(keys))
            if members is not None and (refusal := Refusal.from_members(members, now, entry.ttl_s)) is not None:
                found.append(refusal)
        return max(found, key=lambda refusal: refusal.until, default=None)

    def write_refusal(self, scope: Scope, refusal: Refusal) -> bool:
        """
        Remember *refusal*.

        :return: False when the store failed
        """
        name, members = scope.entry(self.keys), refusal.members()
        return bool(self._write(FAILURE, name, members, expected=None, ttl_s=refusal.kept_s))

    def forget_refusal(self, scope: Scope) -> None:
        """Leave a tombstone in place of what is remembered."""
        for _, keys in self._places:
            self._store.write(f"{scope.entry(keys)}.{FAILURE}", None, expected=None, ttl_s=60.0)

    def try_lease(self, lasts_s: float = LEASE_S) -> Lease | None:
        """Return the right to fetch this token."""
        return self._store.try_lease(self.keys.request, lasts_s)

    def release(self, lease: Lease) -> None:
        """Give the right back."""
        self._store.release(lease)

    @property
    def shared(self) -> bool:
        """False while the store does not work: then waiting for others is of no use."""
        return self._store.available

    @property
    def poll_s(self) -> tuple[float, float]:
        """How long to wait, at first and at last, before looking again whether somebody else has fetched."""
        return self._store.poll_s

    def count(self, *, made: int = 0, saved: int = 0) -> None:
        """Count token requests and those that a shared token saved."""
        self._store.count(self.keys.request, made=made, saved=saved)

    def counts(self) -> Counts:
        """Return what was counted."""
        return self._store.counts(self.keys.request)

    def describe_store(self) -> str:
        """Return where entries lie."""
        return self._store.describe()

    def _read(self, place: int, purpose: str, name: str) -> tuple[Entry, dict[str, Any] | None]:
        entry = self._store.read(f"{name}.{purpose}")
        plain = self._places[place][0].open(purpose, name, entry.sealed) if entry.sealed else None
        return entry, _json_object(plain) if plain else None

    def _write(
        self, purpose: str, name: str, members: dict[str, Any], *, expected: int | None, ttl_s: float
    ) -> bool | None:
        sealed = self._places[0][0].close(purpose, name, json.dumps(members).encode())
        return self._store.write(f"{name}.{purpose}", sealed, expected=expected, ttl_s=ttl_s)


def _json_object(plain: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(plain)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _members_of(token: AccessToken) -> dict[str, Any]:
    return {
        "value": token.value,
        "token_type": token.token_type,
        "scope": token.scope,
        "issued_at": token.issued_at,
        "expires_at": token.expires_at,
        "base_url": token.base_url,
        "end_is_guessed": token.end_is_guessed,
        "proof_key": None if token.proof_key is None else token.proof_key.private_jwk(),
        "jkt": None if token.proof_key is None else token.proof_key.thumbprint,
    }


def _token_from(members: dict[str, Any]) -> AccessToken | None:
    try:
        token = AccessToken(
            value=str(members["value"]),
            token_type=str(members["token_type"]),
            scope=None if members["scope"] is None else str(members["scope"]),
            issued_at=float(members["issued_at"]),
            expires_at=float(members["expires_at"]),
            base_url=None if members["base_url"] is None else str(members["base_url"]),
            proof_key=None if members["proof_key"] is None else _proof_key_from(members),
            end_is_guessed=members.get("end_is_guessed") is True,
        )
    except (KeyError, TypeError, ValueError):
        return None
    return token if math.isfinite(token.issued_at) and math.isfinite(token.expires_at) else None


def _proof_key_from(members: dict[str, Any]) -> ProofKey:
    from airflow_oauth_provider.oauth2.dpop import ProofKey

    key = ProofKey.from_jwk(members["proof_key"])
    if key.thumbprint != members["jkt"]:
        raise ValueError("the proof key is not the one that the token is bound to")
    return key
