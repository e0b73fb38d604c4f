"""``memory://``: entries of this process alone."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from dataclasses import dataclass

from airflow_oauth_provider.tokens.stores.base import LEASE_S, Counts, Entry, Lease


class MemoryStore:
    """Shares tokens between the threads of one process, and nothing more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key = os.urandom(32)
        self._entries: dict[str, tuple[Entry, float]] = {}
        self._leases: dict[str, _MemoryLease] = {}
        self._made: Counter[str] = Counter()
        self._saved: Counter[str] = Counter()

    def describe(self) -> str:
        """Return the store's URL."""
        return "memory://"

    def read(self, name: str) -> Entry:
        """Return the entry under *name*."""
        with self._lock:
            return self._entries.get(name, (Entry(), 0.0))[0]

    def write(self, name: str, sealed: bytes | None, *, expected: int | None, ttl_s: float) -> bool:
        """Store *sealed* with the next generation; see :class:`~.base.TokenStore`."""
        now = time.monotonic()
        with self._lock:
            generation = self._entries.get(name, (Entry(), 0.0))[0].generation
            if expected is not None and expected != generation:
                return False
            self._entries[name] = (Entry(generation + 1, sealed), now + ttl_s)
            # For the time of a lease longer: a generation must not begin anew under a fetch that builds on it.
            for ended in [other for other, (_, end) in self._entries.items() if end + LEASE_S < now]:
                del self._entries[ended]
            return True

    def try_lease(self, name: str, lasts_s: float = LEASE_S) -> Lease | None:
        """Return the lease on *name* when nobody holds it."""
        with self._lock:
            held = self._leases.get(name)
            # A child that was forked has the leases of its parent's threads, and none of the threads.
            if held is not None and time.monotonic() < held.ends_at and held.process == os.getpid():
                return None
            lease = self._leases[name] = _MemoryLease(self, name, time.monotonic() + min(lasts_s, LEASE_S), os.getpid())
            return lease

    def count(self, name: str, *, made: int = 0, saved: int = 0) -> None:
        """Add to the counts under *name*."""
        with self._lock:
            self._made[name] += made
            self._saved[name] += saved

    def counts(self, name: str) -> Counts:
        """Return the counts under *name*."""
        return Counts(self._made[name], self._saved[name])

    def own_key(self) -> bytes:
        """Return a random key of this process."""
        return self._key

    def end(self, lease: _MemoryLease) -> None:
        """End *lease*, unless it has ended and somebody else holds the next one."""
        with self._lock:
            if self._leases.get(lease.name) is lease:
                del self._leases[lease.name]


@dataclass(frozen=True, eq=False)
class _MemoryLease:
    store: MemoryStore
    name: str
    ends_at: float
    process: int

    def release(self) -> None:
        self.store.end(self)
