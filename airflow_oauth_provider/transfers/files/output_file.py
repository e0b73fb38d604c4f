"""A file while it is written: compressed, counted and hashed on the way."""

from __future__ import annotations

import hashlib
import zlib
from typing import IO, Any

from airflow_oauth_provider.exceptions import SettingsError

COMPRESSIONS = {"gzip": ".gz", "zstd": ".zst"}

# A compressor is fed in pieces of one size, so that the same records give the same bytes however they came in batches.
_PIECE = 1 << 18
_GZIP_LEVEL = 1
_GZIP_CONTAINER = 16 + zlib.MAX_WBITS  # its header says neither time nor name


class OutputFile:
    """
    Compresses what goes in, counts and hashes what comes out.

    ``size`` counts the bytes before compression, ``bytes`` those in the file.

    :param handle: where the bytes go; closed with this one
    :param compression: ``gzip``, ``zstd`` or None
    """

    def __init__(self, handle: IO[bytes], compression: str | None = None) -> None:
        self._handle = handle
        self._compressor = compressor(compression)
        self._waiting = bytearray()
        self._hash = hashlib.sha256()
        self.size = 0
        self.bytes = 0
        self.closed = False

    @property
    def sha256(self) -> str:
        """The SHA-256 of what is in the file, in hexadecimal digits."""
        return self._hash.hexdigest()

    def write(self, data: bytes) -> int:
        """Take *data*; it is on its way once there is enough of it."""
        if self.closed:  # abandoned; pyarrow writes the end of its file all the same when it is collected
            return len(data)
        self.size += len(data)
        self._waiting += data
        whole = len(self._waiting) - len(self._waiting) % _PIECE
        if whole:
            with memoryview(self._waiting) as waiting:
                for start in range(0, whole, _PIECE):
                    self._compress(waiting[start : start + _PIECE])
            del self._waiting[:whole]
        return len(data)

    def close(self) -> None:
        """Write what is left, and close the file."""
        self._compress(self._waiting)
        if self._compressor is not None:
            self._out(self._compressor.flush())
        self.closed = True
        self._handle.close()

    def abandon(self) -> None:
        """Let go of the file as it is: whoever calls this deletes it next."""
        self.closed = True
        self._handle.close()

    def _compress(self, data: bytearray | memoryview) -> None:
        self._out(bytes(data) if self._compressor is None else self._compressor.compress(data))

    def _out(self, data: bytes) -> None:
        if data:
            self._hash.update(data)
            self._handle.write(data)
            self.bytes += len(data)


def compressor(name: str | None) -> Any:
    """
    Return an object with ``compress`` and ``flush``; None for no compression.

    :raises SettingsError: its package is not installed
    """
    if name is None:
        return None
    if name == "gzip":
        return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_CONTAINER)
    return _zstd().ZstdCompressor()


def _zstd() -> Any:
    from airflow_oauth_provider.http.received import zstd_module

    try:
        return zstd_module()
    except ImportError:
        raise SettingsError("compression='zstd' needs the extra airflow-oauth-provider[zstd].") from None
