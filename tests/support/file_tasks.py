"""Tries of a task that writes files, stores to write to, and faults of those stores."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]

from airflow_oauth_provider.pull.request import PageRequest
from airflow_oauth_provider.transfers.checkpoint import Checkpoint
from airflow_oauth_provider.transfers.files.store import Store
from airflow_oauth_provider.transfers.object_storage import OAuth2HttpToObjectStorageOperator
from tests.support.transfer_runs import StateStore, try_of

try:
    from airflow.sdk.io import attach as attach  # noqa: PLC0414  # for tests, too
except ImportError:  # Airflow 2.11
    from airflow.io.store import attach  # type: ignore[import-not-found,no-redef,unused-ignore]

log = logging.getLogger(__name__)


class KilledError(BaseException):
    """The process ends here: nobody cleans up."""


class FileTask:
    """
    One task instance.

    :param keeps: whether this Airflow keeps checkpoints
    :param parameters: of the operator
    """

    def __init__(self, destination: str, *, keeps: bool = True, task_id: str = "orders", **parameters: Any) -> None:
        self.operator = OAuth2HttpToObjectStorageOperator(task_id=task_id, destination=destination, **parameters)
        self.kept = StateStore() if keeps else None
        self.number = 0
        self.checkpoint: Any = None
        self.sink: Any = None

    def open(self) -> None:
        """Begin the next try."""
        self.number += 1
        context = try_of(self.number, max_tries=9, task_id=self.operator.task_id, task_state_store=self.kept)
        self.checkpoint = Checkpoint(
            context, PageRequest(), digest="same", resume=True, safe_to_store=lambda _: True, log=log
        )
        self.sink = self.operator.open_sink(context, self.checkpoint)

    def attempt(self, records: Sequence[Any], *, batch: int = 250, pages: int = 1) -> dict[str, Any]:
        """Do what the operator does in a try; the pages of raw bodies are lists of their pieces."""
        self.open()
        try:
            if not self.sink.complete:
                for start in range(self.checkpoint.records, len(records), batch):
                    self.sink.write(list(records[start : start + batch]))
                self.sink.end_page()
            result: dict[str, Any] = self.sink.finish({"pages": pages, "records": len(records), "seconds": 0.5})
        except KilledError:
            raise
        except BaseException:
            self.sink.abort()
            raise
        self.checkpoint.clear()
        return result


def no_space() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Faults:
    """
    Every step that a store takes; and one at which, or from which on, it fails.

    A step is named before and after it was done.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[str] = []
        self._at: int | None = None
        self._forever = False
        self._error: Callable[[], BaseException] = no_space
        for owner, names in (
            (Store, ("write", "move", "delete", "make_folder", "remove_folder")),
            (MemoryFileSystem, ("cp_file", "rm_file")),
        ):
            for name in names:
                monkeypatch.setattr(owner, name, self._watched(name, getattr(owner, name)))
        monkeypatch.setattr(Store, "open", self._opening(Store.open))

    @contextmanager
    def failing(self, at: int, error: Callable[[], BaseException], *, forever: bool = False) -> Iterator[None]:
        self.steps.clear()
        self._at, self._error, self._forever = at, error, forever
        try:
            yield
        finally:
            self._at = None

    def _step(self, name: str) -> None:
        self.steps.append(name)
        now = len(self.steps) - 1
        if self._at is not None and (now == self._at or (self._forever and now > self._at)):
            raise self._error()

    def _watched(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def watched(owner: Any, path: str, *args: Any, **kwargs: Any) -> Any:
            what = f"{name} {path.rpartition('/')[2]}"
            self._step(f"before {what}")
            result = method(owner, path, *args, **kwargs)
            self._step(f"after {what}")
            return result

        return watched

    def _opening(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def watched(store: Store, path: str) -> Any:
            self._step("before open")
            return _Handle(method(store, path), self._step)

        return watched


class _Handle:
    def __init__(self, handle: Any, step: Callable[[str], None]) -> None:
        self._handle = handle
        self._step = step

    def write(self, data: bytes) -> Any:
        self._step("before write to a part")
        return self._handle.write(data)

    def close(self) -> None:
        try:
            self._step("before close of a part")
        finally:
            self._handle.close()


class Place:
    """
    A folder in a store, as somebody else sees it.

    :param url: with a slash at its end
    """

    def __init__(self, url: str, fs: Any, path: str) -> None:
        self.url = url
        self._fs = fs
        self._path = path

    def put(self, name: str, content: bytes) -> None:
        self._fs.makedirs(f"{self._path}/{name}".rpartition("/")[0], exist_ok=True)
        self._fs.pipe_file(f"{self._path}/{name}", content)

    def get(self, name: str) -> bytes:
        content: bytes = self._fs.cat_file(f"{self._path}/{name}")
        return content

    def files(self) -> dict[str, bytes]:
        """Return everything below it."""
        found = self._fs.find(self._path)
        return {path.removeprefix(f"{self._path}/"): self._fs.cat_file(path) for path in found}

    def folders(self) -> set[str]:
        """Return the folders in it."""
        if not self._fs.exists(self._path):
            return set()
        entries = self._fs.ls(self._path, detail=True)
        return {entry["name"].rpartition("/")[2] for entry in entries if entry["type"] == "directory"}

    def empty(self) -> None:
        if self._fs.exists(self._path):
            self._fs.rm(self._path, recursive=True)


def memory_place(name: str, conn_id: str | None = None) -> Place:
    """Return a place in a store that has no folders and no renames, as buckets have none."""
    fs = MemoryFileSystem()
    attach("memory", conn_id, fs=fs)
    place = Place(f"memory://{name}/", fs, f"/{name}")
    place.empty()
    return place


def local_place(path: str) -> Place:
    """Return a place on this machine."""
    return Place(f"file://{path}/", LocalFileSystem(), path)
