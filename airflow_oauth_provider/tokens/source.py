"""
One token for everyone: this process's memory, the store, a fetch under a lease.

Whatever the store does, a task only loses sharing, never its run.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakSet

from airflow_oauth_provider.exceptions import (
    ApiRefusedTokenError,
    OAuth2Error,
    PermanentError,
    TransientError,
)
from airflow_oauth_provider.masking import mask_in_airflow
from airflow_oauth_provider.tokens.held import HeldToken
from airflow_oauth_provider.tokens.refusal_memory import RefusalMemory
from airflow_oauth_provider.tokens.refusals import FETCH_SCOPES, Scope, scope_of
from airflow_oauth_provider.tokens.stores.base import LEASE_S
from airflow_oauth_provider.tokens.windows import (
    renewal_pause_s,
    renewal_wait_s,
    stored_life_s,
)

if TYPE_CHECKING:
    from airflow_oauth_provider.oauth2.settings import ClientSettings
    from airflow_oauth_provider.oauth2.token import AccessToken
    from airflow_oauth_provider.tokens.endpoint import TokenEndpoint
    from airflow_oauth_provider.tokens.entries import SealedEntries, StoredToken

log = logging.getLogger(__name__)

NEW_TIMEOUT_S = 30.0
AHEAD_TIMEOUT_S = 5.0
AHEAD_PAUSE_S = 30.0
# How long somebody whose token still lives waits for the process that fetches the next one.
PATIENCE_S = 5.0
_FIRST_POLL_S, _MAX_POLL_S = 0.02, 0.25

_sources: WeakSet[TokenSource] = WeakSet()


class TokenSource:
    """
    Gives every caller the same token until it nears its end. Safe between threads.

    :param entries: where it is shared
    :param endpoint: where it comes from
    """

    def __init__(self, settings: ClientSettings, entries: SealedEntries, endpoint: TokenEndpoint) -> None:
        self._settings = settings
        self._entries = entries
        self._endpoint = endpoint
        self._held: HeldToken | None = None
        self._refusals = RefusalMemory(entries)
        self._fetching = threading.Lock()
        _sources.add(self)
        self._ahead_not_before = 0.0
        self._silent_until = 0.0

    def get(self) -> AccessToken:
        """
        Return a token that is good for the next call.

        :raises OAuth2Error: why there is none; see :class:`~airflow_oauth_provider.tokens.endpoint.TokenEndpoint`
        """
        held = self._held
        token = held.token if held is not None and held.usable else self._obtain(refused=None)
        self._refresh_ahead_when_due()
        return token

    def renew(self, refused: AccessToken) -> AccessToken:
        """
        Return a token in place of one that the API refused with 401 (RFC 6750 §3.1).

        :raises ApiRefusedTokenError: *refused* is fresh, so that another one would be refused, too
        """
        if (newer := self._look(refused)) is not None:
            return newer
        # By its age alone: what is remembered is looked up under the lease, where nobody is half-way through a renewal.
        _check_renewal(renewal_wait_s(refused, time.time()))
        held = self._held
        if held is not None and _same(held.token, refused):
            self._held = None
        return self._obtain(refused)

    def fetch_new(self) -> AccessToken:
        """Return a new token whatever is stored, put it in place of the stored one and end remembered refusals."""
        token = self._endpoint.fetch_once(NEW_TIMEOUT_S)
        for _ in range(3):  # somebody else may write at the same moment
            generation = self._entries.generation()
            if self._entries.write_token(token, expected=generation) is not False:
                break
        self._held = self._held_token(token, token.expires_at - time.time(), generation + 1, shared=False)
        self._refusals.forget()
        return token

    def renewable_in_s(self, refused: AccessToken) -> float:
        """Return the seconds until *refused* would be replaced if the API refused it again."""
        now, renewal = time.time(), self._refusals.live(Scope.RENEWAL)
        return max(renewal_wait_s(refused, now), renewal.until - now if renewal else 0.0)

    # Looking ----------------------------------------------------------------------------------------------------

    def _look(self, refused: AccessToken | None) -> AccessToken | None:
        """Return a usable token from memory or store, other than *refused*."""
        held = self._held
        if held is not None and held.usable and not _same(held.token, refused):
            return held.token
        stored = self._entries.token()
        if stored is None or _same(stored.token, refused):
            return None
        candidate = self._candidate(stored)
        if not candidate.usable:
            return None
        self._held = candidate
        return candidate.token

    def _candidate(self, stored: StoredToken) -> HeldToken:
        return self._held_token(stored.token, stored_life_s(stored.token, time.time()), stored.generation, shared=True)

    def _held_token(self, token: AccessToken, life_s: float, generation: int, *, shared: bool) -> HeldToken:
        # Whoever gets hold of a token may log it: here, every token passes.
        mask_in_airflow((token.value,))
        key, leeway_s = self._entries.keys.request, self._settings.leeway_s
        return HeldToken.make(token, life_s, leeway_s=leeway_s, key=key, generation=generation, shared=shared)

    # Fetching ---------------------------------------------------------------------------------------------------

    def _obtain(self, refused: AccessToken | None) -> AccessToken:
        if (token := self._look(refused)) is not None:
            return token
        give_up_at = time.monotonic() + self._patience_s(refused)
        try:
            if not self._fetching.acquire(timeout=max(0.0, give_up_at - time.monotonic())):
                old = self._living(refused)
                return old.token if old is not None else self._obtain_alone(refused, give_up_at)
            try:
                return self._look(refused) or self._obtain_alone(refused, give_up_at)
            finally:
                self._fetching.release()
        except TransientError as error:
            old = self._living(refused)
            if old is None:
                raise
            if time.monotonic() >= self._silent_until:
                self._silent_until = time.monotonic() + AHEAD_PAUSE_S
                log.warning("No new token for now; the present one lives for another %.0f s. %s", old.life_s(), error)
            return old.token

    def _obtain_alone(self, refused: AccessToken | None, give_up_at: float) -> AccessToken:
        """Fetch under the lease."""
        self._refusals.raise_remembered()
        poll_s = _FIRST_POLL_S
        while (lease := self._entries.try_lease()) is None and self._entries.shared:
            remaining_s = give_up_at - time.monotonic()
            if remaining_s <= 0:
                if (old := self._living(refused)) is not None:
                    return old.token
                log.warning("Another process has been fetching this token for long: going on without waiting for it.")
                break
            time.sleep(min(poll_s, remaining_s))
            poll_s = min(poll_s * 1.5, _MAX_POLL_S)
            if (token := self._look(refused)) is not None:
                return token
            self._refusals.raise_remembered()
        try:
            if (token := self._look(refused)) is not None:
                return token
            self._refusals.raise_remembered()
            return self._fetch(refused)
        finally:
            if lease is not None:
                self._entries.release(lease)

    def _fetch(self, refused: AccessToken | None) -> AccessToken:
        """Fetch and record the outcome, a failure too, so that whoever waits need not ask the server."""
        if refused is not None:
            _check_renewal(self.renewable_in_s(refused))
            stored = self._entries.token()
            if stored is not None and _same(stored.token, refused):
                self._entries.drop_token(stored)
        generation = self._entries.generation()
        try:
            # Whoever has a living token is not kept waiting for long.
            has_none = self._living(refused) is None
            token = self._endpoint.fetch() if has_none else self._endpoint.fetch_once(PATIENCE_S)
        except OAuth2Error as error:
            self._refusals.remember(error)
            raise
        shared = self._share(token, generation)
        if refused is not None:
            self._refusals.pause(Scope.RENEWAL, renewal_pause_s(refused.lifetime_s))
        return shared

    def _share(self, token: AccessToken, generation: int) -> AccessToken:
        written = self._entries.write_token(token, expected=generation)
        self._held = self._held_token(token, token.expires_at - time.time(), generation + 1, shared=False)
        if written is False:
            # We slept while somebody else fetched: theirs is newer. Clocks do not decide that, generations do.
            stored = self._entries.token()
            newer = self._candidate(stored) if stored is not None else None
            if newer is not None and newer.usable:
                self._held = newer
                return newer.token
            return token
        self._refusals.forget()
        return token

    def _living(self, refused: AccessToken | None) -> HeldToken | None:
        """Return the token in its mandatory window that is still alive for a call."""
        held = self._held
        if held is None and (stored := self._entries.token()) is not None:
            held = self._candidate(stored)
        return held if held is not None and held.life_s() > 1 and not _same(held.token, refused) else None

    def _patience_s(self, refused: AccessToken | None) -> float:
        """Return how long to wait for somebody else's fetch: not long while the present token lives."""
        old = self._living(refused)
        # A while longer than a lease lives: whoever takes over a dead one needs the time for its own fetch.
        return LEASE_S + PATIENCE_S if old is None else max(0.0, min(PATIENCE_S, old.life_s() - 1))

    # Ahead of time ----------------------------------------------------------------------------------------------

    def _refresh_ahead_when_due(self) -> None:
        held = self._held
        if held is None or not held.due or time.monotonic() < self._ahead_not_before:
            return
        self._ahead_not_before = time.monotonic() + min(AHEAD_TIMEOUT_S, held.token.lifetime_s / 20)
        # The caller has a valid token and is not kept waiting. No thread can be started while Python shuts down.
        with suppress(RuntimeError):
            threading.Thread(target=self._refresh_ahead, args=(held,), name="oauth2-refresh", daemon=True).start()

    def _refresh_ahead(self, held: HeldToken) -> None:
        if any(self._refusals.live(scope) is not None for scope in FETCH_SCOPES):
            return
        lease = self._entries.try_lease()
        if lease is None:
            return
        try:
            stored = self._entries.token()
            if stored is not None and not _same(stored.token, held.token):
                candidate = self._candidate(stored)
                if not candidate.due:
                    self._held = candidate
                    return
            if self._refusals.live(Scope.AHEAD) is not None:
                return
            # Before the request: a task that ends half-way through it must not leave it to every next one to try.
            pause_s = min(AHEAD_PAUSE_S, held.token.lifetime_s / 20)
            self._refusals.pause(Scope.AHEAD, pause_s)
            self._ahead_not_before = time.monotonic() + pause_s
            generation = self._entries.generation()
            self._share(self._endpoint.fetch_once(AHEAD_TIMEOUT_S), generation)
        except OAuth2Error as error:
            # Holders of a living token never ask for these, so nobody is kept from a call.
            if isinstance(error, PermanentError) or scope_of(error) is Scope.CLIENT:
                self._refusals.remember(error)
            log.warning("The early refresh of a token failed, the present one lives on: %s", error)
        finally:
            self._entries.release(lease)


def _unlock_after_fork() -> None:
    """Free the locks of a child: the threads that held them are its parent's."""
    for source in list(_sources):
        source._fetching = threading.Lock()  # noqa: SLF001


os.register_at_fork(after_in_child=_unlock_after_fork)


def _check_renewal(wait_s: float) -> None:
    if wait_s > 0:
        raise ApiRefusedTokenError(
            "The API refuses a fresh token: check audience, scope and roles of the client.",
            status_code=401,
            error="invalid_token",
            retry_after_s=wait_s,
        )


def _same(token: AccessToken, other: AccessToken | None) -> bool:
    return other is not None and token.value == other.value
