"""A store of files, local or any other that Airflow knows, with the few things that are done there."""

from __future__ import annotations

import contextlib
import os
import re
from typing import IO, TYPE_CHECKING, Any, cast

from airflow_oauth_provider.exceptions import OAuth2Error, SettingsError, TransientError
from airflow_oauth_provider.masking import escape_control_characters

if TYPE_CHECKING:
    from collections.abc import Iterator

# What a store that uploads in parts keeps of a file in memory; 10,000 parts are what S3 takes.
_BLOCK_BYTES = 8 << 20
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_MAX_SHOWN = 300


class Store:
    """
    Where files are, by the name that a Dag author gave it.

    :param url: URL or absolute path; a connection id may stand in it, as in ``s3://id@bucket/key``
    :param conn_id: connection of the store, None for the one in the URL or what the store does without
    :raises SettingsError: there is no such store
    """

    def __init__(self, url: str, conn_id: str | None) -> None:
        if not _SCHEME.match(url) and not url.startswith("/"):
            raise SettingsError(f"destination: {url[:200]!r} is neither a URL nor an absolute path.")
        if url.startswith(("file:", "local:")) and not url.partition(":")[2].removeprefix("//").startswith("/"):
            raise SettingsError(f"destination: {url[:200]!r} is no absolute path: write file:///folder/file.")
        if ":" in url.partition("://")[2].partition("/")[0].rpartition("@")[0]:
            raise SettingsError("destination: before the @ stands the id of a connection, no user and password.")
        from airflow.providers.common.compat.sdk import ObjectStoragePath

        self.url = url
        try:
            path = ObjectStoragePath(url, conn_id=conn_id)
            self._fs: Any = path.fs
        except Exception as error:
            why = f"{described(error)} Correct scheme or connection, or install the provider package of this store."
            raise SettingsError(f"destination {url!r}: {why}") from error
        self.path = str(path.path).rstrip("/")
        if not url.endswith("/") and not self.path.rpartition("/")[0]:
            raise SettingsError(f"destination {url!r}: name the folder or the bucket of the file.")

    def files(self, folder: str) -> dict[str, int]:
        """Return names and sizes of the files in a folder, none when there is no such folder."""
        self._fs.invalidate_cache()
        try:
            found = self._fs.ls(folder, detail=True)
        except FileNotFoundError:
            return {}
        return {entry["name"].rpartition("/")[2]: entry["size"] for entry in found if entry["type"] == "file"}

    def size(self, path: str) -> int | None:
        """Return the size of a file, None when there is none."""
        self._fs.invalidate_cache()
        try:
            entry = self._fs.info(path)
        except FileNotFoundError:
            return None
        return int(entry["size"]) if entry["type"] == "file" else None

    def is_folder(self, path: str) -> bool:
        """Whether a folder stands there, or something below it."""
        self._fs.invalidate_cache()
        return bool(self._fs.isdir(path))

    def open(self, path: str) -> IO[bytes]:
        """Return a new file, to be written."""
        return cast("IO[bytes]", self._fs.open(path, "wb", block_size=_BLOCK_BYTES))

    def write(self, path: str, content: bytes) -> None:
        """Write a small file."""
        self._fs.pipe_file(path, content)

    def read(self, path: str) -> bytes:
        """Read a small file."""
        return cast("bytes", self._fs.cat_file(path))

    def move(self, source: str, target: str) -> None:
        """Put a file in the place of another: a rename where the store has it, copy and delete elsewhere."""
        from fsspec import AbstractFileSystem  # type: ignore[import-untyped]
        from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

        if isinstance(self._fs, LocalFileSystem):
            os.replace(source, target)
        elif type(self._fs).mv is AbstractFileSystem.mv:
            # Its own way takes [ and * in names for wildcards.
            self._fs.cp_file(source, target)
            self._fs.rm_file(source)
        else:
            self._fs.mv(source, target)

    def delete(self, path: str) -> None:
        """Delete a file."""
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(path)

    def make_folder(self, path: str) -> None:
        """
        Make a folder and those above it, but for the topmost.

        That is a bucket, or a mount point that is missing when it is not there: somebody else makes those.
        """
        parent = path.rpartition("/")[0]
        if not self.is_folder(parent):
            if "/" not in parent.strip("/"):
                raise FileNotFoundError(f"{parent} does not exist")
            self.make_folder(parent)
        with contextlib.suppress(FileExistsError):
            self._fs.mkdir(path, create_parents=False)

    def remove_folder(self, path: str) -> None:
        """Remove a folder that is empty; stores without folders have none left."""
        if self.is_folder(path) and not self._fs.ls(path, detail=False):
            with contextlib.suppress(OSError):  # somebody put something there just now
                self._fs.rmdir(path)

    @contextlib.contextmanager
    def opening(self) -> Iterator[None]:
        """Turn what the store raises before the first request into an error that says what is wrong."""
        refused = (PermissionError, FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError)
        with self.working("cannot be used"):
            try:
                yield
            except refused as error:
                raise SettingsError(f"destination {self.url!r} cannot be used: {described(error)}") from error

    @contextlib.contextmanager
    def working(self, what: str, advice: str = "") -> Iterator[None]:
        """
        Turn what the store raises into an error that names the destination; a retry may find the store in order.

        :param what: goes on after "destination …"
        :param advice: a sentence
        """
        try:
            yield
        except OAuth2Error:
            raise
        except Exception as error:
            raise TransientError(f"destination {self.url!r} {what}: {described(error)} {advice}".strip()) from error


def described(error: Exception) -> str:
    """Return what a store says, as a sentence on one line."""
    strerror: Any = getattr(error, "strerror", None)
    text = escape_control_characters(str(strerror or error).strip())[:_MAX_SHOWN].rstrip(".")
    return f"{type(error).__name__}: {text}." if text else f"{type(error).__name__}."
