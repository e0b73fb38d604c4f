"""What is remembered of refusals, in the store and, while that does not work, in the process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from airflow_oauth_provider.exceptions import PermanentError
from airflow_oauth_provider.telemetry import Telemetry
from airflow_oauth_provider.tokens.refusals import FETCH_SCOPES, Refusal, Scope, scope_of

if TYPE_CHECKING:
    from airflow_oauth_provider.exceptions import OAuth2Error
    from airflow_oauth_provider.tokens.entries import SealedEntries


class RefusalMemory:
    """
    Remembers failures of the token endpoint for what they are about.

    :param entries: where they are shared
    """

    def __init__(self, entries: SealedEntries, telemetry: Telemetry | None = None) -> None:
        self._entries = entries
        self._telemetry = telemetry or Telemetry()
        self._own: dict[Scope, Refusal] = {}

    def raise_remembered(self) -> None:
        """
        Return when the token endpoint may be asked.

        :raises OAuth2Error: it was asked a short while ago, and refused
        """
        for scope in FETCH_SCOPES:
            if (refusal := self.live(scope)) is not None:
                self._telemetry.count("refusals_met", about=scope.value)
                raise refusal.error_to_raise(time.time())

    def live(self, scope: Scope) -> Refusal | None:
        """Return what is remembered of *scope* and has not ended."""
        refusal = self._last(scope)
        return refusal if refusal is not None and time.time() < refusal.until else None

    def remember(self, failure: OAuth2Error) -> None:
        """
        Remember *failure*, for longer when it repeats the last one.

        A transient one is told when the server will be asked again, unless the server has told so itself.
        """
        scope, now = scope_of(failure), time.time()
        refusal = Refusal.of(failure, self._last(scope), now)
        if not refusal.is_of_one_machine:
            self._write(scope, refusal)
        else:
            shared = self._known(scope)[1]
            if shared is None or shared.is_of_one_machine:
                # For people to see.
                self._write(scope, refusal)
            self._own[scope] = refusal
        self._telemetry.count("refusals_remembered", about=scope.value)
        if failure.retry_after_s is None and not isinstance(failure, PermanentError):
            failure.retry_after_s = refusal.until - now

    def pause(self, scope: Scope, seconds: float) -> None:
        """Remember that something was done, and is not to be done again for *seconds*."""
        self._write(scope, Refusal.pause(time.time(), seconds))

    def forget(self) -> None:
        """End all refusals: the token endpoint has granted a token."""
        for scope in FETCH_SCOPES:
            if any(self._known(scope)):
                self._own.pop(scope, None)
                self._entries.forget_refusal(scope)

    def last(self) -> Refusal | None:
        """Return what was remembered last of token requests, ended or not."""
        refusals = [refusal for scope in FETCH_SCOPES for refusal in self._known(scope) if refusal is not None]
        return max(refusals, key=lambda refusal: refusal.since, default=None)

    def _last(self, scope: Scope) -> Refusal | None:
        """Return what is remembered, concerns this process and ends last, ended or not."""
        own, shared = self._known(scope)
        known = (own, None if shared is not None and shared.is_of_one_machine else shared)
        return max(filter(None, known), key=lambda refusal: refusal.until, default=None)

    def _known(self, scope: Scope) -> tuple[Refusal | None, Refusal | None]:
        """Return what is remembered in this process, and what in the store."""
        return self._own.get(scope), self._entries.refusal(scope, time.time())

    def _write(self, scope: Scope, refusal: Refusal) -> None:
        # In the store alone where it can be written: there, another process may end it.
        if self._entries.write_refusal(scope, refusal):
            self._own.pop(scope, None)
        else:
            self._own[scope] = refusal
