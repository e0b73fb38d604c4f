"""A requests adapter whose whole exchange ends at a deadline."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from airflow_oauth_provider.tls import ClientCertificateAdapter

if TYPE_CHECKING:
    from airflow_oauth_provider.oauth2.settings import KeyPair


class DeadlineAdapter(ClientCertificateAdapter):
    """
    Shuts its connections down at the deadline.

    A read timeout bounds the wait for the next bytes only: a server that sends one byte of its header or body every few
    seconds would hold a task for hours. Use it as a context manager, for one exchange.

    :param seconds: from entering the context
    :param pair: the client certificate that servers are shown, and its key
    """

    def __init__(self, seconds: float, pair: KeyPair | None) -> None:
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self.shut_down)
        self._timer.daemon = True
        self._ends_at = time.monotonic() + seconds
        super().__init__(pair, max_retries=0)

    @property
    def passed(self) -> bool:
        """Whether the deadline has come."""
        return time.monotonic() >= self._ends_at

    def __enter__(self) -> Self:
        with suppress(RuntimeError):  # no thread can be started: then reads end by their time-out alone
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self.close()
        for duplicate in self._sockets:
            duplicate.close()

    def connection_class(self, base: type[Any]) -> type[Any]:
        """Make connections that tell us their sockets."""
        sockets, outer = self._sockets, self

        class Watched(super().connection_class(base)):  # type: ignore[misc]
            def _new_conn(self) -> socket.socket:
                new: socket.socket = super()._new_conn()
                # A duplicate: TLS takes the original's descriptor over while it still shakes hands.
                sockets.append(new.dup())
                if outer.passed:  # it came after the timer
                    outer.shut_down()
                return new

        return Watched

    def shut_down(self) -> None:
        """End all exchanges at once."""
        for duplicate in self._sockets:
            with suppress(OSError):
                duplicate.shutdown(socket.SHUT_RDWR)
