"""A store that can fail, hang or lie, made into one that cannot hurt a task."""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from airflow_oauth_provider.masking import Redactor
from airflow_oauth_provider.tokens.bounded import bounded
from airflow_oauth_provider.tokens.stores.base import LEASE_S, MAX_ENTRY_BYTES, Counts, Entry, Lease, TokenStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

log = logging.getLogger(__name__)

OPERATION_TIMEOUT_S = 2.0
PAUSE_S = 30.0
FIRST_POLL_S, MAX_POLL_S = 0.02, 0.25

_TOO_MANY_GENERATIONS = 2**63

T = TypeVar("T")


class GuardedStore:
    """
    Passes everything on to *store*; what fails or takes over two seconds is given up, and the store skipped a while.

    While it is skipped, reads are misses, writes are lost and leases are granted by nobody: a task then only loses
    sharing, never its run.

    :param prefix: before each name (``[oauth2] token_store_prefix``)
    :param secrets: which no message may show
    :param first_timeout_s: for the operations until one has come back: the first one connects, too
    :param poll_s: how often, at first and at last, to look whether somebody else has done what one waits for
    """

    def __init__(
        self,
        store: TokenStore,
        *,
        prefix: str = "",
        secrets: Iterable[str] = (),
        timeout_s: float = OPERATION_TIMEOUT_S,
        first_timeout_s: float | None = None,
        pause_s: float = PAUSE_S,
        poll_s: tuple[float, float] = (FIRST_POLL_S, MAX_POLL_S),
    ) -> None:
        self._store = store
        self._prefix = prefix
        self._redactor = Redactor(secrets)
        self._timeout_s = timeout_s
        self._bound_s = first_timeout_s or timeout_s
        self._pause_s = pause_s
        self.poll_s = poll_s
        self._skipped_until = 0.0
        self._not_counting_until = 0.0
        # By what hangs: a token's entry, or a count.
        self._hanging: dict[str, tuple[int, threading.Event]] = {}

    @property
    def available(self) -> bool:
        """False while the store is skipped."""
        return time.monotonic() >= self._skipped_until

    def describe(self) -> str:
        """Return where the store is."""
        return self._redactor(self._store.describe())

    def read(self, name: str) -> Entry:
        """Return the entry under *name*, an empty one when the store fails."""
        return self._guarded(lambda: _checked(self._store.read(self._prefix + name))) or Entry()

    def write(self, name: str, sealed: bytes | None, *, expected: int | None, ttl_s: float) -> bool | None:
        """Store *sealed*; None when the store fails."""
        if len(sealed or b"") > MAX_ENTRY_BYTES:
            log.warning("An entry of %d bytes is too large for the token store: not shared.", len(sealed or b""))
            return None
        return self._guarded(lambda: self._store.write(self._prefix + name, sealed, expected=expected, ttl_s=ttl_s))

    def try_lease(self, name: str, lasts_s: float = LEASE_S) -> Lease | None:
        """Return a lease when nobody holds it."""
        return self._guarded(lambda: self._store.try_lease(self._prefix + name, lasts_s), undo=_release)

    def release(self, lease: Lease) -> None:
        """Give *lease* back."""
        # Where the store failed a moment ago, nobody is kept waiting for this, too.
        bound_s = self._bound_s if self.available else 0.1
        with suppress(Exception):
            try:
                bounded(lambda: _release(lease), bound_s)
            except RuntimeError:  # no thread is to be had: then without a bound of ours
                _release(lease)

    def count(self, name: str, *, made: int = 0, saved: int = 0) -> None:
        """Count, where the store counts; a failure ends just the counting, which decides nothing."""
        count = getattr(self._store, "count", None)
        if count is None or time.monotonic() < self._not_counting_until or not self.available:
            return
        try:
            self._watched(lambda: count(self._prefix + name, made=made, saved=saved), kind="count")
        except Exception as error:  # noqa: BLE001  # as below
            self._not_counting_until = time.monotonic() + self._pause_s
            log.debug("The token store %s does not count (%s).", self.describe(), type(error).__name__)

    def counts(self, name: str) -> Counts:
        """Return what was counted."""
        counts = getattr(self._store, "counts", None)
        found = self._guarded(lambda: counts(self._prefix + name)) if counts is not None else None
        sound = isinstance(found, Counts) and all(isinstance(n, int | None) for n in (found.made, found.saved))
        return found if found is not None and sound else Counts()

    def own_key(self) -> bytes | None:
        """Return the store's own key for clients without a lasting credential; None when it has none to give."""
        own_key = getattr(self._store, "own_key", None)
        return self._guarded(own_key) if own_key is not None else None

    def _guarded(self, operation: Callable[[], T], undo: Callable[[T], object] | None = None) -> T | None:
        if not self.available:
            return None
        try:
            result = self._watched(operation, undo)
        except Exception as error:  # noqa: BLE001  # whatever a store raises: no failure of it fails a task
            self._skip(error)
            return None
        self._bound_s = self._timeout_s
        return result

    def _watched(self, operation: Callable[[], T], undo: Callable[[T], object] | None = None, kind: str = "entry") -> T:
        """Do *operation* within the bound, and nothing while a former one still hangs: threads are not piled up."""
        ended = threading.Event()

        def run() -> T:
            try:
                return operation()
            finally:
                ended.set()

        # In a child that was forked no thread hangs.
        process, former = self._hanging.get(kind, (0, ended))
        if process == os.getpid() and not former.is_set():
            raise TimeoutError("it still has not answered")
        try:
            return bounded(run, self._bound_s, undo=undo)
        except TimeoutError:
            self._hanging[kind] = os.getpid(), ended
            raise

    def _skip(self, error: Exception) -> None:
        said, self._skipped_until = not self.available, time.monotonic() + self._pause_s
        try:
            why = str(error) or type(error).__name__
        except Exception:  # noqa: BLE001  # somebody's own
            why = type(error).__name__
        log.log(
            logging.DEBUG if said else logging.WARNING,
            "The token store %s does not work (%s): tokens are not shared for the next %.0f s.",
            self.describe(),
            self._redactor.server_text(why, 200),
            self._pause_s,
        )


def _checked(entry: Entry) -> Entry:
    """Return *entry* when it is fit for use; raise here what a store of somebody's own would bring about later."""
    sealed = None if entry.sealed is None else memoryview(entry.sealed).tobytes()
    if len(sealed or b"") > MAX_ENTRY_BYTES:
        return Entry()
    if not 0 <= entry.generation < _TOO_MANY_GENERATIONS:
        raise ValueError("the generation of an entry is out of range")
    return Entry(int(entry.generation), sealed, None if entry.ttl_s is None else float(entry.ttl_s))


def _release(lease: Lease | None) -> None:
    if lease is not None:
        lease.release()
