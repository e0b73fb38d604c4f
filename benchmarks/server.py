"""A small, fast server in a process of its own, so that what is measured is the client."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Self
from urllib.request import urlopen

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDS = json.dumps({"orders": [{"id": number, "state": "open"} for number in range(20)]}).encode()


class BenchmarkServer:
    """Serves ``/token``, ``/api/…`` and ``/count`` on a free loopback port until the context ends."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
        )
        if self._process.stdout is None:
            raise RuntimeError("the server has no output")
        self.url = self._process.stdout.readline().strip()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def token_requests(self) -> int:
        """Return how many token requests came so far."""
        with urlopen(f"{self.url}/count") as answer:
            return int(answer.read())


def targets(connection: socket.socket) -> Iterator[str]:
    """Yield path and query of each request, once it has been read."""
    buffer = b""
    while True:
        while b"\r\n\r\n" not in buffer:
            received = connection.recv(65536)
            if not received:
                return
            buffer += received
        head, _, buffer = buffer.partition(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), 0
        )
        while len(buffer) < length:
            buffer += connection.recv(65536)
        buffer = buffer[length:]
        yield head.split(b" ", 2)[1].decode()


def _serve(connection: socket.socket, count: list[int]) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection:
        for path in targets(connection):
            if path == "/token":
                count[0] += 1
                body = json.dumps(
                    {"access_token": f"benchmark-{count[0]:08d}", "token_type": "Bearer", "expires_in": 3600}
                ).encode()
            else:
                body = str(count[0]).encode() if path == "/count" else RECORDS
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            )


def main() -> None:
    """Serve until the parent goes away."""
    count = [0]
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)

        def accept() -> None:
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=_serve, args=(connection, count), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        sys.stdin.read()


if __name__ == "__main__":
    main()
