"""Bodies in any charset and compression, empty ones, and compressed ones that were cut."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import ResponseFormatError, TransientError
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.http.received import zstd_module
from tests.integration.conftest import Connection, Pull
from tests.support.paged_api import ByHand, no_pauses, raw_answer, serve
from tests.support.pulls import BOM, bare_deflate, zstd
from tests.support.servers import OAuthServer, Reply

LINES = b"".join(b'{"id": %d}\n' % number for number in range(1, 30_001))


PLACES = [{"id": 1, "place": "Zürich"}]
TEXT = json.dumps(PLACES, ensure_ascii=False)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (TEXT.encode(), "application/json"),
        (TEXT.encode(), "application/json; charset=iso-8859-1"),  # which is wrong: JSON is UTF-8
        (TEXT.encode(), "text/plain"),
        (TEXT.encode(), ""),
        (BOM + TEXT.encode(), "application/json; charset=utf-8"),
        (TEXT.encode("latin-1"), "application/json; charset=iso-8859-1"),
        (TEXT.encode("utf-16"), "application/json; charset=utf-16"),
        (json.dumps(PLACES).encode(), "application/json; charset=made-up"),
    ],
)
def test_json_is_read_whatever_charset_is_named(pull: Pull, body: bytes, content_type: str) -> None:
    assert pull(body, content_type) == PLACES


CODES: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "GZIP": gzip.compress,
    "x-gzip": gzip.compress,
    "gzip in two members": lambda content: gzip.compress(content[:9]) + gzip.compress(content[9:]),
    "deflate": zlib.compress,
    "bare deflate": bare_deflate,
    "zstd": zstd,
    "identity": bytes,
}
FORMATS: dict[str, Any] = {
    "json": (b"[%s]" % LINES.strip().replace(b"\n", b",\n"), 30_000),
    "ndjson": (LINES, 30_000),
    "csv": (LINES, 29_999),
    "raw": (LINES, 0),
}


@pytest.mark.parametrize("response_format", FORMATS)
@pytest.mark.parametrize("code", CODES)
def test_compression_does_not_show(pull: Pull, code: str, response_format: str) -> None:
    content, count = FORMATS[response_format]
    encoding = {"gzip in two members": "gzip", "bare deflate": "deflate"}.get(code, code)

    got = pull(CODES[code](content), headers={"Content-Encoding": encoding}, response_format=response_format)

    assert b"".join(got) == LINES if response_format == "raw" else len(got) == count


@pytest.mark.parametrize("response_format", ["json", "ndjson", "csv", "xml", "raw"])
@pytest.mark.parametrize(
    "reply",
    [Reply(204), Reply(200), Reply(200, b"", {"Content-Type": "application/json"}), Reply(200, b"\n\n"),
     Reply(200, gzip.compress(b""), {"Content-Encoding": "gzip"}), Reply(200, b"", {"Content-Encoding": "gzip"})],
    ids=["204", "empty", "empty JSON", "blank", "empty gzip", "nothing, not even gzip"],
)  # fmt: skip
def test_an_empty_body_has_no_records(
    server: OAuthServer, hook: OAuth2Hook, reply: Reply, response_format: str
) -> None:
    serve(server, lambda _: reply)
    records = "items" if response_format in ("json", "xml") else None

    got = list(hook.records("items", response_format=response_format, records=records))

    assert got == ([reply.body] if response_format == "raw" and reply.body == b"\n\n" else [])


@pytest.mark.parametrize("response_format", FORMATS)
@pytest.mark.parametrize("code", ["Content-Length", "chunked", "gzip", "deflate", "zstd"])
def test_a_body_cut_between_two_records_is_asked_for_again(
    connect: Connection, monkeypatch: pytest.MonkeyPatch, code: str, response_format: str
) -> None:
    """For most of these formats nothing in the text itself tells that there was more."""
    no_pauses(monkeypatch)
    content, count = FORMATS[response_format]
    half = content[: content.index(b"\n", len(content) // 2) + 1]
    head = {
        "Content-Length": b"Content-Length: %d\r\n\r\n" % len(content),
        "chunked": b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(half),
    }.get(code, b"")
    cut = head + half + (b"\r\n" if code == "chunked" else b"")
    if not head:
        cut = cut_at(half, content[len(half) :], code)
    with ByHand(b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + cut, raw_answer(body=content)) as api:
        hook = OAuth2Hook(oauth2_conn_id=connect(base_url=api.url))

        got = list(hook.records("items", response_format=response_format))

    assert b"".join(got) == LINES if response_format == "raw" else len(got) == count
    assert len(api.asked) == 2


def cut_at(half: bytes, rest: bytes, code: str) -> bytes:
    """Return an answer that can be decoded up to the end of *half*, and lacks all behind it."""
    if code == "zstd":
        compressor = zstd_module().ZstdCompressor()
        body = bytes(compressor.compress(half) + compressor.flush(compressor.FLUSH_BLOCK))
    else:
        deflater = zlib.compressobj(wbits=31 if code == "gzip" else 15)
        body = deflater.compress(half) + deflater.flush(zlib.Z_SYNC_FLUSH)
    assert rest
    return b"Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (code.encode(), len(body)) + body


def test_what_cannot_be_decoded_is_an_error_and_not_a_record(pull: Pull) -> None:
    with pytest.raises(TransientError):
        pull(b"\x8b\x05\x80hello\x03" * 10, headers={"Content-Encoding": "br"})
    with pytest.raises(ResponseFormatError):
        pull(b"\0\1\2\3" * 10, "application/json")


@pytest.mark.parametrize(
    ("response_format", "wanted"),
    [("json", "application/json"), ("ndjson", "ndjson"), ("csv", "text/csv"), ("xml", "xml"), ("raw", "*/*")],
)
def test_the_api_is_told_what_is_wanted(
    server: OAuthServer, hook: OAuth2Hook, response_format: str, wanted: str
) -> None:
    serve(server, lambda _: Reply(204))

    list(hook.pages("items", response_format=response_format))
    list(hook.pages("items", response_format=response_format, headers={"accept": "made/up"}))

    ours, own = (seen.headers["accept"] for seen in server.api_requests)
    assert wanted in ours
    assert own == "made/up"


@pytest.mark.parametrize(
    ("response_format", "cut", "whole"),
    [
        ("ndjson", b'{"id": 1}\n{"id": 2', b'{"id": 1}\n{"id": 23}\n'),
        ("csv", b'id\n1\n"2', b'id\n1\n"23"\n'),
        ("json", b'[{"id": "1"}, {"id": 2', b'[{"id": 1}, {"id": 23}]'),
        ("xml", b"<r><id>1</id><id>2</", b"<r><id>1</id><id>23</id></r>"),
    ],
)
def test_a_text_that_was_cut_in_the_midst_of_a_record_is_asked_for_again(
    connect: Connection, monkeypatch: pytest.MonkeyPatch, response_format: str, cut: bytes, whole: bytes
) -> None:
    """Without a Content-Length nothing else tells."""
    no_pauses(monkeypatch)
    bare = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + cut
    with ByHand(bare, raw_answer(body=whole)) as api:
        hook = OAuth2Hook(oauth2_conn_id=connect(base_url=api.url))
        records = "r.id" if response_format == "xml" else None
        got = list(hook.records("items", response_format=response_format, records=records))

    assert "23" in str(got[-1])
    assert len(got) == 2
    assert len(api.asked) == 2
