"""The refresh of a token before its end, in the background: nobody who has a valid token waits for it."""

from __future__ import annotations

import contextvars
import logging
import time
from functools import partial
from typing import TYPE_CHECKING

from airflow_oauth_provider.airflow_access import threads_may_ask
from airflow_oauth_provider.exceptions import OAuth2Error, PermanentError
from airflow_oauth_provider.tokens.background import Background
from airflow_oauth_provider.tokens.refusals import FETCH_SCOPES, Scope, scope_of
from airflow_oauth_provider.tokens.shelf import same
from airflow_oauth_provider.tokens.windows import REFRESH_PAUSE_S, cut_short, refresh_pause_s

if TYPE_CHECKING:
    from airflow_oauth_provider.tokens.endpoint import TokenEndpoint
    from airflow_oauth_provider.tokens.entries import SealedEntries
    from airflow_oauth_provider.tokens.held import HeldToken
    from airflow_oauth_provider.tokens.refusal_memory import RefusalMemory
    from airflow_oauth_provider.tokens.shelf import TokenShelf

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0
# Tasks are short: one may end half-way, and leave its lease to those who need a token.
_LEASE_S = 2 * TIMEOUT_S


class EarlyRefresh:
    """
    Refreshes what lies on *shelf* when it is due: one process, one attempt, and a pause after it.

    :param entries: the store
    :param refusals: of the token endpoint, which are obeyed and remembered here, too
    """

    def __init__(
        self, shelf: TokenShelf, entries: SealedEntries, refusals: RefusalMemory, endpoint: TokenEndpoint
    ) -> None:
        self._shelf = shelf
        self._entries = entries
        self._refusals = refusals
        self._endpoint = endpoint
        self._background = Background("oauth2-refresh")
        self._not_before = 0.0

    def start_when_due(self) -> None:
        """Start it in the background, when the time has come."""
        held = self._shelf.held
        if held is None or not held.due or time.monotonic() < self._not_before or not threads_may_ask():
            return
        self._not_before = time.monotonic() + min(TIMEOUT_S, held.token.lifetime_s / 20)
        # In the caller's context, for the trace's sake.
        self._background.start(partial(contextvars.copy_context().run, self.run, held))

    def run(self, held: HeldToken) -> None:
        """Refresh *held*, unless somebody else does or has."""
        # Whoever comes second has nothing to do but to look: no lease, and nothing of refusals.
        if self._taken_over(held) or (lease := self._entries.try_lease(_LEASE_S)) is None:
            return
        pause_s, began = refresh_pause_s(held.token.lifetime_s), time.monotonic()
        try:
            if self._taken_over(held):
                return
            if pauses := [found for scope in (*FETCH_SCOPES, Scope.AHEAD) if (found := self._refusals.live(scope))]:
                # No lease for looking at it again before its end: whoever has no token may want it.
                left_s = max(pause.until for pause in pauses) - time.time()
                self._not_before = time.monotonic() + min(REFRESH_PAUSE_S, left_s)
                return
            # Before the request: what becomes of it when its task is killed, or when the answer comes late, nobody
            # learns, and the server may have granted a token that is lost. The next try is in the mandatory window.
            self._refusals.pause(Scope.AHEAD, max(pause_s, held.life_s() - held.mandatory_s))
            self._not_before = time.monotonic() + pause_s
            generation, began = self._entries.generation(), time.monotonic()
            token = self._endpoint.fetch_once(TIMEOUT_S)
            if (again := self._shelf.known(token)) is not None:
                # There is no other before its end.
                self._refusals.pause(Scope.AHEAD, again.expires_at - time.time())
                token = again
            if same(self._shelf.share(token, expected=generation), token):
                self._refusals.forget()
        except OAuth2Error as error:
            if not cut_short(began, TIMEOUT_S):
                self._refusals.pause(Scope.AHEAD, pause_s)
            # Holders of a living token never ask for these, so nobody is kept from a call.
            if isinstance(error, PermanentError) or scope_of(error) is Scope.CLIENT:
                self._refusals.remember(error)
            log.warning("The early refresh of a token failed, the present one lives on: %s", error)
        finally:
            self._entries.release(lease)

    def _taken_over(self, held: HeldToken) -> bool:
        """Hold the token that somebody else has fetched in place of *held*; return whether there is one."""
        stored = self._entries.token()
        if stored is None or same(stored.token, held.token):
            return False
        candidate = self._shelf.candidate(stored)
        if candidate.due:
            return False
        self._shelf.held = candidate
        return True
