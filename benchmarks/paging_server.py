"""
An API with many pages and with large bodies, in a process of its own; nothing is ever held whole.

``/api/{blocks}x{size}/{kind}`` serves *blocks* times *size* records: as pages of *size* each (``link``, ``cursor``,
``offset``, and ``slow``, an ``offset`` that takes 20 ms), or in one body (``json``, ``ndjson``, ``csv``).
"""

from __future__ import annotations

import csv
import io
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from benchmarks.server import targets
from tests.support.certificates import Authority

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

PROJECT = Path(__file__).resolve().parent.parent
FIRST_ID = 100_000_000
LATENCY_S = 0.02
RECORD_BYTES = 245  # in a page of 100 records, which so takes 24.5 kB
BODY_RECORD_BYTES = 263  # in a body of a million records, which so takes 263 MB
# What stands before, between and after the blocks of a body.
BODIES = {"json": (b'{"data":[', b",", b"]}"), "ndjson": (b"", b"\n", b"\n"), "csv": (b"", b"", b"")}


class PagingServer:
    """
    Serves until the context ends, over HTTP and over TLS.

    :param urls: base URLs by scheme
    :param ca_bundle: whom a client must trust for TLS
    """

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "benchmarks.paging_server"]
        self._process = subprocess.Popen(
            command, cwd=PROJECT, stdout=subprocess.PIPE, stdin=subprocess.PIPE, bufsize=0, start_new_session=True
        )
        started = json.loads(self._line())
        self.urls: dict[str, str] = started["urls"]
        self.ca_bundle: str = started["ca_bundle"]
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait()

    def connections(self, path: str) -> int:
        """Return how many TCP connections have carried requests for *path* so far."""
        if self._process.stdin is None:
            raise RuntimeError("the server has no input")
        self._process.stdin.write(f"{path}\n".encode())
        return int(self._line())

    def _line(self) -> bytes:
        if self._process.stdout is None:
            raise RuntimeError("the server has no output")
        return self._process.stdout.readline()


def order(number: int) -> dict[str, Any]:
    """Return what all records have, besides a note that fills them up."""
    return {
        "id": number,
        "customer": "Lovelace, Ada",
        "state": "shipped",
        "paid": True,
        "quantity": 12,
        "total": 1249.95,
        "currency": "EUR",
        "created_at": "2026-01-02T03:04:05Z",
        "updated_at": "2026-01-03T04:05:06Z",
        "note": "",
    }


def row(kind: str, record: dict[str, Any]) -> str:
    """Return a record as it stands in a body."""
    if kind != "csv":
        return json.dumps(record, separators=(",", ":"))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(record.values())
    return text.getvalue()


@cache
def first_block(kind: str, size: int, record_bytes: int) -> bytes:
    """Return the first *size* records, each with what separates it from the next one *record_bytes* long."""
    separator = "" if kind == "csv" else "\n" if kind == "ndjson" else ","
    note = "Please leave it at the neighbour's door. " * 9
    missing = record_bytes - len(row(kind, order(FIRST_ID)) + separator)
    return separator.join(row(kind, order(FIRST_ID + n) | {"note": note[:missing]}) for n in range(size)).encode()


def block(kind: str, number: int, size: int, record_bytes: int) -> bytes:
    """Return the records of a block: the first one's, their ids gone on."""
    prefix = FIRST_ID // 10 ** len(str(size - 1))
    return first_block(kind, size, record_bytes).replace(b"%d" % prefix, b"%d" % (prefix + number))


class Answers:
    """What the API answers, and how many connections asked for what."""

    def __init__(self) -> None:
        self.connections: Counter[str] = Counter()
        self._lock = threading.Lock()

    def serve(self, connection: socket.socket, base_url: str) -> None:
        """Answer all requests of one connection."""
        asked: set[str] = set()
        for target in targets(connection):
            path, _, query = target.partition("?")
            if path not in asked:
                asked.add(path)
                with self._lock:
                    self.connections[path] += 1
            _, _, amount, kind = path.split("/")
            blocks, size = (int(number) for number in amount.split("x"))
            if kind in BODIES:
                for part in body(kind, blocks, size):
                    connection.sendall(part)
            else:
                asked_for = dict(pair.split("=") for pair in query.split("&") if pair)
                connection.sendall(page(f"{base_url}/{amount}/{kind}", kind, blocks, size, asked_for))


def page(url: str, kind: str, pages: int, size: int, query: dict[str, str]) -> bytes:
    """Return the answer with the page that a request asks for; behind the last one they are empty."""
    if kind == "slow":
        time.sleep(LATENCY_S)
    number = int(query.get("offset", 0)) // size if "offset" in query else int(query.get("cursor", 0))
    records = block("json", number, size, RECORD_BYTES) if number < pages else b""
    following = b'"%d"' % (number + 1) if number + 1 < pages else b"null"
    link = f'Link: <{url}?cursor={number + 1}>; rel="next"\r\n' if kind == "link" and number + 1 < pages else ""
    content = b'{"data":[%b],"meta":{"next":%b,"total":%d}}' % (records, following, pages * size)
    return head("application/json", len(content), link) + content


def body(kind: str, blocks: int, size: int) -> Iterator[bytes]:
    """Yield the answer with one large body, block by block."""
    before, between, after = BODIES[kind]
    if kind == "csv":
        before = ",".join(order(FIRST_ID)).encode() + b"\n"
    one = len(first_block(kind, size, BODY_RECORD_BYTES))
    length = len(before) + blocks * one + (blocks - 1) * len(between) + len(after)
    yield head({"json": "application/json", "ndjson": "application/x-ndjson", "csv": "text/csv"}[kind], length) + before
    for number in range(blocks):
        yield block(kind, number, size, BODY_RECORD_BYTES) + (between if number + 1 < blocks else after)


def head(content_type: str, length: int, more: str = "") -> bytes:
    """Return the head of an answer."""
    lines = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n{more}\r\n"
    return lines.encode()


def listen(answers: Answers, scheme: str, context: ssl.SSLContext | None) -> str:
    """Answer at a free port from now on, and return its base URL."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    base_url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/api"

    def serve(accepted: socket.socket) -> None:
        # A client that goes away in the middle is none of the server's business.
        with suppress(OSError), accepted:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = context.wrap_socket(accepted, server_side=True) if context else accepted
            with connection:
                answers.serve(connection, base_url)

    def accept() -> None:
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return base_url


def main() -> None:
    """Serve until the parent goes away; answer each path that it writes with the number of its connections."""
    answers = Answers()
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority.make(Path(folder), "benchmark")
        contexts = {"http": None, "https": authority.server_context()}
        urls = {scheme: listen(answers, scheme, context) for scheme, context in contexts.items()}
        print(json.dumps({"urls": urls, "ca_bundle": str(authority.bundle)}), flush=True)
        for path in sys.stdin:
            print(answers.connections[path.strip()], flush=True)


if __name__ == "__main__":
    main()
