"""A TCP server that need not speak HTTP, and looks at how an error says what it saw."""

from __future__ import annotations

import base64
import html
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Self
from urllib.parse import quote, quote_plus

Conversation = Callable[[socket.socket, threading.Event], None]


class RawServer:
    """
    Holds *conversation* with whoever connects; the connection is closed at its end.

    :param conversation: called with the connection and an event that is set when the server stops
    :param port: on which it listens; 0: on any free one
    """

    def __init__(self, conversation: Conversation, port: int = 0) -> None:
        self._conversation = conversation
        self._stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=64)
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self.connections = 0

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._hold, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _hold(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            self._conversation(connection, self._stopping)


def drip(content: bytes, pause_s: float) -> Conversation:
    """Send one byte after the other, whatever is asked."""

    def conversation(connection: socket.socket, stopping: threading.Event) -> None:
        for byte in content:
            connection.sendall(bytes([byte]))
            if stopping.wait(pause_s):
                return

    return conversation


def answer(content: bytes) -> Conversation:
    """Read a request's first bytes and send *content* as it is."""

    def conversation(connection: socket.socket, _: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(content)

    return conversation


def reset(connection: socket.socket, _: threading.Event) -> None:
    """Read a request's first bytes and reset the connection."""
    connection.recv(65536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hang(connection: socket.socket, stopping: threading.Event) -> None:
    """Say nothing."""
    stopping.wait(60)


def encodings(client_id: str, secret: str) -> set[str]:
    """Return *secret* in all forms in which it could be recognized."""
    pairs = (f"{client_id}:{secret}", f"{quote(client_id, safe='')}:{quote(secret, safe='')}")
    encoded = {base64.b64encode(text.encode()).decode() for text in (*pairs, secret)}
    return {
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        html.escape(secret),
        *encoded,
        *(text.rstrip("=") for text in encoded),
    }


def found_in(text: str, secrets: Iterable[str]) -> list[str]:
    """Return the *secrets* that stand in *text*."""
    return [secret for secret in secrets if secret in text]


def chain_of(error: BaseException) -> list[BaseException]:
    """Return *error* and all that can be reached from it by cause and context, shown or not."""
    chain: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop()
        if current is not None and current not in chain:
            chain.append(current)
            waiting += [current.__cause__, current.__context__]
    return chain
