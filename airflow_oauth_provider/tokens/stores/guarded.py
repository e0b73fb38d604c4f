"""A store that can fail, hang or lie, made into one that cannot hurt a task."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

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
        entry = self._bounded(lambda: self._store.read(name))
        return entry if entry is not None and len(entry.sealed or b"") <= MAX_ENTRY_BYTES else Entry()

    def write(self, name: str, sealed: bytes | None, *, expected: int | None, ttl_s: float) -> bool | None:
        """Store *sealed*; None when the store fails."""
        if len(sealed or b"") > MAX_ENTRY_BYTES:
            log.warning("An entry of %d bytes is too large for the token store: not shared.", len(sealed or b""))
            return None
        return self._bounded(lambda: self._store.write(name, sealed, expected=expected, ttl_s=ttl_s))

    def try_lease(self, name: str) -> Lease | None:
        """Return a lease when nobody holds it."""
        return self._bounded(lambda: self._store.try_lease(name), undo=_release)

    def release(self, lease: Lease) -> None:
        """Give *lease* back."""
        self._bounded(lambda: _release(lease))

    def _bounded(self, operation: Callable[[], T], undo: Callable[[T], object] | None = None) -> T | None:
        if not self.available:
            return None
        call: _Call[T] = _Call(operation, undo)
        # A thread for each call: one that hangs (a dead network folder) is left behind, and a daemon holds up no exit.
        reason: object
        try:
            threading.Thread(target=call.run, name="oauth2-token-store", daemon=True).start()
        except RuntimeError as error:  # Python shuts down, or the machine has no thread left
            reason = error
        else:
            if call.wait(self._timeout_s) and call.error is None:
                return call.result
            reason = call.error or f"no answer within {self._timeout_s:g} s"
        self._skipped_until = time.monotonic() + self._pause_s
        log.warning(
            "The token store %s does not work (%s): tokens are not shared for the next %.0f s.",
            self.describe(),
            reason,
            self._pause_s,
        )
        return None


def _release(lease: Lease | None) -> None:
    if lease is not None:
        lease.release()


class _Call(Generic[T]):
    """One store operation in a thread of its own."""

    def __init__(self, operation: Callable[[], T], undo: Callable[[T], object] | None) -> None:
        self._operation = operation
        self._undo = undo
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._given_up = False
        self.result: T | None = None
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            result = self._operation()
        except Exception as error:  # noqa: BLE001  # whatever a store raises: no failure of it fails a task
            self.error = error
        else:
            with self._lock:
                if self._given_up and self._undo:
                    self._undo(result)  # a lease that came too late must not be kept by nobody
                self.result = result
        self._done.set()

    def wait(self, timeout_s: float) -> bool:
        """Return whether the operation ended in time."""
        if self._done.wait(timeout_s):
            return True
        with self._lock:
            self._given_up = True
            return self._done.is_set()
