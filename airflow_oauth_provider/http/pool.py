"""Connections belong to the process: stock ``HttpOperator`` makes a hook for every page."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from requests.adapters import DEFAULT_POOLSIZE, HTTPAdapter
from urllib3.connection import HTTPConnection

from airflow_oauth_provider.tls import ClientCertificateAdapter

if TYPE_CHECKING:
    from airflow_oauth_provider.oauth2.settings import KeyPair

_MAX_ADAPTERS = 32


@dataclass(frozen=True)
class KeepAlive:
    """
    TCP keep-alive, as ``HttpHook`` names its parts.

    :param idle: seconds before the first probe
    :param count: probes before the connection is given up
    :param interval: seconds between probes
    """

    enabled: bool = True
    idle: int = 120
    count: int = 20
    interval: int = 30

    def socket_options(self) -> list[tuple[int, int, int]]:
        """Return the options of every socket."""
        options: list[Any] = list(HTTPConnection.default_socket_options)
        if self.enabled:
            options.append((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1))
            named = {"TCP_KEEPIDLE": self.idle, "TCP_KEEPCNT": self.count, "TCP_KEEPINTVL": self.interval}
            # macOS has no TCP_KEEPIDLE.
            options += [(socket.IPPROTO_TCP, getattr(socket, n), v) for n, v in named.items() if hasattr(socket, n)]
        return options


class _PooledAdapter(ClientCertificateAdapter):
    def __init__(self, keep_alive: KeepAlive, pair: KeyPair | None) -> None:
        self._keep_alive = keep_alive
        super().__init__(pair, max_retries=0, pool_maxsize=4 * DEFAULT_POOLSIZE)
        _in_use.add(self)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        kwargs["socket_options"] = self._keep_alive.socket_options()
        super().init_poolmanager(*args, **kwargs)

    def start_anew(self) -> None:
        """Forget all connections without touching them: they are shared with another process."""
        self.__init__(self._keep_alive, self._pair)  # type: ignore[misc]


# Those, too, that are no more shared, while a session has them.
_in_use: WeakSet[_PooledAdapter] = WeakSet()


@lru_cache(maxsize=_MAX_ADAPTERS)
def shared_adapter(keep_alive: KeepAlive, pair: KeyPair | None) -> HTTPAdapter:
    """
    Return this process's connections; those to one server with different TLS settings are kept apart by requests.

    :param pair: the certificate that all of them show, and its key; None shows none
    """
    return _PooledAdapter(keep_alive, pair)


def _start_anew_after_fork() -> None:
    """Give a child connections of its own: on its parent's, its answers would mix with the parent's."""
    for adapter in list(_in_use):
        adapter.start_anew()


os.register_at_fork(after_in_child=_start_anew_after_fork)
