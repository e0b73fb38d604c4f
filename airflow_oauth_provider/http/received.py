"""
A body that has come whole: in memory when it is small, in an unlinked temporary file when it is not.

It is received within the attempt, so that one that broke off is asked for again before any record of it goes out, and
whoever works on the records for long does not keep the API waiting.
"""

from __future__ import annotations

import gzip
import io
import tempfile
import zlib
from typing import IO, TYPE_CHECKING, Any

import urllib3

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.network import BrokenOffError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

# Encoded bytes that are kept in memory, and decoded ones that are taken apart as a whole.
_SPOOLED_BYTES = 1 << 20
WHOLE_BYTES = 4 << 20
_CHUNK = 1 << 16
_MOST_DIGITS = 18

_GZIP = frozenset({"gzip", "x-gzip"})


def receive(response: requests.Response) -> None:
    """
    Read the body of *response* to its end, as requests does, who would take a cut one that is compressed for whole.

    :raises requests.RequestException: it is not whole
    """
    consumed = response._content_consumed  # type: ignore[attr-defined]  # noqa: SLF001  # a redirect that is not followed
    if response.status_code < 400 and response.headers.get("Content-Encoding") and not consumed:
        ReceivedBody(response, however_large=True).close()
    else:
        response.content  # noqa: B018


class ReceivedBody:
    """
    The body of a response, received to its end.

    ``content`` holds it decoded when it is at most 4 MiB, and is None otherwise; ``size`` counts the bytes that came.

    :param however_large: ``content`` is wanted in any case
    :raises BrokenOffError: it is not whole
    :raises SettingsError: its encoding needs a package that is not installed
    """

    def __init__(self, response: requests.Response, *, however_large: bool = False) -> None:
        self._encoding = (response.headers.get("Content-Encoding") or "").strip().lower()
        self._however_large = however_large
        self._spool: IO[bytes] | None = None
        self.size = 0
        self.content: bytes | None
        try:
            self.content = self._received(response)
        except BaseException:
            self.close()
            raise
        finally:
            response.close()
        # Callers of response.json() and .text find a small body there, as they would without streaming; for another one
        # they get requests' error.
        response._content_consumed = True  # type: ignore[attr-defined]  # noqa: SLF001
        if self.content is not None:
            response._content = self.content  # noqa: SLF001

    def open(self) -> IO[bytes]:
        """Return the decoded body, from its beginning."""
        if self.content is not None:
            return io.BytesIO(self.content)
        if self._spool is None:
            raise ValueError("the body is closed")
        return self._decoded(self._spool)

    def _decoded(self, spool: IO[bytes]) -> IO[bytes]:
        spool.seek(0)
        if self._encoding in _GZIP:
            return io.BufferedReader(gzip.GzipFile(fileobj=spool, mode="rb"))
        if self._encoding == "zstd":
            return _zstd_file(spool)
        return io.BufferedReader(_Unclosed(spool))

    def close(self) -> None:
        """Give its memory and its file back."""
        if self._spool is not None:
            self._spool.close()
        self._spool, self.content = None, None

    def _received(self, response: requests.Response) -> bytes | None:
        if not self._encoding and _is_small(response):
            content = b"".join(self._chunks(response))
            self.size = len(content)
            return content
        return self._spooled(response)

    def _spooled(self, response: requests.Response) -> bytes | None:
        """Return the decoded body when it is small; otherwise it stays in the file."""
        spool = self._spool = tempfile.SpooledTemporaryFile(max_size=_SPOOLED_BYTES)  # noqa: SIM115
        try:
            for chunk in self._chunks(response):
                self.size += len(chunk)
                spool.write(chunk)
            if not self.size:
                return b""
            with self._decoded(spool) as decoded:
                beginning = decoded.read(-1 if self._however_large else WHOLE_BYTES + 1)
        except EOFError:
            raise BrokenOffError(f"the {self._encoding} body broke off after {self.size:,} bytes") from None
        except BROKEN_ENCODINGS:
            raise BrokenOffError(f"the {self._encoding} body of {self.size:,} bytes is broken") from None
        if len(beginning) > WHOLE_BYTES and not self._however_large:
            return None
        spool.close()
        self._spool = None
        return beginning

    def _chunks(self, response: requests.Response) -> Iterator[bytes]:
        """Yield what comes; gzip and zstd as they are, so that a cut one shows when it is decoded."""
        ours = self._encoding in _GZIP or self._encoding == "zstd"
        came = 0
        try:
            if self._encoding == "deflate":
                yield from _inflated(response.raw)
                return
            for chunk in response.raw.stream(_CHUNK, decode_content=not ours):
                came += len(chunk)
                yield chunk
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise BrokenOffError(f"the answer broke off after {came:,} bytes") from error


def _is_small(response: requests.Response) -> bool:
    """Whether the answer says so; beside chunks a length says nothing (RFC 9112 §6.3)."""
    length = response.headers.get("Content-Length") or ""
    says = length.isascii() and length.isdigit() and len(length) <= _MOST_DIGITS
    return says and int(length) <= _SPOOLED_BYTES and not getattr(response.raw, "chunked", False)


class _Unclosed(io.RawIOBase):
    """Reads a file that stays open behind it: a body can be read several times."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._file.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)


def zstd_module() -> Any:
    """Return the library: of Python 3.14, or an extra; ImportError when there is none."""
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        from backports import zstd
    return zstd


def _zstd_file(file: IO[bytes]) -> IO[bytes]:
    try:
        return zstd_module().ZstdFile(file)  # type: ignore[no-any-return]
    except ImportError:
        pass
    raise SettingsError("The API answers with zstd, which needs the extra airflow-oauth-provider[zstd].")


def _zstd_errors() -> tuple[type[Exception], ...]:
    try:
        return (zstd_module().ZstdError,)
    except ImportError:
        return ()


# What is raised by a compressed body that is not what it says; EOFError where it is cut.
BROKEN_ENCODINGS: tuple[type[Exception], ...] = (zlib.error, gzip.BadGzipFile, *_zstd_errors())


def _inflated(raw: urllib3.HTTPResponse) -> Iterator[bytes]:
    """Yield a deflate body decoded: zlib as RFC 9110 §8.4.1.2 says, or bare as many servers send it."""
    chunks = raw.stream(_CHUNK, decode_content=False)
    first = next(chunks, b"")
    while len(first) == 1 and (more := next(chunks, b"")):
        first += more
    # The first bytes of zlib are a multiple of 31 (RFC 1950 §2.2).
    is_zlib = len(first) > 1 and first[0] & 15 == 8 and int.from_bytes(first[:2]) % 31 == 0
    inflater = zlib.decompressobj() if is_zlib else zlib.decompressobj(-zlib.MAX_WBITS)
    waiting = first
    while waiting:
        yield inflater.decompress(waiting, _CHUNK)
        waiting = inflater.unconsumed_tail or (b"" if inflater.eof else next(chunks, b""))
    if first:
        yield inflater.flush()
        if not inflater.eof:
            raise EOFError
