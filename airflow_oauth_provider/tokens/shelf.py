"""The token at hand: in the memory of this process, and in the store behind it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from airflow_oauth_provider.masking import mask_in_airflow
from airflow_oauth_provider.tokens.held import HeldToken
from airflow_oauth_provider.tokens.windows import stored_life_s

if TYPE_CHECKING:
    from airflow_oauth_provider.oauth2.settings import ClientSettings
    from airflow_oauth_provider.oauth2.token import AccessToken
    from airflow_oauth_provider.telemetry import Telemetry
    from airflow_oauth_provider.tokens.entries import SealedEntries, StoredToken


# What is left is counted at the server, in whole seconds.
_SAME_END_S = 2.0


class TokenShelf:
    """
    Looks for a token without ever fetching one.

    :param entries: the store
    """

    def __init__(self, settings: ClientSettings, entries: SealedEntries, telemetry: Telemetry) -> None:
        self._leeway_s = settings.leeway_s
        self._entries = entries
        self._telemetry = telemetry
        self.held: HeldToken | None = None

    def in_memory(self, refused: AccessToken | None = None) -> AccessToken | None:
        """Return the usable token that this process holds, other than *refused*."""
        held = self.held
        if held is None or not held.usable or same(held.token, refused):
            return None
        self._telemetry.count("store_hits", level="memory")
        return held.token

    def usable(self, refused: AccessToken | None) -> AccessToken | None:
        """Return a usable token from memory or store, other than *refused*."""
        if (token := self.in_memory(refused)) is not None:
            return token
        stored = self._entries.token()
        if stored is None or same(stored.token, refused):
            return None
        candidate = self.candidate(stored)
        if not candidate.usable:
            return None
        self.held = candidate
        self._telemetry.count("store_hits", level="store")
        self._entries.count(saved=1)
        return candidate.token

    def living(self, refused: AccessToken | None) -> HeldToken | None:
        """Return the token in its mandatory window that is still alive for a call."""
        if (held := self.held) is not None and _lives(held, refused):
            return held
        stored = self._entries.token()
        candidate = self.candidate(stored) if stored is not None else None
        return candidate if candidate is not None and _lives(candidate, refused) else None

    def candidate(self, stored: StoredToken) -> HeldToken:
        """Return what is stored as it would be held here."""
        life_s = stored_life_s(stored.token, time.time(), stored.ttl_s)
        # A store that keeps the time leaves no doubt about it.
        return self._as_held(stored.token, life_s, stored.generation, shared=stored.ttl_s is None)

    def known(self, token: AccessToken, refused: AccessToken | None = None) -> AccessToken | None:
        """
        Return *token* as it is known here, None for one that is new.

        Some servers hand out the token that there is, with the seconds that are left: it is as old as it was.

        :param refused: which was at hand until just now
        """
        if token.proof_key is not None:
            return None
        for at_hand in filter(None, (*self._at_hand(), refused)):
            if not same(at_hand, token):
                continue
            if token.end_is_guessed and not at_hand.end_is_guessed:
                return token.aged(at_hand.issued_at, at_hand.expires_at)
            # What lives on for longer was prolonged, and begins anew.
            if not token.end_is_guessed and token.expires_at <= at_hand.expires_at + _SAME_END_S:
                # The seconds that are left are whole ones: the end that was said first is the exact one.
                earlier = token.expires_at < at_hand.expires_at - _SAME_END_S
                return token.aged(at_hand.issued_at, token.expires_at if earlier else at_hand.expires_at)
        return None

    def last_second_s(self) -> float:
        """Return how long the token at hand still lives when that is a second at most, else zero."""
        left_s = max((token.expires_at - time.time() for token in self._at_hand()), default=0.0)
        return left_s if 0 < left_s <= 1 else 0.0

    def _at_hand(self) -> list[AccessToken]:
        held, stored = self.held, self._entries.token()
        return [one.token for one in (held, stored) if one is not None]

    def put(self, token: AccessToken, generation: int) -> None:
        """Hold *token*, which this process has fetched."""
        self.held = self._as_held(token, token.expires_at - time.time(), generation, shared=False)

    def share(self, token: AccessToken, *, expected: int, instead_of: AccessToken | None = None) -> AccessToken:
        """
        Hold *token* and store it; return it, or the newer one of somebody else who was faster.

        :param expected: the generation on which it builds
        :param instead_of: a token that the API refused, which is no newer one whatever its generation
        """
        written = self._entries.write_token(token, expected=expected)
        self.put(token, expected + 1)
        if written is False and (stored := self._entries.token()) is not None:
            if same(stored.token, instead_of):
                # The store did not answer when it was asked for the generation.
                self._entries.write_token(token, expected=stored.generation)
                return token
            # We slept while somebody else fetched: theirs is newer. Clocks do not decide that, generations do.
            newer = self.candidate(stored)
            if newer.usable:
                self.held = newer
                return newer.token
        return token

    def drop(self, refused: AccessToken) -> None:
        """Forget *refused* in this process."""
        if self.held is not None and same(self.held.token, refused):
            self.held = None

    def _as_held(self, token: AccessToken, life_s: float, generation: int, *, shared: bool) -> HeldToken:
        # Whoever gets hold of a token may log it: here, every token passes.
        mask_in_airflow((token.value,))
        key = self._entries.keys.request
        return HeldToken.make(token, life_s, leeway_s=self._leeway_s, key=key, generation=generation, shared=shared)


def _lives(held: HeldToken, refused: AccessToken | None) -> bool:
    return held.life_s() > 1 and not same(held.token, refused)


def same(token: AccessToken, other: AccessToken | None) -> bool:
    """Whether both are one token."""
    return other is not None and token.value == other.value
