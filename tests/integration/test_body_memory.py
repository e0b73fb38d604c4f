"""Memory does not grow with a body, and nothing of it is left open."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from tests.support.paged_api import pull_in_a_child, serve
from tests.support.servers import OAuthServer, Reply

RECORD = b'{"id": 123456, "name": "made-up name of a thing", "price": 12.5, "tags": ["a", "b"], "of": {"a": null}}'
LARGE = 64 << 20
FILES = Path("/proc/self/fd")


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="not applicable: memory is read from /proc")
@pytest.mark.parametrize(
    ("response_format", "encoding"), [("ndjson", ""), ("ndjson", "gzip"), ("csv", ""), ("raw", "gzip"), ("json", "")]
)
def test_memory_does_not_grow_with_the_body(
    server: OAuthServer, connect: Callable[..., str], tmp_path: Path, response_format: str, encoding: str
) -> None:
    count = LARGE // len(RECORD)

    def body(number: int) -> bytes:
        content = {
            "json": lambda: b'{"data": {"items": [' + b",".join([RECORD] * number) + b']}, "next": null}',
            "csv": lambda: b"a,b,c\n" + b"123456,made-up name of a thing,12.5\n" * (3 * number),
        }.get(response_format, lambda: (RECORD + b"\n") * number)()
        return gzip.compress(content, 1) if encoding else content

    replies = {"/api/small": Reply(200, body(100_000)), "/api/large": Reply(200, body(count))}
    headers = {"Content-Encoding": encoding} if encoding else {}
    serve(server, lambda seen: Reply(200, replies[seen.path].body, headers))
    connect()

    got = pull_in_a_child(
        {"TMPDIR": str(tmp_path)},
        response_format=response_format,
        records="data.items" if response_format == "json" else None,
    )

    pieces = -(-count * (len(RECORD) + 1) // (1 << 17))
    assert got["records"] == {"csv": 3 * count, "raw": pieces}.get(response_format, count)
    assert got["grown_mb"] < 20
    assert list(tmp_path.glob("tmp*")) == []


@pytest.mark.parametrize("response_format", ["ndjson", "csv", "raw", "json"])
def test_a_body_that_is_left_early_leaves_nothing_open(
    server: OAuthServer, connect: Callable[..., str], response_format: str
) -> None:
    hook = OAuth2Hook(oauth2_conn_id=connect())
    large = b'[{"id": 1}' + b"\n" * (5 << 20) + b"]" if response_format == "json" else b'{"id": 1}\n' * 600_000
    serve(server, lambda _: Reply(200, large))
    list(hook.records("items", response_format=response_format))
    before = len(list(FILES.iterdir())) if FILES.exists() else 0

    for _ in range(5):
        records = hook.records("items", response_format=response_format)
        next(records)
        records.close()  # type: ignore[attr-defined]
        for page in hook.pages("items", response_format=response_format):
            next(iter(page.records))
            break

    del page
    assert len({seen.client for seen in server.api_requests}) == 1
    if before:
        assert len(list(FILES.iterdir())) <= before
