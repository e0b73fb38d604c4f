"""A proxy on loopback that knows one server, whatever name it is asked for."""

from __future__ import annotations

import select
import socket
import ssl
import threading

from tests.support.raw import RawServer
from tests.support.servers import shown_certificate

_ANSWER = b"HTTP/1.1 200 Connection established\r\n\r\n"


class Tunnel(RawServer):
    """
    Leads every ``CONNECT`` to the server at *port*; a context manager.

    :param context: of its own TLS; None for a proxy without
    :ivar asked: the targets, as they were asked for
    :ivar certificates: thumbprints of what clients showed the proxy itself, None where nothing was
    """

    def __init__(self, port: int, *, context: ssl.SSLContext | None = None) -> None:
        super().__init__(self._lead)
        self.asked: list[str] = []
        self.certificates: list[str | None] = []
        self._server = ("127.0.0.1", port)
        self._context = context

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"

    def _lead(self, plain: socket.socket, stopping: threading.Event) -> None:
        with self._context.wrap_socket(plain, server_side=True) if self._context else plain as client:
            self.certificates.append(shown_certificate(client))
            self.asked.append(client.recv(65536).decode().split()[1])
            client.sendall(_ANSWER)
            with socket.create_connection(self._server) as server:
                while not stopping.is_set() and _passed_on(client, server):
                    pass


def _passed_on(client: socket.socket, server: socket.socket) -> bool:
    """Pass on what one of them says; return whether they still talk."""
    waiting = isinstance(client, ssl.SSLSocket) and client.pending()
    ready = [client] if waiting else select.select([client, server], [], [], 1)[0]
    for source, target in ((client, server), (server, client)):
        if source in ready:
            said = source.recv(65536)
            target.sendall(said)
            if not said:
                return False
    return True
