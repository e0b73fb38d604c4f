"""Where the paginated pull delivers: a folder for files and a SQLite database."""

from __future__ import annotations

import gzip
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Destinations:
    """Both lie below ``home``; what is asked of them is what really arrived."""

    home: Path

    @property
    def lake(self) -> str:
        """The value of the Variable ``lake``."""
        return (self.home / "lake").as_uri()

    @property
    def warehouse(self) -> dict[str, str]:
        """The fields of the connection ``warehouse``."""
        return {"conn_type": "sqlite", "host": str(self._database)}

    @property
    def _database(self) -> Path:
        return self.home / "warehouse.db"

    def files(self) -> list[Path]:
        """Return all files of the lake, whatever they are."""
        return sorted(path for path in (self.home / "lake").rglob("*") if path.is_file())

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of the table ``sales`` by their id."""
        with closing(sqlite3.connect(self._database)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute("SELECT * FROM sales ORDER BY id")]


def records(path: Path) -> list[dict[str, Any]]:
    """Return the records of a compressed JSONL file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
