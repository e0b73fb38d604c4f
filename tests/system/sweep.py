"""Looks for secrets everywhere in an AIRFLOW_HOME: every file, and every row of every table."""

from __future__ import annotations

import base64
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path


def forms(secret: str) -> set[bytes]:
    """Return the forms a secret may take in a log or a table: raw, escaped, URL-encoded, base64, hex."""
    raw = secret.encode()
    quoted = {quote(secret, safe=""), quote_plus(secret), quote(secret)}
    escaped = {json.dumps(secret)[1:-1], secret.replace("/", "\\/")}
    found = {text.encode() for text in quoted | escaped} | {raw, raw.hex().encode()}
    # As a part of a longer text (Basic credentials), it is encoded from any of three offsets.
    for text in [raw, *(one.encode() for one in quoted)]:
        for offset in range(3):
            found |= _inside_base64(text, offset)
    return found


def _inside_base64(text: bytes, offset: int) -> set[bytes]:
    """Return what of ``text`` is the same in base64 whatever stands ``offset`` bytes before and after it."""
    padded = b"\0" * offset + text
    first = -(-offset * 4 // 3)
    last = len(padded) // 3 * 4
    return {encode(padded)[first:last] for encode in (base64.b64encode, base64.urlsafe_b64encode)}


def search(home: Path, secrets: Mapping[str, str], passing_over: Mapping[str, bytes] | None = None) -> list[str]:
    """
    Return where any of the secrets lies in clear.

    :param home: the folder to search, ``airflow.db`` in it included row by row
    :param secrets: secret by the name under which a finding is reported
    :param passing_over: by file, what marks a line that is not searched
    """
    needles = {name: forms(secret) for name, secret in secrets.items()}
    places: Iterable[tuple[str, bytes]] = [*files(home, passing_over or {}), *rows(home / "airflow.db")]
    return [
        f"{name} in {place}"
        for place, content in places
        for name, wanted in needles.items()
        if any(form in content for form in wanted)
    ]


def files(home: Path, passing_over: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield every file, the database with its journal and freed pages among them."""
    for path in sorted(home.rglob("*")):
        if not path.is_file():
            continue
        name = str(path.relative_to(home))
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue  # a journal of the database: Airflow is at work
        if mark := passing_over.get(name):
            content = b"\n".join(line for line in content.splitlines() if mark not in line)
        yield name, content


def rows(database: Path) -> Iterator[tuple[str, bytes]]:
    """Yield every row of every table; numbers as text, blobs as they are."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=60)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            for number, row in enumerate(connection.execute(f'SELECT * FROM "{table}"')):
                yield f"table {table}, row {number}", b"\n".join(map(_as_bytes, row))


def _as_bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
