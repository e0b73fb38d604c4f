"""What is known of the tokens of many connections, looked up within a bounded time."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from airflow_oauth_provider.exceptions import OAuth2Error
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.tokens.bounded import bounded
from airflow_oauth_provider.tokens.stores.variable import TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = logging.getLogger(__name__)

FRESH_S = 2.0
ROUND_S = 3.0
# Of the server's time, looks take a fifth at most, whoever watches: many connections are looked at less often.
_REST = 5
_STALE_S = 30.0
# Longer than any store's own bound, which says more about what is wrong: Variables have the longest one.
LOOK_S = TIMEOUT_S + 1.0
_KEPT_S = 600.0


def read_status(conn_id: str) -> dict[str, Any]:
    """Return the state of a connection's token; what is wrong with the connection is part of it."""
    try:
        return OAuth2Hook(conn_id).token_status().members(time.time())
    except OAuth2Error as error:
        return {"state": "error", "error": str(error)}
    except Exception as error:  # its text may hold anything
        log.debug("The state of %s cannot be read", conn_id, exc_info=True)
        kind = type(error).__name__
        return {"state": "error", "error": f"Reading it failed with {kind}; the API server's debug log has more."}


class Board:
    """
    Remembers what was seen a moment ago, so that many viewers cost no more than one.

    A round that takes too long ends; the next one begins with what was seen longest ago.

    :param read: looks at one connection
    """

    def __init__(self, read: Callable[[str], dict[str, Any]] = read_status, *, round_s: float = ROUND_S) -> None:
        self._read = read
        self._round_s = round_s
        self._round = threading.Lock()
        self._seen: dict[str, tuple[float, dict[str, Any]]] = {}
        self._hanging: dict[str, threading.Event] = {}
        self._look_s = 0.0

    def rows(self, conn_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return what is known of each connection, in the order given; ``pending`` is not yet known."""
        give_up_at = time.monotonic() + self._round_s
        if self._round.acquire(timeout=self._round_s):
            fresh_s = max(FRESH_S, min(_STALE_S, _REST * self._look_s * len(conn_ids)))
            try:
                for conn_id in sorted(conn_ids, key=self._seen_at):
                    now = time.monotonic()
                    if now >= give_up_at or now - self._seen_at(conn_id) < fresh_s:
                        break
                    self.look(conn_id)
                self._forget_old()
            finally:
                self._round.release()
        return [self._row(conn_id) for conn_id in conn_ids]

    def look(self, conn_id: str) -> dict[str, Any]:
        """Return what is known of a connection now."""
        began = time.monotonic()
        try:
            members = self._read_within(conn_id, LOOK_S)
        except TimeoutError:
            members = {"state": "error", "error": f"Airflow or the token store did not answer within {LOOK_S:g} s."}
        now = time.monotonic()
        self._look_s += (now - began - self._look_s) / 8
        self._seen[conn_id] = (now, members)
        return self._row(conn_id)

    def _read_within(self, conn_id: str, seconds: float) -> dict[str, Any]:
        last = self._hanging.get(conn_id)
        if last is not None and not last.is_set():
            # The last look left a thread behind that still hangs: no second one beside it.
            raise TimeoutError
        ended = threading.Event()

        def read() -> dict[str, Any]:
            try:
                return self._read(conn_id)
            finally:
                ended.set()

        try:
            return bounded(read, seconds)
        except TimeoutError:
            self._hanging[conn_id] = ended
            raise

    def _forget_old(self) -> None:
        oldest = time.monotonic() - _KEPT_S
        for conn_id in [other for other in list(self._seen) if self._seen_at(other) < oldest]:
            del self._seen[conn_id]

    def _seen_at(self, conn_id: str) -> float:
        return self._seen[conn_id][0] if conn_id in self._seen else float("-inf")

    def _row(self, conn_id: str) -> dict[str, Any]:
        _, members = self._seen.get(conn_id, (0.0, {"state": "pending"}))
        return {"conn_id": conn_id, **members}
