"""How far a store reaches, as far as a process can know that, which knows just where it is itself."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Reach:
    """
    How far a store reaches.

    :param label: in two words
    :param text: what that means for whoever looks, with ``{host}`` and ``{user}`` where this process is told
    :param shared: whether all machines of a fleet see the same tokens
    """

    label: str
    text: str
    shared: bool = False

    @property
    def note(self) -> str:
        """Return what it means for whoever looks from here."""
        return self.text.format(host=socket.gethostname(), user=os.geteuid())


FLEET = Reach("shared", "Shared by all machines that use this address.", shared=True)
DATABASE = Reach("shared", "In Airflow's Variables: shared by all machines of this Airflow.", shared=True)
MACHINE = Reach(
    "this machine",
    "On the machine {host}. A token that another machine keeps in a store of its own is not visible from here.",
)
FOLDER = Reach(
    "this machine",
    "A folder as user id {user} on the machine {host} sees it. A token that another machine keeps in a folder of its "
    "own, or another user, is not visible from here.",
)
PROCESS = Reach(
    "one process",
    "Each process keeps its own tokens in memory: those of tasks are not visible from here.",
)
OWN = Reach(
    "your own",
    "A store of your own. If it keeps tokens apart for each machine, those of others are not visible from here.",
)

_BY_SCHEME = {"variable": DATABASE, "unix": MACHINE, "file": FOLDER, "memory": PROCESS}


def reach_of(where: str) -> Reach:
    """Return how far a store at *where* reaches, which is what it says of itself."""
    try:
        parts = urlsplit(where)
    except ValueError:  # a store of one's own may call itself anything
        return OWN
    if parts.scheme in {"redis", "rediss"}:
        return MACHINE if (parts.hostname or "localhost") in _LOOPBACK else FLEET
    return _BY_SCHEME.get(parts.scheme, OWN)
