"""What a token store has to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

MAX_ENTRY_BYTES = 64 * 1024
LEASE_S = 100.0
COUNTS_TTL_S = 30 * 86_400


@dataclass(frozen=True)
class Entry:
    """
    What lies under a name.

    :param generation: another one with each write; 0 where nothing lies
    :param sealed: None where there is nothing, or a tombstone
    :param ttl_s: seconds until the store forgets it, where the store has a clock of its own for that
    """

    generation: int = 0
    sealed: bytes | None = field(default=None, repr=False)
    ttl_s: float | None = None


@dataclass(frozen=True)
class Counts:
    """
    How often a token was asked for; None where a store does not count it.

    :param made: requests to the token endpoint
    :param saved: times that a process took the shared token instead
    """

    made: int | None = None
    saved: int | None = None


class Lease(Protocol):
    """The right to fetch, held by one process at a time."""

    def release(self) -> None:
        """Give the right back; nothing happens when it has been lost."""


class TokenStore(Protocol):
    """
    A place for sealed entries that processes share.

    Any method may raise or hang: the caller goes on without the store. They are called from several threads. Names are
    ASCII letters, digits, ``.``, ``_`` and ``-``, at most 150 of them. ``tests/contract`` holds what is expected.
    """

    def describe(self) -> str:
        """Where it is, for messages; never with a password in it."""

    def read(self, name: str) -> Entry:
        """Return the entry under *name*; what is damaged, too large or not ours is ``Entry()``."""

    def write(self, name: str, sealed: bytes | None, *, expected: int | None, ttl_s: float) -> bool:
        """
        Store *sealed* (None for a tombstone) with a new generation; compare and set are one step.

        :param expected: the generation on which the write builds; None writes whatever there is
        :param ttl_s: seconds after which the entry is of no use to anybody
        :return: False, and nothing written, when the generation is another one
        """

    def try_lease(self, name: str, lasts_s: float = LEASE_S) -> Lease | None:
        """
        Return the lease on *name*, None when somebody holds it.

        :param lasts_s: seconds after which it ends by itself, at most ``LEASE_S``
        """


class CountingStore(TokenStore, Protocol):
    """A store that counts, too; what it counts is shown to people and decides nothing."""

    def count(self, name: str, *, made: int = 0, saved: int = 0) -> None:
        """Add to the counts under *name*."""

    def counts(self, name: str) -> Counts:
        """Return the counts under *name*."""
