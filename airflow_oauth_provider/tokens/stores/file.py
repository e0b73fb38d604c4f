"""``file://``: a folder that the processes of one user on one machine share."""

from __future__ import annotations

import fcntl
import os
import random
import stat
import struct
import tempfile
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from airflow_oauth_provider.tokens.stores.base import COUNTS_TTL_S, LEASE_S, MAX_ENTRY_BYTES, Counts, Entry, Lease

if TYPE_CHECKING:
    from pathlib import Path

_MAGIC = b"OAUTH2\x00\x01"
_HEADER = len(_MAGIC) + 8
_MAX_GENERATION = 2**62

_COUNTS = struct.Struct(">QQ")

_LOCK_NAME = "store.lock"
_KEY_NAME = "store.key"
_KEY_BYTES = 32
_LOCK_TIMEOUT_S = 2.0
_COUNT_TIMEOUT_S = 0.3
_SWEEP_EVERY_S = 3600.0
_SWEEP_AFTER_S = 86_400.0
_SWEEP_TIME_S = 0.5


class FileStore:
    """
    One file an entry: a header with the generation in clear, then the sealed bytes.

    The folder is 0700 and ours, its files are 0600, replaced atomically, and trusted only when they are regular files
    of ours. The modification time of an entry is its end, that of a lease its beginning.

    :param folder: created when missing
    :raises OSError: when the folder cannot be made, is not ours, or cannot be written
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        nearest = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
        # Below somebody else's folder with the first write: who only looks, as root maybe, must not own what they need.
        if nearest == folder or nearest.stat().st_uid == os.geteuid():
            self._make_folder()
        else:
            _check_writable(nearest)

    def _make_folder(self) -> None:
        folder = self._folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            raise PermissionError(f"{folder} is not a folder that belongs to user {os.geteuid()}")
        if status.st_mode & 0o077:
            folder.chmod(0o700)
        _check_writable(folder)

    def describe(self) -> str:
        """Return the store's URL."""
        return self._folder.as_uri()

    def read(self, name: str) -> Entry:
        """Return the entry under *name*; whatever is not a file of ours in our format is a miss."""
        try:
            # NOFOLLOW and NONBLOCK: a planted link is not read, a planted FIFO does not hang us.
            descriptor = os.open(self._entry(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return Entry()
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
                return Entry()
            content = os.read(descriptor, _HEADER + MAX_ENTRY_BYTES + 1)
        finally:
            os.close(descriptor)
        generation = int.from_bytes(content[len(_MAGIC) : _HEADER], "big")
        if (
            not content.startswith(_MAGIC)
            or not _HEADER <= len(content) <= _HEADER + MAX_ENTRY_BYTES
            or generation > _MAX_GENERATION
        ):
            return Entry()
        return Entry(generation, content[_HEADER:] or None)

    def write(self, name: str, sealed: bytes | None, *, expected: int | None, ttl_s: float) -> bool:
        """Store *sealed* with the next generation; see :class:`~.base.TokenStore`."""
        # Anew each time: somebody may have cleaned up, and a lock would make the folder for everybody to read.
        self._make_folder()
        with self._lock():
            generation = self.read(name).generation
            if expected is not None and expected != generation:
                return False
            content = _MAGIC + (generation + 1).to_bytes(8, "big") + (sealed or b"")
            self._replace(self._entry(name), content, time.time() + ttl_s)
        self._sweep()
        return True

    def try_lease(self, name: str, lasts_s: float = LEASE_S) -> Lease | None:
        """
        Return the lease on *name* when nobody holds it.

        The kernel takes a lease from a process that dies. One that was stopped keeps its lock, so the file of a lease
        that should have ended is put aside; what its holder writes later is fenced off by the generation.
        """
        self._make_folder()
        path = self._folder / f"{name}.lease"
        for _ in range(2):
            lock = FileLock(path, timeout=0, mode=0o600, thread_local=False)
            try:
                lock.acquire()
                # As if it had begun earlier when it is to end earlier.
                began = time.time() - max(0.0, LEASE_S - lasts_s)
                os.utime(path, (began, began))
            except Timeout:
                if not self._end_overdue_lease(path):
                    return None
            except FileNotFoundError:  # swept away just now
                lock.release()
            except IsADirectoryError:
                _put_aside(path)
            else:
                return _FileLease(lock)
        return None

    def count(self, name: str, *, made: int = 0, saved: int = 0) -> None:
        """Add to the counts under *name*; they end 30 days after the last change."""
        self._make_folder()
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(self._folder / f"{name}.count", flags, 0o600)
        try:
            _lock_shortly(descriptor)
            before = _counts_in(descriptor)
            os.pwrite(descriptor, _COUNTS.pack((before.made or 0) + made, (before.saved or 0) + saved), 0)
            ends_at = time.time() + COUNTS_TTL_S - _SWEEP_AFTER_S
            os.utime(descriptor, (ends_at, ends_at))
        finally:
            os.close(descriptor)

    def counts(self, name: str) -> Counts:
        """Return the counts under *name*."""
        try:
            descriptor = os.open(self._folder / f"{name}.count", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return Counts(0, 0)
        try:
            return _counts_in(descriptor)
        finally:
            os.close(descriptor)

    def own_key(self) -> bytes:
        """
        Return a random key that lies beside the entries, for clients that have nothing lasting to seal by.

        Whoever may read the folder may read the key: it keeps entries from whoever gets hold of them alone.
        """
        self._make_folder()
        path = self._folder / _KEY_NAME
        with self._lock():
            if (key := self._read_key(path)) is None:
                key = os.urandom(_KEY_BYTES)
                self._replace(path, key, time.time())
        return key

    def _read_key(self, path: Path) -> bytes | None:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            status = os.fstat(descriptor)
            private = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077
            key = os.read(descriptor, _KEY_BYTES + 1) if private else b""
        finally:
            os.close(descriptor)
        return key if len(key) == _KEY_BYTES else None

    def _end_overdue_lease(self, path: Path) -> bool:
        with self._lock():
            began = _modified_at(path)
            if began is None or time.time() - began <= LEASE_S:
                return False
            # Somebody who took the free lock just now has yet to stamp it.
            time.sleep(0.05)
            if _modified_at(path) != began:
                return False
            path.unlink(missing_ok=True)
            return True

    def _lock(self) -> FileLock:
        return FileLock(
            self._folder / _LOCK_NAME, timeout=_LOCK_TIMEOUT_S, mode=0o600, thread_local=False, poll_interval=0.005
        )

    def _entry(self, name: str) -> Path:
        return self._folder / f"{name}.entry"

    def _replace(self, path: Path, content: bytes, ends_at: float) -> None:
        descriptor, temporary = tempfile.mkstemp(dir=self._folder, prefix="new-")
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
            os.utime(temporary, (ends_at, ends_at))
            try:
                os.replace(temporary, path)
            except IsADirectoryError:
                _put_aside(path)
                os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise

    def _sweep(self) -> None:
        """Delete files whose end is a day past, once an hour, without keeping a task waiting for long."""
        stamp, now = self._folder / "swept", time.time()
        if (swept_at := _modified_at(stamp)) is not None and 0 <= now - swept_at < _SWEEP_EVERY_S:
            return
        stop_at = time.monotonic() + _SWEEP_TIME_S
        with os.scandir(self._folder) as files:
            for file in files:
                if time.monotonic() > stop_at:
                    return  # the next write goes on
                with suppress(OSError):
                    ended = file.is_file(follow_symlinks=False) and now - file.stat().st_mtime > _SWEEP_AFTER_S
                    if ended and file.name not in (_LOCK_NAME, _KEY_NAME):
                        os.unlink(file.path)
        stamp.touch(mode=0o600)


class _FileLease:
    def __init__(self, lock: FileLock) -> None:
        self._lock = lock

    def release(self) -> None:
        self._lock.release()


def _check_writable(folder: Path) -> None:
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{folder} is not writable")


def _put_aside(path: Path) -> None:
    path.rename(path.with_name(f"{path.name}-aside-{os.urandom(4).hex()}"))


def _modified_at(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _lock_shortly(descriptor: int) -> None:
    """Lock a file, or raise: whoever holds it may have been stopped, and counting is worth no wait."""
    tries_end_at = time.monotonic() + _COUNT_TIMEOUT_S
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > tries_end_at:
                raise
        time.sleep(random.uniform(0.0005, 0.002))


def _counts_in(descriptor: int) -> Counts:
    content = os.pread(descriptor, _COUNTS.size, 0)
    made, saved = _COUNTS.unpack(content) if len(content) == _COUNTS.size else (0, 0)
    return Counts(min(made, 2**53), min(saved, 2**53))
