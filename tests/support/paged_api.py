"""
APIs that serve records 0, 1, 2 … in pages, and what is a bit wrong with them.

Run as a program it pulls once and says by how much the process grew: ``python -m tests.support.paged_api OPTIONS``,
with the options of ``hook.records`` as JSON.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from airflow_oauth_provider.exceptions import OAuth2Error
from airflow_oauth_provider.pull.pagination import Cursor, HeaderCursor, LinkHeader, NextUrl, Offset
from tests.support.memory import growth_mb
from tests.support.raw import RawServer
from tests.support.servers import OAuthServer, Reply, Script, Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

TOO_OFTEN = Reply(418, "asked once too often")

# How Numbers and Chain are pulled.
NEXT = NextUrl("paging.next")
CURSOR = Cursor("paging.cursor", param="cursor")
OFFSET: dict[str, Any] = {"pagination": Offset(3, total_path="total"), "records": "items"}
BY_CURSOR: dict[str, dict[str, Any]] = {
    "link header": {"pagination": LinkHeader()},
    "next URL": {"pagination": NEXT},
    "cursor": {"pagination": CURSOR},
    "cursor in a body": {"pagination": Cursor("paging.cursor", body_path="cursor"), "method": "POST"},
    "header cursor": {"pagination": HeaderCursor("X-Cursor", "cursor")},
    "function": {"pagination": lambda r: {"params": {"cursor": c}} if (c := r.json()["paging"]["cursor"]) else None},
}


def items(*numbers: int) -> list[dict[str, int]]:
    return [{"id": number} for number in numbers]


def page_of(*numbers: int, **members: Any) -> Reply:
    return Reply(200, {"items": items(*numbers), **members})


def ids(records: Iterable[Mapping[str, Any]]) -> list[Any]:
    return [record["id"] for record in records]


def pulled(records: Iterable[Mapping[str, Any]]) -> tuple[list[Any], OAuth2Error]:
    """Return the ids that came, and the error that ended the pull; there must be one."""
    came: list[Any] = []
    with pytest.raises(OAuth2Error) as caught:
        came.extend(record["id"] for record in records)
    return came, caught.value


def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Draw no pause where the API asked for none; return the list of how long each could have been."""
    longest: list[float] = []

    def draw(_: float, most: float) -> float:
        longest.append(most)
        return 0.0

    monkeypatch.setattr("airflow_oauth_provider.retry.random.uniform", draw)
    return longest


def serve(server: OAuthServer, answer: Script) -> None:
    """Let the API answer so whoever brings a good token."""

    def script(seen: Seen) -> Reply:
        checked = server.checked(seen)
        return answer(seen) if checked.status == 200 else checked

    server.api_reply = script


def in_turn(*replies: Reply | Script) -> Script:
    """Return what an API does that gives these answers, and refuses whoever asks more often."""
    waiting, lock = list(replies), threading.Lock()

    def script(seen: Seen) -> Reply:
        with lock:
            reply = waiting.pop(0) if waiting else TOO_OFTEN
        return reply(seen) if callable(reply) else reply

    return script


def host_of(server: OAuthServer) -> str:
    return urlsplit(server.url).netloc


def queries(server: OAuthServer) -> list[list[tuple[str, str]]]:
    """Return the queries that the API saw."""
    return [seen.query for seen in server.api_requests]


def raw_answer(*lines: str, body: Any = b"", status: str = "200 OK", length: int | None = None) -> bytes:
    """
    Return an answer as it goes over the wire, the last one of its connection.

    :param lines: of the head, repeated ones too
    :param body: bytes, or what is sent as JSON
    :param length: what ``Content-Length`` says, when it is wrong
    """
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = (
        [*lines]
        if any(line.startswith("Transfer-Encoding") for line in lines)
        else [f"Content-Length: {len(content) if length is None else length}", *lines]
    )
    return "\r\n".join([f"HTTP/1.1 {status}", "Connection: close", *named, "", ""]).encode("latin-1") + content


def with_lines(*lines: str, body: Any = b"", status: str = "200 OK") -> Reply:
    """Return :func:`raw_answer` as a reply."""
    return Reply(raw=raw_answer(*lines, body=body, status=status))


