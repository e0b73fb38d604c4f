"""What a token store has to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

MAX_ENTRY_BYTES = 64 * 1024
LEASE_S = 100.0


@dataclass(frozen=True)
class Entry:
    """
    What lies under a name.

    :param generation: grows by one with each write; 0 where nothing was ever written
    :param sealed: None where there is nothing, or a tombstone
    """

    generation: int = 0
    sealed: bytes | None = field(default=None, repr=False)


class Lease(Protocol):
    """The right to fetch, held by one process at a time."""

    def release(self) -> None:
        """Give the right back; nothing happens when it has been lost."""


class TokenStore(Protocol):
    """
    A place for sealed entries that processes share.

    Any method may raise: the caller goes on without the store. Names are short ASCII strings fit for file names.
    """

    def describe(self) -> str:
        """Where it is, for messages; never with a password in it."""

    def read(self, name: str) -> Entry:
        """Return the entry under *name*; what is damaged, too large or not ours is ``Entry()``."""

    def write(self, name: str, sealed: bytes | None, *, expected: int | None, ttl_s: float) -> bool:
        """
        Store *sealed* (None for a tombstone) with the next generation.

        :param expected: the generation on which the write builds; None writes whatever there is
        :param ttl_s: seconds after which the entry is of no use to anybody
        :return: False, and nothing written, when the generation is another one
        """

    def try_lease(self, name: str) -> Lease | None:
        """Return the lease on *name*, None when somebody holds it; it ends by itself after ``LEASE_S`` seconds."""
