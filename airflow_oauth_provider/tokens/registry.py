"""Token sources belong to the process: every hook of one client in it gets the same one."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.tokens.endpoint import TokenEndpoint
from airflow_oauth_provider.tokens.entries import SealedEntries
from airflow_oauth_provider.tokens.seal import seals_for
from airflow_oauth_provider.tokens.source import TokenSource
from airflow_oauth_provider.tokens.stores.guarded import GuardedStore
from airflow_oauth_provider.tokens.stores.memory import MemoryStore

if TYPE_CHECKING:
    from airflow_oauth_provider.oauth2.settings import ClientSettings
    from airflow_oauth_provider.tokens.stores.base import Entry, Lease, TokenStore

log = logging.getLogger(__name__)

# A triggerer lives for months and sees secrets rotate; what falls out is only fetched from the store again.
_MAX_SOURCES = 256

_lock = threading.Lock()
_sources: dict[tuple[ClientSettings, str, tuple[str, ...]], TokenSource] = {}
_stores: dict[str, GuardedStore] = {}


def token_source(
    settings: ClientSettings, *, store_url: str, store_keys: tuple[str, ...], airflow_home: Path
) -> TokenSource:
    """
    Return this process's source of the client's token.

    :param store_url: ``[oauth2] token_store``
    :param store_keys: ``[oauth2] token_store_key``, the current one first
    :param airflow_home: where the default store lies
    :raises SettingsError: there is no such kind of store
    """
    name = (settings, store_url, store_keys)
    with _lock:
        if name not in _sources:
            while len(_sources) >= _MAX_SOURCES:
                del _sources[next(iter(_sources))]
            entries = SealedEntries(settings, _store(store_url, airflow_home), seals_for(settings, store_keys))
            _sources[name] = TokenSource(settings, entries, TokenEndpoint(settings))
        return _sources[name]


def _store(url: str, airflow_home: Path) -> GuardedStore:
    if url not in _stores:
        parts = urlsplit(url)
        if parts.scheme == "memory":
            store: TokenStore = MemoryStore()
        elif parts.scheme == "file" and not parts.netloc:
            root = Path(unquote(parts.path)) if parts.path.strip("/") else airflow_home / "oauth2_tokens"
            store = _FirstUsable(root)
        else:
            raise SettingsError(
                f"[oauth2] token_store = {parts.scheme}://… is not a token store. Use file:// (the default), "
                "file:///path/of/a/folder or memory://."
            )
        _stores[url] = GuardedStore(store)
    return _stores[url]


class _FirstUsable:
    """
    The file store below *root*, opened when it is first used: a dead network folder then holds up one operation.

    Where that folder cannot be used, the one below the machine's temporary folder; else the process's memory.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._opened: dict[str, TokenStore] = {}

    def describe(self) -> str:
        return self._opened["store"].describe() if self._opened else (self._root / str(os.geteuid())).as_uri()

    def read(self, name: str) -> Entry:
        return self._store().read(name)

    def write(self, name: str, sealed: bytes | None, *, expected: int | None, ttl_s: float) -> bool:
        return self._store().write(name, sealed, expected=expected, ttl_s=ttl_s)

    def try_lease(self, name: str) -> Lease | None:
        return self._store().try_lease(name)

    def _store(self) -> TokenStore:
        # Two threads may open it at once; both then use the first one's.
        return self._opened.get("store") or self._opened.setdefault("store", _open_file_store(self._root))


def _open_file_store(root: Path) -> TokenStore:
    from airflow_oauth_provider.tokens.stores.file import FileStore

    user = str(os.geteuid())
    for parent, name in ((root, user), (None, f"airflow-oauth2-{user}")):
        try:
            return FileStore((parent or Path(tempfile.gettempdir())) / name)
        except OSError as error:
            log.warning("Tokens cannot be kept in %s: %s.", parent or "the temporary folder", error)
    log.warning("No folder for tokens: this process shares its tokens with no other one. Set [oauth2] token_store.")
    return MemoryStore()


def _forget_after_fork() -> None:
    """Start anew in a child: its parent's locks may be held by threads that the child does not have."""
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
    _sources.clear()
    _stores.clear()


os.register_at_fork(after_in_child=_forget_after_fork)
