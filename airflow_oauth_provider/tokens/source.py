"""
One token for everyone: this process's memory, the store, a fetch under a lease.

Whatever the store does, a task only loses sharing, never its run.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING
from weakref import WeakSet

from airflow_oauth_provider.exceptions import ApiRefusedTokenError, OAuth2Error, TokenEndpointUnavailableError
from airflow_oauth_provider.lazy import lazy_property
from airflow_oauth_provider.masking import mask_in_airflow
from airflow_oauth_provider.telemetry import Telemetry
from airflow_oauth_provider.tokens.early_refresh import EarlyRefresh
from airflow_oauth_provider.tokens.refusal_memory import RefusalMemory
from airflow_oauth_provider.tokens.refusals import Scope
from airflow_oauth_provider.tokens.shelf import TokenShelf, same
from airflow_oauth_provider.tokens.status import TokenStatus
from airflow_oauth_provider.tokens.stores.base import LEASE_S
from airflow_oauth_provider.tokens.windows import cut_short, refresh_pause_s, renewal_pause_s, renewal_wait_s

if TYPE_CHECKING:
    from airflow_oauth_provider.oauth2.dpop import Nonces
    from airflow_oauth_provider.oauth2.settings import ClientSettings
    from airflow_oauth_provider.oauth2.token import AccessToken
    from airflow_oauth_provider.tokens.endpoint import TokenEndpoint
    from airflow_oauth_provider.tokens.entries import SealedEntries

log = logging.getLogger(__name__)

NEW_TIMEOUT_S = 30.0
# How long somebody whose token still lives waits for the process that fetches the next one.
PATIENCE_S = 5.0
_SILENCE_S = 30.0
# The end of a token is known but for the time that its request took, and for what clocks differ.
_LAST_SECONDS_S = 4.0
_NONCES_EVERY_S = 30.0

_sources: WeakSet[TokenSource] = WeakSet()


class _OutOfPatienceError(TokenEndpointUnavailableError):
    """The server took longer than somebody waits who has a token: no news to those who have none."""


class TokenSource:
    """
    Gives every caller the same token until it nears its end. Safe between threads.

    :param entries: where it is shared
    :param endpoint: where it comes from
    """

    def __init__(
        self,
        settings: ClientSettings,
        entries: SealedEntries,
        endpoint: TokenEndpoint,
        telemetry: Telemetry | None = None,
    ) -> None:
        self.server = settings.server
        self._telemetry = telemetry or Telemetry()
        self._entries = entries
        self._endpoint = endpoint
        self._shelf = TokenShelf(settings, entries, self._telemetry)
        self._refusals = RefusalMemory(entries, self._telemetry)
        self._early = EarlyRefresh(self._shelf, entries, self._refusals, endpoint)
        self._fetching = threading.Lock()
        self._silent_until = 0.0
        self._nonces_kept_at = -_NONCES_EVERY_S
        _sources.add(self)

    def get(self) -> AccessToken:
        """
        Return a token that is good for the next call.

        :raises OAuth2Error: why there is none; see :class:`~airflow_oauth_provider.tokens.endpoint.TokenEndpoint`
        """
        mask_in_airflow()  # what another thread has fetched may still be to be told
        token = self._shelf.in_memory() or self._obtain(refused=None)
        self._early.start_when_due()
        return token

    def renew(self, refused: AccessToken) -> AccessToken:
        """
        Return a token in place of one that the API refused with 401 (RFC 6750 §3.1).

        :raises ApiRefusedTokenError: *refused* is fresh, so that another one would be refused, too
        """
        if (newer := self._shelf.usable(refused)) is not None:
            return newer
        # By its age alone: what is remembered is looked up under the lease, where nobody is half-way through a renewal.
        _check_renewal(renewal_wait_s(refused, time.time()))
        self._shelf.drop(refused)
        return self._obtain(refused)

    def renewable_in_s(self, refused: AccessToken) -> float:
        """Return the seconds until *refused* would be replaced if the API refused it again."""
        now, renewal = time.time(), self._refusals.live(Scope.RENEWAL)
        return max(renewal_wait_s(refused, now), renewal.until - now if renewal else 0.0)

    @lazy_property
    def api_nonces(self) -> Nonces:
        """The last DPoP nonce of each API, those that other processes met included (RFC 9449 §8.2)."""
        from airflow_oauth_provider.oauth2.dpop import Nonces

        return Nonces(self._entries.nonces(), on_change=self._keep_nonces)

    def _keep_nonces(self) -> None:
        # Some APIs send another one with each answer: whoever comes later needs none of these, but one of late.
        if time.monotonic() - self._nonces_kept_at >= _NONCES_EVERY_S:
            self._nonces_kept_at = time.monotonic()
            self._entries.write_nonces(self.api_nonces.snapshot())

    # For people -------------------------------------------------------------------------------------------------

    def fetch_new(self) -> AccessToken:
        """Return a new token whatever is stored, put it in place of the stored one and end remembered refusals."""
        token = self._endpoint.fetch_once(NEW_TIMEOUT_S)
        token = self._shelf.known(token) or token
        for _ in range(3):  # somebody else may write at the same moment
            generation = self._entries.generation()
            if self._entries.write_token(token, expected=generation) is not False:
                break
        self._shelf.put(token, generation + 1)
        self._refusals.forget()
        return token

    def status(self) -> TokenStatus:
        """Return what is stored, without asking the token endpoint."""
        stored, refusal, counts = self._entries.token(), self._refusals.last(), self._entries.counts()
        token = stored.token if stored is not None else None
        return TokenStatus(self._entries.describe_store(), self._entries.shared, token, refusal, counts)

    def forget(self) -> None:
        """Forget the stored token, the server's metadata and remembered refusals: the next task asks anew."""
        self._shelf.held = None
        self._entries.drop_tokens()
        self._endpoint.forget_metadata()
        self._entries.forget_metadata()
        self._refusals.forget()

    def revoke(self) -> bool:
        """
        End the stored token at the authorization server, and forget it.

        :return: False when there is none that lives
        :raises OAuth2Error: the server does not do it; the token is still stored
        """
        stored = self._entries.token()
        if stored is None or stored.token.expires_at <= time.time():
            return False
        self._endpoint.revoke(stored.token, NEW_TIMEOUT_S)
        self._shelf.drop(stored.token)
        self._entries.drop_token(stored)
        return True

    # Fetching ---------------------------------------------------------------------------------------------------

    def _obtain(self, refused: AccessToken | None) -> AccessToken:
        if (token := self._shelf.usable(refused)) is not None:
            return token
        began, patience_s = time.monotonic(), self._patience_s(refused)
        try:
            if not self._fetching.acquire(timeout=patience_s):
                if (old := self._shelf.living(refused)) is not None:
                    return old.token
                # The token has ended while we waited: from now on we are one of those who have none.
                patience_s = _longest_wait_s()
                if not self._fetching.acquire(timeout=max(0.0, began + patience_s - time.monotonic())):
                    return self._obtain_alone(refused, began, patience_s)
            try:
                return self._shelf.usable(refused) or self._obtain_alone(refused, began, patience_s)
            finally:
                self._fetching.release()
        except OAuth2Error as error:
            # A refusal, too, is of no concern while there is a token: its end brings it up early enough.
            old = self._shelf.living(refused)
            if old is None:
                raise
            if time.monotonic() >= self._silent_until:
                self._silent_until = time.monotonic() + _SILENCE_S
                log.warning("No new token for now; the present one lives for another %.0f s. %s", old.life_s(), error)
            return old.token

    def _obtain_alone(self, refused: AccessToken | None, came_at: float, patience_s: float) -> AccessToken:
        """Fetch under the lease, for which it is waited so long since *came_at*."""
        self._refusals.raise_remembered()
        if (living := self._living_in_pause(refused)) is not None:
            return living
        began, waited = time.monotonic(), False
        poll_s, max_poll_s = self._entries.poll_s
        try:
            while (lease := self._entries.try_lease()) is None and self._entries.shared:
                remaining_s = came_at + patience_s - time.monotonic()
                if remaining_s <= 0:
                    if (old := self._shelf.living(refused)) is not None:
                        return old.token
                    if patience_s < _longest_wait_s():
                        # The token has ended while we waited: from now on we are one of those who have none.
                        patience_s = _longest_wait_s()
                        continue
                    log.warning("Another process has been fetching this token for long: going on without waiting.")
                    break
                waited = True
                time.sleep(min(poll_s, remaining_s))
                poll_s = min(poll_s * 1.5, max_poll_s)
                if (token := self._shelf.usable(refused)) is not None:
                    return token
                self._refusals.raise_remembered()
        finally:
            if waited:
                self._telemetry.time("lease_wait", time.monotonic() - began)
        try:
            if (token := self._shelf.usable(refused)) is not None:
                return token
            self._refusals.raise_remembered()
            return self._living_in_pause(refused) or self._fetch(refused)
        finally:
            if lease is not None:
                self._entries.release(lease)

    def _fetch(self, refused: AccessToken | None) -> AccessToken:
        """Fetch and record the outcome, a failure too, so that whoever waits need not ask the server."""
        if refused is not None:
            _check_renewal(self.renewable_in_s(refused))
            stored = self._entries.token()
            if stored is not None and same(stored.token, refused):
                self._entries.drop_token(stored)
        generation = self._entries.generation()
        try:
            token = self._fetch_another(refused)
        except OAuth2Error as error:
            if not isinstance(error, _OutOfPatienceError):
                self._refusals.remember(error)
            raise
        shared = self._shelf.share(token, expected=generation, instead_of=refused)
        if same(shared, token):
            self._refusals.forget()
        if refused is not None:
            self._refusals.pause(Scope.RENEWAL, renewal_pause_s(refused.lifetime_s))
        return shared

    def _fetch_another(self, refused: AccessToken | None) -> AccessToken:
        """Fetch; where the server hands out the token that there is, wait for its last second to pass."""
        if (last_s := self._shelf.last_second_s()) and self._refusals.live(Scope.AHEAD) is not None:
            time.sleep(last_s)
        give_up_at = time.monotonic() + _LAST_SECONDS_S
        while True:
            token = self._patiently_or_not(refused)
            if (again := self._shelf.known(token, refused)) is None:
                return token
            now = time.time()
            if (left_s := again.expires_at - now) > 1:
                # There is no other before its end.
                self._refusals.pause(Scope.AHEAD, left_s)
                return again
            if time.monotonic() >= give_up_at:
                return token.aged(again.issued_at, min(token.expires_at, now + 1))
            time.sleep(max(0.0, left_s) + 0.2)

    def _patiently_or_not(self, refused: AccessToken | None) -> AccessToken:
        """Fetch, not for long while another token lives; a server that takes longer fails nobody all the same."""
        old, began = self._shelf.living(refused), time.monotonic()
        if old is None:
            return self._endpoint.fetch()
        try:
            return self._endpoint.fetch_once(PATIENCE_S)
        except TokenEndpointUnavailableError as error:
            if not cut_short(began, PATIENCE_S):
                raise
            problem = str(error)
        if self._shelf.living(refused) is None:
            return self._endpoint.fetch()
        self._refusals.pause(Scope.AHEAD, refresh_pause_s(old.token.lifetime_s))
        raise _OutOfPatienceError(problem)

    def _living_in_pause(self, refused: AccessToken | None) -> AccessToken | None:
        """Return a token that still lives while those who have one do not ask for the next."""
        old = self._shelf.living(refused)
        return old.token if old is not None and self._refusals.live(Scope.AHEAD) is not None else None

    def _patience_s(self, refused: AccessToken | None) -> float:
        """Return how long to wait for somebody else's fetch: not long while the present token lives."""
        old = self._shelf.living(refused)
        return _longest_wait_s() if old is None else max(0.0, min(PATIENCE_S, old.life_s() - 1))


def _longest_wait_s() -> float:
    """Return how long to wait without a token: longer than a lease lives, as whoever takes over a dead one fetches."""
    return LEASE_S + PATIENCE_S


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
