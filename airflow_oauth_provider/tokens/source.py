"""
One token for everyone: this process's memory, the store, a fetch under a lease.

Whatever the store does, a task only loses sharing, never its run.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_oauth_provider.exceptions import (
    ApiRefusedTokenError,
    OAuth2Error,
    TokenEndpointUnavailableError,
    TransientError,
)
from airflow_oauth_provider.tokens.refusals import FETCH_SCOPES, Refusal, Scope, scope_of
from airflow_oauth_provider.tokens.stores.base import LEASE_S
from airflow_oauth_provider.tokens.windows import (
    advisory_window_s,
    mandatory_window_s,
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

AHEAD_TIMEOUT_S = 5.0
AHEAD_PAUSE_S = 30.0
# How long somebody whose token still lives waits for the process that fetches the next one.
PATIENCE_S = 5.0
_FIRST_POLL_S, _MAX_POLL_S = 0.02, 0.25


@dataclass(frozen=True)
class _Held:
    """
    A token in this process's memory.

    :param ends_at: by the monotonic clock, which no one sets back
    :param shared: fetched by another process
    """

    token: AccessToken
    ends_at: float
    mandatory_s: float
    advisory_s: float

    def life_s(self) -> float:
        return min(self.ends_at - time.monotonic(), self.token.expires_at - time.time())

    @property
    def usable(self) -> bool:
        return self.life_s() > self.mandatory_s


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
        self._held: _Held | None = None
        self._refusals: dict[Scope, Refusal] = {}
        self._fetching = threading.Lock()
        self._ahead_not_before = 0.0
        self._silent_until = 0.0

    def get(self) -> AccessToken:
        """
        Return a token that is good for the next call.

        :raises OAuth2Error: why there is none; see :class:`~airflow_oauth_provider.tokens.endpoint.TokenEndpoint`
        """
        held = self._held
        if held is None or not held.usable:
            return self._obtain(refused=None)
        self._refresh_ahead_when_due(held)
        return held.token

    def renew(self, refused: AccessToken) -> AccessToken:
        """
        Return a token in place of one that the API refused with 401 (RFC 6750 §3.1).

        :raises ApiRefusedTokenError: *refused* is fresh, so that another one would be refused, too
        """
        if (newer := self._look(refused)) is not None:
            return newer
        self._check_renewal(refused)
        if self._held is not None and self._held.token.value == refused.value:
            self._held = None
        return self._obtain(refused)

    def fetch_new(self) -> AccessToken:
        """Return a new token whatever is stored, put it in place of the stored one and end remembered refusals."""
        token = self._endpoint.fetch()
        for _ in range(3):  # somebody else may write at the same moment
            generation = self._entries.generation()
            if self._entries.write_token(token, expected=generation) is not False:
                break
        self._hold(token, generation + 1, shared=False)
        for scope in FETCH_SCOPES:
            self._forget(scope)
        return token

    def renewable_in_s(self, refused: AccessToken) -> float:
        """Return the seconds until *refused* would be replaced if the API refused it again."""
        now = time.time()
        renewal = self._remembered(Scope.RENEWAL, now)
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

    def _candidate(self, stored: StoredToken) -> _Held:
        return self._make(stored.token, stored.generation, stored_life_s(stored.token, time.time()), shared=True)

    def _make(self, token: AccessToken, generation: int, life_s: float, *, shared: bool) -> _Held:
        lifetime_s, leeway_s = token.lifetime_s, self._settings.leeway_s
        return _Held(
            token=token,
            ends_at=time.monotonic() + life_s,
            mandatory_s=mandatory_window_s(lifetime_s, leeway_s, shared=shared),
            advisory_s=advisory_window_s(lifetime_s, self._entries.keys.request, generation),
        )

    def _hold(self, token: AccessToken, generation: int, *, shared: bool) -> None:
        self._held = self._make(token, generation, token.expires_at - time.time(), shared=shared)

    def _remembered(self, scope: Scope, now: float) -> Refusal | None:
        """Return what is remembered of *scope* and has not ended."""
        refusal = self._before(scope, now)
        return refusal if refusal is not None and now < refusal.until else None

    def _raise_remembered(self) -> None:
        now = time.time()
        for scope in FETCH_SCOPES:
            if (refusal := self._remembered(scope, now)) is not None:
                raise refusal.error_to_raise(now)

    def _check_renewal(self, refused: AccessToken) -> None:
        wait_s = self.renewable_in_s(refused)
        if wait_s > 0:
            raise ApiRefusedTokenError(
                "The API refuses a fresh token: check audience, scope and roles of the client.",
                status_code=401,
                error="invalid_token",
                retry_after_s=wait_s,
            )

    # Fetching ---------------------------------------------------------------------------------------------------

    def _obtain(self, refused: AccessToken | None) -> AccessToken:
        try:
            if self._fetching.acquire(timeout=self._patience_s(refused)):
                try:
                    return self._look(refused) or self._obtain_alone(refused)
                finally:
                    self._fetching.release()
            raise TokenEndpointUnavailableError("Another thread has been fetching this token for long.")
        except TransientError as error:
            old = self._living(refused)
            if old is None:
                raise
            if time.monotonic() >= self._silent_until:
                self._silent_until = time.monotonic() + AHEAD_PAUSE_S
                log.warning("No new token for now; the present one lives for another %.0f s. %s", old.life_s(), error)
            return old.token

    def _obtain_alone(self, refused: AccessToken | None) -> AccessToken:
        """Fetch under the lease; only one thread of this process is here at a time."""
        self._raise_remembered()
        give_up_at = time.monotonic() + self._patience_s(refused)
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
            self._raise_remembered()
        try:
            if (token := self._look(refused)) is not None:
                return token
            self._raise_remembered()
            return self._fetch(refused)
        finally:
            if lease is not None:
                self._entries.release(lease)

    def _fetch(self, refused: AccessToken | None) -> AccessToken:
        """Fetch and record the outcome, a failure too, so that whoever waits need not ask the server."""
        if refused is not None:
            self._check_renewal(refused)
            stored = self._entries.token()
            if stored is not None and _same(stored.token, refused):
                self._entries.drop_token(stored)
        generation = self._entries.generation()
        try:
            # Whoever has a living token is not kept waiting for long.
            has_none = self._living(refused) is None
            token = self._endpoint.fetch() if has_none else self._endpoint.fetch_once(PATIENCE_S)
        except OAuth2Error as error:
            scope, now = scope_of(error), time.time()
            self._remember(scope, Refusal.of(error, self._before(scope, now), now))
            raise
        if refused is not None:
            self._remember(Scope.RENEWAL, Refusal.pause(time.time(), renewal_pause_s(refused.lifetime_s)))
        return self._share(token, generation)

    def _share(self, token: AccessToken, generation: int) -> AccessToken:
        written = self._entries.write_token(token, expected=generation)
        self._hold(token, generation + 1, shared=False)
        for scope in FETCH_SCOPES:
            if self._before(scope, time.time()) is not None:
                self._forget(scope)
        if written is False and (stored := self._entries.token()) is not None:
            # We slept while somebody else fetched: theirs is newer. Clocks do not decide that, generations do.
            newer = self._candidate(stored)
            if newer.usable:
                self._held = newer
                return newer.token
        return token

    def _living(self, refused: AccessToken | None) -> _Held | None:
        """Return the token in its mandatory window that is still alive for a call."""
        held = self._held
        if held is None and (stored := self._entries.token()) is not None:
            held = self._candidate(stored)
        return held if held is not None and held.life_s() > 1 and not _same(held.token, refused) else None

    def _patience_s(self, refused: AccessToken | None) -> float:
        """Return how long to wait for somebody else's fetch: not long while the present token lives."""
        old = self._living(refused)
        return LEASE_S if old is None else max(0.0, min(PATIENCE_S, old.life_s() - 1))

    # Remembering ------------------------------------------------------------------------------------------------

    def _before(self, scope: Scope, now: float) -> Refusal | None:
        """Return what is remembered, ended or not; in the process's own memory only when the store does not work."""
        return self._entries.refusal(scope, now) if self._entries.shared else self._refusals.get(scope)

    def _remember(self, scope: Scope, refusal: Refusal) -> None:
        self._refusals[scope] = refusal
        self._entries.write_refusal(scope, refusal)

    def _forget(self, scope: Scope) -> None:
        self._refusals.pop(scope, None)
        self._entries.forget_refusal(scope)

    # Ahead of time ----------------------------------------------------------------------------------------------

    def _refresh_ahead_when_due(self, held: _Held) -> None:
        if held.life_s() > held.advisory_s or time.monotonic() < self._ahead_not_before:
            return
        self._ahead_not_before = time.monotonic() + min(AHEAD_TIMEOUT_S, held.token.lifetime_s / 20)
        # The caller has a valid token and is not kept waiting. No thread can be started while Python shuts down.
        with suppress(RuntimeError):
            threading.Thread(target=self._refresh_ahead, args=(held,), name="oauth2-refresh", daemon=True).start()

    def _refresh_ahead(self, held: _Held) -> None:
        now = time.time()
        if any(self._remembered(scope, now) is not None for scope in (*FETCH_SCOPES, Scope.AHEAD)):
            return
        lease = self._entries.try_lease()
        if lease is None:
            return
        try:
            stored = self._entries.token()
            if stored is not None and not _same(stored.token, held.token):
                candidate = self._candidate(stored)
                if candidate.life_s() > candidate.advisory_s:
                    self._held = candidate
                    return
            generation = self._entries.generation()
            self._share(self._endpoint.fetch_once(AHEAD_TIMEOUT_S), generation)
        except OAuth2Error as error:
            self._ahead_not_before = time.monotonic() + AHEAD_PAUSE_S
            self._remember(Scope.AHEAD, Refusal.pause(time.time(), AHEAD_PAUSE_S))
            log.warning("The early refresh of a token failed, the present one lives on: %s", error)
        finally:
            self._entries.release(lease)


def _same(token: AccessToken, other: AccessToken | None) -> bool:
    return other is not None and token.value == other.value
