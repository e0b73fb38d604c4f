"""A store that can fail, hang or lie, made into one that cannot hurt a task."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, TypeVar

from airflow_oauth_provider.tokens.bounded import bounded
from airflow_oauth_provider.tokens.stores.base import MAX_ENTRY_BYTES, Entry, Lease, TokenStore

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

OPERATION_TIMEOUT_S = 2.0
PAUSE_S = 30.0

T = TypeVar("T")


class GuardedStore:
    """
    Passes everything on to *store*; what fails or takes over two seconds is given up, and the store skipped a while.

    While it is skipped, reads are misses, writes are lost and leases are granted by nobody: a task then only loses
    sharing, never its run.
    """

    def __init__(self, store: TokenStore, *, timeout_s: float = OPERATION_TIMEOUT_S, pause_s: float = PAUSE_S) -> None:
        self._store = store
        self._timeout_s = timeout_s
        self._pause_s = pause_s
        self._skipped_until = 0.0

    @property
    def available(self) -> bool:
        """False while the store is skipped."""
        return time.monotonic() >= self._skipped_until

    def describe(self) -> str:
        """Return where the store is."""
        return self._store.describe()

    def read(self, name: str) -> Entry:
        """Return the entry under *name*, an empty one when the store fails."""
        entry = self._guarded(lambda: self._store.read(name))
        return entry if entry is not None and len(entry.sealed or b"") <= MAX_ENTRY_BYTES else Entry()

    def write(self, name: str, sealed: bytes | None, *, expected: int | None, ttl_s: float) -> bool | None:
        """Store *sealed*; None when the store fails."""
        if len(sealed or b"") > MAX_ENTRY_BYTES:
            log.warning("An entry of %d bytes is too large for the token store: not shared.", len(sealed or b""))
            return None
        return self._guarded(lambda: self._store.write(name, sealed, expected=expected, ttl_s=ttl_s))

    def try_lease(self, name: str) -> Lease | None:
        """Return a lease when nobody holds it."""
        return self._guarded(lambda: self._store.try_lease(name), undo=_release)

    def release(self, lease: Lease) -> None:
        """Give *lease* back."""
        self._guarded(lambda: _release(lease), always=True)

    def _guarded(
        self, operation: Callable[[], T], undo: Callable[[T], object] | None = None, *, always: bool = False
    ) -> T | None:
        if not (self.available or always):
            return None
        try:
            return bounded(operation, self._timeout_s, undo=undo)
        except Exception as error:  # noqa: BLE001  # whatever a store raises: no failure of it fails a task
            self._skipped_until = time.monotonic() + self._pause_s
            log.warning(
                "The token store %s does not work (%s): tokens are not shared for the next %.0f s.",
                self.describe(),
                error,
                self._pause_s,
            )
            return None


def _release(lease: Lease | None) -> None:
    if lease is not None:
        lease.release()
