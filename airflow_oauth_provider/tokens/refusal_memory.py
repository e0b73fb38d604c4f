"""What is remembered of refusals, in the store and, while that does not work, in the process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from airflow_oauth_provider.tokens.refusals import FETCH_SCOPES, Refusal, Scope, scope_of

if TYPE_CHECKING:
    from airflow_oauth_provider.exceptions import OAuth2Error
    from airflow_oauth_provider.tokens.entries import SealedEntries


class RefusalMemory:
    """
    Remembers failures of the token endpoint for what they are about.

    :param entries: where they are shared
    """

    def __init__(self, entries: SealedEntries) -> None:
        self._entries = entries
        self._own: dict[Scope, Refusal] = {}

    def raise_remembered(self) -> None:
        """
        Return when the token endpoint may be asked.

        :raises OAuth2Error: it was asked a short while ago, and refused
        """
        for scope in FETCH_SCOPES:
            if (refusal := self.live(scope)) is not None:
                raise refusal.error_to_raise(time.time())

    def live(self, scope: Scope) -> Refusal | None:
        """Return what is remembered of *scope* and has not ended."""
        refusal = self._last(scope)
        return refusal if refusal is not None and time.time() < refusal.until else None

    def remember(self, failure: OAuth2Error) -> None:
        """Remember *failure*, for longer when it repeats the last one."""
        scope = scope_of(failure)
        self._write(scope, Refusal.of(failure, self._last(scope), time.time()))

    def pause(self, scope: Scope, seconds: float) -> None:
        """Remember that something was done, and is not to be done again for *seconds*."""
        self._write(scope, Refusal.pause(time.time(), seconds))

    def forget(self) -> None:
        """End all refusals: the token endpoint has granted a token."""
        for scope in FETCH_SCOPES:
            if self._last(scope) is not None:
                self._own.pop(scope, None)
                self._entries.forget_refusal(scope)

    def _last(self, scope: Scope) -> Refusal | None:
        """Return what is remembered and ends last, ended or not."""
        known = (self._own.get(scope), self._entries.refusal(scope, time.time()))
        return max(filter(None, known), key=lambda refusal: refusal.until, default=None)

    def _write(self, scope: Scope, refusal: Refusal) -> None:
        # In the store alone where it can be written: there, another process may end it.
        if self._entries.write_refusal(scope, refusal):
            self._own.pop(scope, None)
        else:
            self._own[scope] = refusal
