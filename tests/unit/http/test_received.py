"""A body is received to its end, whatever its size and compression; one that is not whole is known as such."""

from __future__ import annotations

import gzip
import io
import random
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import urllib3

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.http import received as module
from airflow_oauth_provider.http.received import WHOLE_BYTES, ReceivedBody
from airflow_oauth_provider.network import BrokenOffError
from tests.support.pulls import answer, bare_deflate, zstd

SMALL = b'{"a": "b"}' * 100
# It does not compress, so that files are written.
LARGE = random.Random(26).randbytes(WHOLE_BYTES + (1 << 20))


def same(content: bytes) -> bytes:
    return content


ENCODINGS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("", same), ("identity", same), ("gzip", gzip.compress), ("GZIP", gzip.compress), ("x-gzip", gzip.compress),
    ("deflate", zlib.compress), ("deflate", bare_deflate), ("zstd", zstd),
    ("gzip, deflate", lambda content: zlib.compress(gzip.compress(content))),
]  # fmt: skip
encodings = pytest.mark.parametrize(("encoding", "encode"), ENCODINGS)


_bodies: list[ReceivedBody] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _bodies:
        _bodies.pop().close()


def received(sent: bytes, encoding: str = "", **headers: str) -> ReceivedBody:
    """Return a body that is closed when the test is over."""
    body = ReceivedBody(answer(sent, headers={**({"Content-Encoding": encoding} if encoding else {}), **headers}))
    _bodies.append(body)
    return body


@encodings
@pytest.mark.parametrize("content", [b"", b"x", SMALL, LARGE], ids=["empty", "one byte", "small", "large"])
def test_a_body_is_decoded_and_can_be_read_again_and_again(
    encoding: str, encode: Callable[[bytes], bytes], content: bytes
) -> None:
    body = received(encode(content), encoding)
    for _ in range(2):
        with body.open() as file:
            assert file.read() == content
    with body.open() as file:
        assert file.read(10) == content[:10]
    with body.open() as file:
        assert file.read(10) == content[:10]
    assert (body.content is None) is (content is LARGE)


@pytest.mark.parametrize(("encoding", "encode"), [("", same), ("gzip", gzip.compress), ("zstd", zstd)])
def test_size_counts_what_came_over_the_wire(encoding: str, encode: Callable[[bytes], bytes]) -> None:
    for content in (SMALL, LARGE):
        sent = encode(content)
        assert received(sent, encoding).size == len(sent)
        told = received(sent, encoding, **{"Content-Length": str(len(sent))})
        assert told.size == len(sent)
        with told.open() as file:
            assert file.read() == content


@pytest.mark.parametrize("encoding", ["", "gzip", "deflate"])
def test_nothing_at_all_is_an_empty_body_whatever_was_promised(encoding: str) -> None:
    assert received(b"", encoding).content == b""


def test_what_fits_is_taken_apart_as_a_whole_and_what_does_not_is_a_file() -> None:
    assert received(b"x" * WHOLE_BYTES).content == b"x" * WHOLE_BYTES
    assert received(b"x" * (WHOLE_BYTES + 1)).content is None
    bomb = received(gzip.compress(b"x" * (WHOLE_BYTES + 1)), "gzip")
    assert bomb.content is None
    assert bomb.size < 100_000


def test_callers_find_a_small_body_where_requests_keeps_it() -> None:
    response = answer(b'{"a": 1}', headers={"Content-Length": "8"})
    ReceivedBody(response)
    assert (response.json(), response.content) == ({"a": 1}, b'{"a": 1}')
    compressed = answer(gzip.compress(b'{"a": 1}'), headers={"Content-Encoding": "gzip"})
    ReceivedBody(compressed)
    assert compressed.text == '{"a": 1}'


def test_callers_who_want_a_large_body_get_the_error_of_requests() -> None:
    response = answer(LARGE)
    with closing(ReceivedBody(response)), pytest.raises(RuntimeError, match="already consumed"):
        response.content  # noqa: B018


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_the_connection_goes_back_when_the_body_is_there(content: bytes) -> None:
    response = answer(content)
    with closing(ReceivedBody(response)):
        assert response.raw.closed


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_a_closed_body_holds_nothing(content: bytes) -> None:
    body = received(content)
    spool = body._spool
    body.close()
    body.close()
    with pytest.raises(ValueError, match="the body is closed"):
        body.open()
    assert spool is None or spool.closed


# What is not whole ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [1, len(SMALL) // 2, len(SMALL)])
def test_less_than_content_length_promised_is_a_body_that_broke_off(missing: int) -> None:
    left = SMALL[: len(SMALL) - missing]
    with pytest.raises(BrokenOffError, match=r"the answer broke off after [\d,]+ bytes"):
        received(left, **{"Content-Length": str(len(SMALL))})
    with pytest.raises(BrokenOffError, match="broke off"):
        received(LARGE[:-missing], **{"Content-Length": str(len(LARGE))})


