"""Ways to spoil a file of the token store."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = 65534


def truncate(entry: Path) -> None:
    entry.write_bytes(entry.read_bytes()[:-5])


def empty(entry: Path) -> None:
    entry.write_bytes(b"")


def cut_the_header(entry: Path) -> None:
    entry.write_bytes(entry.read_bytes()[:5])


def flip_a_bit(entry: Path) -> None:
    content = bytearray(entry.read_bytes())
    content[-20] ^= 1
    entry.write_bytes(content)


def garbage(entry: Path) -> None:
    entry.write_bytes(os.urandom(300))


def text(entry: Path) -> None:
    entry.write_text('{"access_token": "planted-token", "token_type": "Bearer", "expires_in": 3600}')


def other_version(entry: Path) -> None:
    content = entry.read_bytes()
    entry.write_bytes(content[:7] + b"\x63" + content[8:])


def huge_generation(entry: Path) -> None:
    content = entry.read_bytes()
    entry.write_bytes(content[:8] + b"\xff" * 8 + content[16:])


def oversize(entry: Path) -> None:
    entry.write_bytes(entry.read_bytes() + b"\0" * 100_000)


def folder(entry: Path) -> None:
    entry.unlink()
    entry.mkdir()


def full_folder(entry: Path) -> None:
    folder(entry)
    (entry / "file").write_text("x")


def fifo(entry: Path) -> None:
    entry.unlink()
    os.mkfifo(entry)


def symlink(entry: Path) -> None:
    entry.rename(entry.with_name("moved"))
    entry.symlink_to(entry.with_name("moved"))


def endless_symlink(entry: Path) -> None:
    entry.unlink()
    entry.symlink_to("/dev/zero")


def wrong_owner(entry: Path) -> None:
    os.chown(entry, NOBODY, NOBODY)
