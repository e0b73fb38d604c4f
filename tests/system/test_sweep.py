"""The search for secrets would find one: what it is trusted with later, it has to prove here."""

from __future__ import annotations

import base64
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest

from tests.system.sweep import search

if TYPE_CHECKING:
    from pathlib import Path

SECRET = 'made-up/secret+with "signs"=%'
LONGER = {
    "raw": f"before {SECRET} after",
    "json": json.dumps({"key": SECRET}),
    "url": f"https://api.example.com/?key={quote(SECRET, safe='')}&more=1",
    "form": f"client_secret={quote_plus(SECRET)}&scope=a",
    "hex": SECRET.encode().hex(),
    "basic 1": base64.b64encode(f"a:{SECRET}".encode()).decode(),
    "basic 2": base64.b64encode(f"ab:{SECRET}".encode()).decode(),
    "basic 3": base64.b64encode(f"abc:{SECRET}".encode()).decode(),
    "basic encoded": base64.b64encode(f"client:{quote_plus(SECRET)}".encode()).decode(),
    "urlsafe base64": base64.urlsafe_b64encode(f"xy{SECRET}yx".encode()).decode(),
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "airflow.db")) as connection, connection:
        connection.execute("CREATE TABLE xcom (number INTEGER, value BLOB)")
    return tmp_path


@pytest.mark.parametrize("form", LONGER)
def test_a_secret_is_found_in_a_file_in_every_form(home: Path, form: str) -> None:
    (home / "logs").mkdir()
    (home / "logs" / "task.log").write_text(LONGER[form], encoding="utf-8")

    assert search(home, {"secret": SECRET}) == ["secret in logs/task.log"]


@pytest.mark.parametrize("form", LONGER)
def test_a_secret_is_found_in_a_row_in_every_form(home: Path, form: str) -> None:
    with closing(sqlite3.connect(home / "airflow.db")) as connection, connection:
        connection.execute("INSERT INTO xcom VALUES (1, ?)", [LONGER[form].encode()])

    assert "secret in table xcom, row 0" in search(home, {"secret": SECRET})


def test_nothing_is_found_where_nothing_lies(home: Path) -> None:
    (home / "task.log").write_text("client_secret=***", encoding="utf-8")

    assert search(home, {"secret": SECRET}) == []


def test_only_the_marked_lines_of_the_named_file_are_passed_over(home: Path) -> None:
    for name in ("one.log", "other.log"):
        (home / name).write_text(f"{name}: marked {SECRET}", encoding="utf-8")
    (home / "both.log").write_text(f"marked {SECRET}\n{SECRET}", encoding="utf-8")

    passing_over = {"one.log": b"marked", "both.log": b"marked"}
    assert search(home, {"secret": SECRET}, passing_over) == ["secret in both.log", "secret in other.log"]