@pytest.mark.parametrize(("encoding", "encode"), [pair for pair in ENCODINGS if pair[0] in ("gzip", "deflate", "zstd")])
@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_compressed_body_that_was_cut_broke_off(encoding: str, encode: Callable[[bytes], bytes], cut: int) -> None:
    with pytest.raises(BrokenOffError, match=r"broke off|is broken"):
        received(encode(SMALL)[:-cut], encoding)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
@pytest.mark.parametrize("sent", [b'{"a": 1}', b"<html>nothing</html>", b"\x00" * 100, b"(" * 100])
def test_a_body_that_is_not_compressed_as_it_says_is_broken(encoding: str, sent: bytes) -> None:
    with pytest.raises(BrokenOffError, match=r"is broken|broke off"):
        received(sent, encoding)


def test_damage_in_the_midst_is_found() -> None:
    sent = bytearray(gzip.compress(SMALL))
    sent[-6] ^= 1  # the checksum
    with pytest.raises(BrokenOffError, match=r"the gzip body of .* bytes is broken"):
        received(bytes(sent), "gzip")


@pytest.mark.parametrize("encode", [zlib.compress, bare_deflate])
@pytest.mark.parametrize("first", [1, 2, 3])
def test_deflate_is_known_however_little_comes_first(
    encode: Callable[[bytes], bytes], first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    response = answer(headers={"Content-Encoding": "deflate"})
    sent = encode(SMALL)
    monkeypatch.setattr(response.raw, "stream", lambda *_, **__: iter([sent[:first], sent[first:]]))
    with closing(ReceivedBody(response)) as body:
        assert body.content == SMALL


@pytest.mark.parametrize("length", ["1" * 5000, "9" * 19])
def test_a_length_of_absurd_length_is_none(length: str) -> None:
    response = answer(SMALL)
    response.headers["Content-Length"] = length
    with closing(ReceivedBody(response)) as body:
        assert body.content == SMALL


def test_a_length_beside_chunks_says_nothing_of_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    response = answer(LARGE)
    response.headers["Content-Length"] = "10"
    response.raw.chunked = True
    monkeypatch.setattr(response.raw, "stream", lambda *_, **__: iter([LARGE]))
    with closing(ReceivedBody(response)) as body:
        assert body.content is None
        assert body.size == len(LARGE)


def test_several_members_are_one_body() -> None:
    assert received(gzip.compress(b"[1,") + gzip.compress(b"2]"), "gzip").content == b"[1,2]"
    assert received(zstd(b"[1,") + zstd(b"2]"), "zstd").content == b"[1,2]"


@pytest.mark.parametrize(
    "error", [urllib3.exceptions.ProtocolError("reset"), ConnectionResetError(), urllib3.exceptions.ReadTimeoutError]
)
@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_a_connection_that_broke_says_how_far_it_came(
    monkeypatch: pytest.MonkeyPatch, error: Any, content: bytes
) -> None:
    failure = error(None, None, "slow") if isinstance(error, type) else error
    response = answer(b"")

    def stream(*_: Any, **__: Any) -> Iterator[bytes]:
        yield content
        raise failure

    monkeypatch.setattr(response.raw, "stream", stream)
    with pytest.raises(BrokenOffError, match=f"the answer broke off after {len(content):,} bytes") as caught:
        ReceivedBody(response)
    assert caught.value.__cause__ is failure


def test_what_is_left_of_a_body_that_broke_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    files: list[Any] = []
    make = tempfile.SpooledTemporaryFile

    def spooled(**options: Any) -> Any:
        files.append(make(**options))
        return files[-1]

    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", spooled)
    for sent in (LARGE, gzip.compress(LARGE)[:3_000_000]):
        with pytest.raises(BrokenOffError):
            received(sent, "gzip")
    assert len(files) == 2
    assert all(file.closed for file in files)


def test_zstd_needs_its_extra_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = zstd(SMALL)
    for name in ("compression", "compression.zstd", "backports", "backports.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SettingsError, match=r"zstd.* needs the extra airflow-oauth-provider\[zstd\]"):
        received(sent, "zstd")
    assert module._zstd_errors() == ()
    assert received(gzip.compress(SMALL), "gzip").content == SMALL


def test_a_large_body_is_read_through_a_file_that_stays_open() -> None:
    body = received(LARGE)
    with io.TextIOWrapper(body.open(), encoding="latin-1", newline="") as text:
        assert len(text.read()) == len(LARGE)
    with body.open() as file:
        assert file.read() == LARGE