@dataclass
class Numbers:
    """
    An API that pages in all styles at once.

    :param total: so many records there are
    :param size: of a page, and the most that a caller gets
    :param first: number of the first page
    :param extra: members of every answer, by which others are replaced
    """

    total: int = 7
    size: int = 3
    first: int = 1
    extra: dict[str, Any] = field(default_factory=dict)

    def __call__(self, seen: Seen) -> Reply:
        start = self.start(seen)
        end = min(start + self.size, self.total)
        more = end < self.total
        link = f"{seen.path}?cursor={end}"
        answer: dict[str, Any] = {
            "items": items(*range(start, end)),
            "total": self.total,
            "pages": -(-self.total // self.size),
            "paging": {"cursor": end if more else None, "next": link if more else None, "more": more},
        }
        headers = {"Link": f'<{link}>; rel="next"', "X-Cursor": str(end)} if more else {}
        return Reply(200, answer | self.extra, headers)

    def start(self, seen: Seen) -> int:
        """Return the number of the first record that is asked for."""
        asked = {**dict(seen.query), **(json.loads(seen.body or b"{}"))}
        if "after" in asked:
            return int(asked["after"]) + 1
        if "page" in asked:
            return (int(asked["page"]) - self.first) * self.size
        return int(asked.get("cursor") or asked.get("offset") or 0)


@dataclass
class Chain:
    """
    An API whose pages name the next one as *then* says, in all styles at once; no two pages are alike.

    :param then: the cursor of a page, "" for the first one, and the cursor that it names
    """

    then: Mapping[str, Any]
    served: int = 0

    def __call__(self, seen: Seen) -> Reply:
        asked = {**dict(seen.query), **(json.loads(seen.body or b"{}"))}
        cursor = self.then.get(str(asked.get("cursor", "")))
        self.served += 1
        link = f"{seen.path}?cursor={cursor}" if cursor else None
        headers = {"Link": f'<{link}>; rel="next"', "X-Cursor": str(cursor)} if link else {}
        return Reply(200, {"items": items(self.served), "paging": {"cursor": cursor, "next": link}}, headers)


class Crowd:
    """
    Counts who is being answered by *script* at the same time.

    :param hold: called before each answer
    """

    def __init__(self, script: Script, hold: Callable[[Seen], object] = lambda _: None) -> None:
        self._script, self._hold, self._lock = script, hold, threading.Lock()
        self.now = self.most = 0

    def __call__(self, seen: Seen) -> Reply:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            self._hold(seen)
            return self._script(seen)
        finally:
            with self._lock:
                self.now -= 1


class ByHand(RawServer):
    """An API that sends *answers* one after the other, each over a connection of its own, and resets where told."""

    def __init__(self, *answers: bytes, reset: frozenset[int] = frozenset()) -> None:
        self.asked: list[str] = []
        self._answers, self._reset = answers, reset
        super().__init__(self._converse)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _converse(self, connection: socket.socket, _: threading.Event) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            if not (part := connection.recv(65536)):
                return
            request += part
        number = len(self.asked)
        self.asked.append(request.decode("latin-1").split(" ", 2)[1])
        connection.sendall(self._answers[number] if number < len(self._answers) else raw_answer(status="418 Too Often"))
        if number in self._reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextmanager
def nothing_left() -> Iterator[None]:
    """Fail when there are threads at the end that were not there before; those of servers do not count."""
    from tests.support.processes import wait_until

    before = _threads()
    yield
    wait_until(lambda: _threads() <= before, within_s=30)


def _threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if "process_request_thread" not in thread.name}


# Memory ---------------------------------------------------------------------------------------------------------------


def pull_in_a_child(environment: Mapping[str, str], **options: Any) -> dict[str, float]:
    """Return ``records`` and ``grown_mb`` of a pull in a process of its own; ``small`` is pulled first, for imports."""
    program = [sys.executable, "-m", "tests.support.paged_api", json.dumps(options)]
    done = subprocess.run(
        program,
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if done.returncode:
        raise ChildProcessError(done.stderr[-3000:])
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main(options: dict[str, Any]) -> None:
    from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook

    hook = OAuth2Hook(oauth2_conn_id="shop")
    sum(1 for _ in hook.records("small", **options))
    grown = growth_mb()
    records = sum(1 for _ in hook.records("large", **options))
    print(json.dumps({"records": records, "grown_mb": grown()}))  # noqa: T201


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
