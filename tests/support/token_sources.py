"""Token sources with an endpoint of our own making behind them."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any, cast

from airflow_oauth_provider.exceptions import OAuth2Error
from airflow_oauth_provider.tokens.credential import credential_of
from airflow_oauth_provider.tokens.entries import SealedEntries
from airflow_oauth_provider.tokens.seal import seals_for
from airflow_oauth_provider.tokens.source import TokenSource
from airflow_oauth_provider.tokens.stores.guarded import GuardedStore
from airflow_oauth_provider.tokens.stores.memory import MemoryStore
from tests.support.made_up import access_token, client_settings
from tests.support.patience import LIMIT_S
from tests.support.threads import in_threads_at_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_oauth_provider.oauth2.settings import ClientSettings
    from airflow_oauth_provider.oauth2.token import AccessToken
    from airflow_oauth_provider.tokens.endpoint import TokenEndpoint
    from airflow_oauth_provider.tokens.stores.base import TokenStore


class ScriptedEndpoint:
    """
    Issues numbered tokens; whatever is in ``script`` comes first.

    :ivar asked: one item a request: None for one with retries, otherwise the seconds it was given
    :ivar revocation: what a revocation raises; otherwise the token is in ``revoked``
    """

    def __init__(self, *, lifetime_s: float = 3600) -> None:
        self.lifetime_s = lifetime_s
        self.script: list[AccessToken | Exception | Callable[[], AccessToken]] = []
        self.asked: list[float | None] = []
        self.revocation: OAuth2Error | None = None
        self.revoked: list[str] = []
        self.answered = threading.Event()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def fetch(self) -> AccessToken:
        return self._answer(None)

    def fetch_once(self, within_s: float) -> AccessToken:
        return self._answer(within_s)

    def revoke(self, token: AccessToken, within_s: float) -> None:
        assert within_s > 0
        if self.revocation is not None:
            raise self.revocation
        self.revoked.append(token.value)

    def forget_metadata(self) -> None:
        """Have none."""

    def _answer(self, within_s: float | None) -> AccessToken:
        with self._lock:
            self.asked.append(within_s)
            answer = self.script.pop(0) if self.script else self.token()
        try:
            if isinstance(answer, Exception):
                raise answer
            return answer() if callable(answer) else answer
        finally:
            self.answered.set()

    def token(self, **changes: Any) -> AccessToken:
        """Return the next token."""
        return access_token(f"token-{next(self._numbers)}", **{"lifetime_s": self.lifetime_s, **changes})


class Processes:
    """
    One store and one endpoint, and as many token sources as there are processes.

    :param store: shared by all
    """

    def __init__(self, store: TokenStore | None = None, *, lifetime_s: float = 3600) -> None:
        self.store = store or MemoryStore()
        self.guarded = GuardedStore(self.store, timeout_s=LIMIT_S)
        self.endpoint = ScriptedEndpoint(lifetime_s=lifetime_s)

    def entries(self, settings: ClientSettings | None = None, store_keys: tuple[str, ...] = ()) -> SealedEntries:
        settings = settings or client_settings()
        credential = credential_of(settings)
        return SealedEntries(settings, credential, self.guarded, seals_for(settings, credential, store_keys))

    def start(self, settings: ClientSettings | None = None, store_keys: tuple[str, ...] = ()) -> TokenSource:
        """Return the source of a process that has just begun."""
        settings = settings or client_settings()
        return TokenSource(settings, self.entries(settings, store_keys), cast("TokenEndpoint", self.endpoint))


def settle() -> None:
    """Wait for refreshes ahead of time."""
    while any(thread.name == "oauth2-refresh" for thread in threading.enumerate()):
        threading.Event().wait(0.001)


def in_threads(number: int, call: Callable[[], AccessToken]) -> list[AccessToken | OAuth2Error]:
    """Return what *number* threads at once got."""

    def outcome() -> AccessToken | OAuth2Error:
        try:
            return call()
        except OAuth2Error as error:
            return error

    return in_threads_at_once(number, outcome)
