from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.http.body import Body, files_of


class Unseekable(io.BytesIO):
    def seek(self, *_: Any) -> int:
        raise io.UnsupportedOperation


def lines() -> Iterator[bytes]:
    yield b"a"


@pytest.mark.parametrize("data", [None, b"bytes", "text", {"a": 1}, [("a", "1")], io.BytesIO(b"x"), io.StringIO("x")])
def test_what_can_be_read_again_is_repeatable(data: Any) -> None:
    assert Body(data, None).repeatable


@pytest.mark.parametrize(
    "data", [lines(), iter([b"a"]), Unseekable(b"x"), type("Reader", (), {"read": lambda *_: b""})()]
)
def test_what_can_be_read_once_is_not_repeatable(data: Any) -> None:
    assert not Body(data, None).repeatable


def test_a_pipe_is_not_repeatable() -> None:
    import os

    reading, writing = os.pipe()
    os.close(writing)
    with open(reading, "rb") as pipe:
        assert not Body(pipe, None).repeatable


def test_a_file_is_set_back_to_where_it_stood(tmp_path: Path) -> None:
    path = tmp_path / "body"
    path.write_bytes(b"skipped sent")
    with path.open("rb") as file:
        file.seek(8)
        body = Body(file, None)
        assert file.read() == b"sent"
        body.rewind()
        assert file.read() == b"sent"


@pytest.mark.parametrize("shape", ["dict", "pairs", "tuples"])
def test_files_of_a_form_are_set_back_too(shape: str) -> None:
    file, other = io.BytesIO(b"one"), io.BytesIO(b"two")
    files: Any = {"a": file, "b": ("name", other, "text/plain")}
    if shape == "pairs":
        files = list(files.items())
    elif shape == "tuples":
        files = tuple(files.items())
    body = Body(None, files)
    assert body.repeatable
    assert (file.read(), other.read()) == (b"one", b"two")
    body.rewind()
    assert (file.read(), other.read()) == (b"one", b"two")


def test_a_form_with_a_file_that_can_be_read_once_is_not_repeatable() -> None:
    assert not Body({"a": "b"}, {"file": ("name", Unseekable(b"x"))}).repeatable
    assert Body({"a": "b"}, {"file": ("name", b"bytes")}).repeatable


def test_files_that_come_from_an_iterator_are_all_sent() -> None:
    pairs = [("a", b"one"), ("b", ("name", b"two"))]
    for given in (iter(pairs), (pair for pair in pairs), zip(*zip(*pairs, strict=True), strict=True), tuple(pairs)):
        assert files_of(given) == pairs
    assert files_of({"a": b"one"}) == {"a": b"one"}
    assert files_of(None) is None


@pytest.mark.parametrize("files", ["ab", 5, [1], [("file",)], [("file", b"x", "text/plain")]], ids=repr)
def test_what_is_no_list_of_files_is_said_before_anything_is_sent(files: Any) -> None:
    with pytest.raises(SettingsError, match="files is neither"):
        files_of(files)
