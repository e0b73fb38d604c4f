"""A network on loopback that can be slow, silent or cut."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self

from tests.support.raw import RawServer


class Proxy:
    """
    Passes on what clients and the server at *port* say to each other; a context manager.

    :ivar delay_s: for which each part of an answer is held back
    :ivar silent: nothing is passed on, and nobody is told
    :ivar connections: how many there have been
    """

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._server = RawServer(self._hold)
        self._open: set[socket.socket] = set()
        self._is_cut = False
        self._lost_command: bytes | None = None
        self._losing: set[socket.socket] = set()
        self.delay_s = 0.0
        self.silent = False

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def connections(self) -> int:
        return self._server.connections

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._server.__exit__(None, None, None)

    def cut(self) -> None:
        """End all connections, and let nobody through any more."""
        self._is_cut = True
        for end in list(self._open):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Let everybody through again."""
        self._is_cut = self.silent = False
        self.delay_s = 0.0

    def lose_answer_to(self, command: bytes) -> None:
        """End the connection on which *command* comes next, in place of its answer."""
        self._lost_command = command

    def _hold(self, client: socket.socket, stopping: threading.Event) -> None:
        if self._is_cut:
            return
        with socket.create_connection(self._target) as server:
            self._open |= {client, server}
            back = threading.Thread(target=self._pass_answers, args=(server, client, stopping), daemon=True)
            back.start()
            try:
                self._pass_commands(client, server)
            finally:
                # Both ends: the other thread waits for the server.
                for end in (client, server):
                    self._open.discard(end)
                    with suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)
                back.join(5)

    def _pass_commands(self, client: socket.socket, server: socket.socket) -> None:
        while said := client.recv(65536):
            if self.silent:
                continue
            if self._lost_command is not None and self._lost_command in said:
                self._lost_command = None
                self._losing.add(server)
            server.sendall(said)

    def _pass_answers(self, server: socket.socket, client: socket.socket, stopping: threading.Event) -> None:
        with suppress(OSError):
            while (said := server.recv(65536)) and server not in self._losing:
                if self.delay_s and stopping.wait(self.delay_s):
                    return
                if not self.silent:
                    client.sendall(said)
            client.shutdown(socket.SHUT_RDWR)
