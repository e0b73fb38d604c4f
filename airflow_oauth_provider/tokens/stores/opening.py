"""``[oauth2] token_store`` → a store that cannot hurt a task."""

from __future__ import annotations

import importlib
import logging
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.masking import mask_in_airflow
from airflow_oauth_provider.tokens.stores.base import LEASE_S, Counts
from airflow_oauth_provider.tokens.stores.guarded import GuardedStore
from airflow_oauth_provider.tokens.stores.memory import MemoryStore
from airflow_oauth_provider.tokens.stores.redis import SCHEMES as REDIS_SCHEMES
from airflow_oauth_provider.tokens.stores.redis import RedisStore, described

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_oauth_provider.tokens.stores.base import Entry, Lease, TokenStore

log = logging.getLogger(__name__)

# To connect takes several round trips, and each of them a turn of a busy machine's cores.
CONNECTING_TIMEOUT_S = 5.0

_FACTORY = re.compile(r"(?P<module>[A-Za-z_][\w.]*):(?P<factory>[A-Za-z_]\w*)")
_PREFIX = re.compile(r"[A-Za-z0-9._-]{0,50}")


def open_store(url: str, *, prefix: str, airflow_home: Path) -> GuardedStore:
    """
    Return the store of *url*; it is opened when it is first used.

    :param prefix: ``[oauth2] token_store_prefix``
    :param airflow_home: where the default store lies
    :raises SettingsError: there is no such kind of store, or *prefix* cannot be part of a name
    """
    if not _PREFIX.fullmatch(prefix):
        raise SettingsError(
            f"[oauth2] token_store_prefix = {prefix[:60]!r} is no prefix: at most 50 letters, digits, dots, dashes and "
            "underscores."
        )
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme == "memory":
        return GuardedStore(MemoryStore(), prefix=prefix)
    if parts.scheme == "file" and not parts.netloc and parts.path[:1] in ("", "/"):
        root = Path(unquote(parts.path)) if parts.path.strip("/") else airflow_home / "oauth2_tokens"
        return GuardedStore(_Late(lambda: _open_file_store(root), (root / str(os.geteuid())).as_uri()), prefix=prefix)
    if parts.scheme in REDIS_SCHEMES:
        # redis-py takes a password as an option, too, and that of a client's key.
        options = dict(parse_qsl(parts.query))
        secrets = [unquote(parts.password or ""), options.get("password", ""), options.get("ssl_password", "")]
        mask_in_airflow(secrets)
        # Outside of the seconds that an operation may take: on a busy machine the import alone takes longer.
        with suppress(Exception):
            importlib.import_module("redis")
        late = _Late(lambda: _open_redis_store(url), described(url))
        return GuardedStore(late, prefix=prefix, secrets=secrets, first_timeout_s=CONNECTING_TIMEOUT_S)
    if url == "variable://":
        return _variable_store(prefix)
    if factory := _FACTORY.fullmatch(url):
        late = _Late(lambda: _made_by(**factory.groupdict()), url)
        return GuardedStore(late, prefix=prefix, first_timeout_s=CONNECTING_TIMEOUT_S)
    kind = f"{parts.scheme}://…" if parts.scheme else "…"
    raise SettingsError(
        f"[oauth2] token_store = {kind} is not a token store. Use file:// (the default), file:///path/of/a/folder, "
        "redis://host:port/db, rediss://…, unix:///path/of/a/socket, variable://, memory:// or package.module:factory."
    )


class _Late:
    """
    A store that is opened when it is first used: what that costs, or breaks, is then guarded like each operation.

    :param described: where it is, until it says so itself
    """

    def __init__(self, make: Callable[[], TokenStore], described: str) -> None:
        self._make = make
        self._described = described
        self._opened: dict[str, TokenStore] = {}

    def describe(self) -> str:
        return self._described

    def read(self, name: str) -> Entry:
        return self._store().read(name)

    def write(self, name: str, sealed: bytes | None, *, expected: int | None, ttl_s: float) -> bool:
        return self._store().write(name, sealed, expected=expected, ttl_s=ttl_s)

    def try_lease(self, name: str, lasts_s: float = LEASE_S) -> Lease | None:
        return self._store().try_lease(name, lasts_s)

    def count(self, name: str, **numbers: int) -> None:
        store: Any = self._store()
        store.count(name, **numbers)

    def counts(self, name: str) -> Counts:
        # One that does not count works all the same.
        counts = getattr(self._store(), "counts", None)
        found: Counts = counts(name) if counts is not None else Counts()
        return found

    def own_key(self) -> bytes | None:
        # One that others can read has none: a key beside what it seals would be of no use.
        own_key = getattr(self._store(), "own_key", None)
        return None if own_key is None else bytes(own_key())

    def _store(self) -> TokenStore:
        # Two threads may open it at once; both then use the first one's.
        if not self._opened:
            store = self._opened.setdefault("store", self._make())
            # Asked here, where it is guarded: one of somebody's own may hang, or not be able to say.
            with suppress(Exception):
                self._described = str(store.describe())
        return self._opened["store"]


def _open_file_store(root: Path) -> TokenStore:
    """Return the store below *root*, else the one below the machine's temporary folder, else the process's memory."""
    from airflow_oauth_provider.tokens.stores.file import FileStore

    user = str(os.geteuid())
    for parent, name in ((root, user), (None, f"airflow-oauth2-{user}")):
        try:
            return FileStore((parent or Path(tempfile.gettempdir())) / name)
        except OSError as error:
            log.warning("Tokens cannot be kept in %s: %s.", parent or "the temporary folder", error)
    log.warning("No folder for tokens: this process shares its tokens with no other one. Set [oauth2] token_store.")
    return MemoryStore()


def _open_redis_store(url: str) -> TokenStore:
    try:
        return RedisStore(url)
    except ImportError:
        raise ImportError("redis-py is not installed: pip install 'airflow-oauth-provider[redis]'") from None


def _variable_store(prefix: str) -> GuardedStore:
    from airflow_oauth_provider.tokens.stores.variable import POLL_S, TIMEOUT_S, VariableStore

    return GuardedStore(VariableStore(), prefix=prefix, timeout_s=TIMEOUT_S, poll_s=(POLL_S / 2, POLL_S))


def _made_by(module: str, factory: str) -> TokenStore:
    made: TokenStore = getattr(importlib.import_module(module), factory)()
    return made
