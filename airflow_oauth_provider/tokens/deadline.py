"""A requests adapter whose whole exchange ends at a deadline."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from requests.adapters import HTTPAdapter

if TYPE_CHECKING:
    import urllib3


class DeadlineAdapter(HTTPAdapter):
    """
    Shuts its connections down at the deadline.

    A read timeout bounds the wait for the next bytes only: a server that sends one byte of its header or body every few
    seconds would hold a task for hours. Use it as a context manager, for one exchange.

    :param seconds: from entering the context
    """

    def __init__(self, seconds: float) -> None:
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self.shut_down)
        self._timer.daemon = True
        self._ends_at = time.monotonic() + seconds
        super().__init__(max_retries=0)

    @property
    def passed(self) -> bool:
        """Whether the deadline has come."""
        return time.monotonic() >= self._ends_at

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self.close()
        for duplicate in self._sockets:
            duplicate.close()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make connections that tell us their sockets."""
        super().init_poolmanager(*args, **kwargs)
        self._watch(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Do the same for connections to a proxy."""
        return self._watch(super().proxy_manager_for(*args, **kwargs))

    def _watch(self, manager: urllib3.PoolManager) -> urllib3.PoolManager:
        sockets, outer = self._sockets, self

        def watched(connection: type[Any]) -> type[Any]:
            class Watched(connection):  # type: ignore[misc]
                def _new_conn(self) -> socket.socket:
                    new: socket.socket = super()._new_conn()
                    # A duplicate: TLS takes the original's descriptor over while it still shakes hands.
                    sockets.append(new.dup())
                    if outer.passed:  # it came after the timer
                        outer.shut_down()
                    return new

            return Watched

        def pool(base: type[Any]) -> type[Any]:
            return type(base.__name__, (base,), {"ConnectionCls": watched(base.ConnectionCls)})

        manager.pool_classes_by_scheme = {scheme: pool(base) for scheme, base in manager.pool_classes_by_scheme.items()}
        return manager

    def shut_down(self) -> None:
        """End all exchanges at once."""
        for duplicate in self._sockets:
            with suppress(OSError):
                duplicate.shutdown(socket.SHUT_RDWR)
