"""
Files that a connection names: read on the worker, so a connection's editor could point at any.

Only those below the folders of ``[oauth2] key_folders`` are, links resolved; whether another one exists is not told.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

from airflow_oauth_provider.exceptions import OAuth2Error, SettingsError

MAX_BYTES = 65_536
# A projected volume is replaced as a whole: what a link led to a moment ago may be gone, or be a link itself.
_TRIES, _PAUSE_S = 3, 0.05
_PASSING = frozenset({errno.ENOENT, errno.ELOOP, errno.EINVAL, errno.ESTALE})
_NO_FOLDERS = frozenset({"/", "/dev", "/proc", "/sys"})


def read_below(path: str, folders: tuple[str, ...], *, field: str, problem: type[OAuth2Error] = SettingsError) -> str:
    """
    Return the text of a file that lies below one of *folders*.

    :param field: of the connection that names it
    :param problem: the error for a file that may be read and cannot be
    :raises SettingsError: it may not be read
    """
    roots = tuple(_root(folder) for folder in folders)
    return _read(path, field, problem, roots)


def read_named(path: str, *, field: str, problem: type[OAuth2Error] = SettingsError) -> str:
    """Return the text of a file that the platform itself names; the rest is as with :func:`read_below`."""
    return _read(path, field, problem, None)


def _read(path: str, field: str, problem: type[OAuth2Error], roots: tuple[Path, ...] | None) -> str:
    shown = f"{field}: {path[:200]!r}"
    if not Path(path).is_absolute() or "\0" in path:
        # Not shown: somebody may have put there what belongs into the file.
        raise SettingsError(f"{field} is not an absolute path.")
    content = _patiently_read(path, shown, problem, roots)
    if len(content) > MAX_BYTES:
        raise problem(f"{shown} has more than {MAX_BYTES // 1024} KiB: it is something else.")
    text = None
    with suppress(UnicodeDecodeError):
        text = content.decode("utf-8-sig")
    # Not where that is handled, which holds the content.
    if text is None:
        raise problem(f"{shown} is not text: only PEM, JSON and JWTs are read.")
    return text


def _patiently_read(path: str, shown: str, problem: type[OAuth2Error], roots: tuple[Path, ...] | None) -> bytes:
    left = _TRIES
    while True:
        left -= 1
        try:
            resolved = os.path.realpath(path)
            _refuse_elsewhere(resolved, roots, shown)
            return _content(resolved, roots, shown)
        except OSError as error:
            if left and error.errno in _PASSING:
                time.sleep(_PAUSE_S)
                continue
            if isinstance(error, FileNotFoundError):
                raise problem(f"{shown} is not there on this machine.") from None
            raise problem(f"{shown} cannot be read: {(error.strerror or type(error).__name__).lower()}.") from None


def _content(resolved: str, roots: tuple[Path, ...] | None, shown: str) -> bytes:
    # NOFOLLOW and NONBLOCK: what was a file when it was resolved may be a link or a FIFO by now.
    descriptor = os.open(resolved, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        opened = Path(f"/proc/self/fd/{descriptor}")
        if opened.is_symlink():  # where there is such a thing: a folder on the way may have become a link
            _refuse_elsewhere(str(opened.readlink()).removesuffix(" (deleted)"), roots, shown)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "it is no plain file")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_BYTES + 1)
    finally:
        os.close(descriptor)


def _refuse_elsewhere(resolved: str, roots: tuple[Path, ...] | None, shown: str) -> None:
    if roots is not None and not any(Path(resolved).is_relative_to(root) for root in roots):
        raise SettingsError(
            f"{shown} is not below a folder of [oauth2] key_folders, links resolved. "
            "Ask those who run this Airflow to add its folder."
        )


def _root(folder: str) -> Path:
    resolved = os.path.realpath(folder)
    if not Path(folder).is_absolute() or resolved in _NO_FOLDERS:
        raise SettingsError(f"[oauth2] key_folders: {folder[:200]!r} is not the absolute path of a folder for keys.")
    return Path(resolved)
