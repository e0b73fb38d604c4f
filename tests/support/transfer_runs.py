"""Tries of a transfer into a list; and what Airflow 3.3 keeps between them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from airflow_oauth_provider.pull.plan import Position
from airflow_oauth_provider.pull.progress import Progress
from airflow_oauth_provider.pull.request import PageRequest
from airflow_oauth_provider.transfers.base import OAuth2TransferOperator
from airflow_oauth_provider.transfers.checkpoint import Checkpoint

LOGGER = logging.getLogger("made_up_transfer")
BEGUN = PageRequest("GET", "orders", {"sort": "id", "key": "made-up-key"})
SINK = {"parts": 3}


class StateStore(dict[str, str]):
    """
    Texts by key.

    :param events: takes what was done
    """

    def __init__(self, events: list[Any] | None = None, name: str = "store") -> None:
        super().__init__()
        self._events = events if events is not None else []
        self._name = name

    def set(self, key: str, value: str) -> None:
        self._events.append(f"{self._name} set")
        self[key] = value

    def delete(self, key: str) -> None:
        self._events.append(f"{self._name} deleted")
        self.pop(key, None)


def try_of(number: int = 1, *, max_tries: int = 3, clear_number: int | None = 0, **context: Any) -> Any:
    """Return the context of that try of a task instance."""
    named = {"dag_id": "shop", "run_id": "run-1", "task_id": "orders", "map_index": -1}
    identity = {name: context.pop(name, value) for name, value in named.items()}
    ti = SimpleNamespace(**identity, try_number=number, max_tries=max_tries)
    return {"ti": ti, "dag_run": SimpleNamespace(clear_number=clear_number), **context}


def page(number: int, records: int) -> Position:
    """Return the place of a page that has so many records before it."""
    return Position(BEGUN.with_params(page=number), number, records)


def checkpoint(
    store: Any,
    number: int = 1,
    *,
    digest: str = "same",
    resume: bool = True,
    safe: Callable[[str], bool] = lambda _: True,
    **context: Any,
) -> Checkpoint:
    """Return the checkpoint of that try; *store* is None on Airflow before 3.3."""
    known = {"task_state_store": store} if store is not None else {}
    return Checkpoint(
        try_of(number, **known, **context), BEGUN, digest=digest, resume=resume, safe_to_store=safe, log=LOGGER
    )


def saved(records: int = 25, **options: Any) -> StateStore:
    """Return what a first try left behind that was in its third page."""
    store = StateStore()
    first = checkpoint(store, **options)
    first.progress = Progress(LOGGER, pages=2, seconds=12.5)
    for number in (1, 2, 3):
        first.at_page(page(number, (number - 1) * 10))
    first.save(records, SINK)
    return store


def raising(error: BaseException, *at: str) -> Callable[[str], None]:
    """Return what fails when one of these things is about to happen."""

    def fail(happens: str) -> None:
        if happens in at:
            raise error

    return fail


class ListSink:
    """
    Keeps what it gets; ``events`` says in which order things happened.

    :param fail: called with what is about to happen, to make it fail
    :param save_every: records behind which it saves
    """

    can_start_over = True
    saves_on_the_way = True
    complete = False

    def __init__(
        self,
        checkpoint: Checkpoint,
        events: list[Any],
        fail: Callable[[str], None] = lambda _: None,
        save_every: int | None = None,
    ) -> None:
        self.checkpoint, self.events, self._fail, self._save_every = checkpoint, events, fail, save_every
        self.records: list[Any] = []
        self.batches: list[int] = []
        self.summary: Mapping[str, Any] = {}

    def write(self, batch: list[Any]) -> None:
        self._happens("write")
        self.batches.append(len(batch))
        for record in batch:
            self.records.append(record)
            safe = self.checkpoint.records + len(self.records)
            if self._save_every and safe % self._save_every == 0:
                self.checkpoint.save(safe, {"safe": safe})

    def end_page(self) -> None:
        self._happens("end of page")

    def finish(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        self._happens("finish")
        self.summary = summary
        return {"records": summary["records"]}

    def abort(self) -> None:
        self._happens("abort")

    def _happens(self, what: str) -> None:
        self.events.append(what)
        self._fail(what)


class ListTransfer(OAuth2TransferOperator):
    """
    Pulls into :class:`ListSink`.

    :param fail: of the sink; ``open`` is about to happen, too
    """

    def __init__(
        self,
        *,
        events: list[Any] | None = None,
        fail: Callable[[str], None] = lambda _: None,
        save_every: int | None = None,
        sink_kind: type[ListSink] = ListSink,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"task_id": "orders", "oauth2_conn_id": "shop", "endpoint": "orders", **kwargs})
        self.events = events if events is not None else []
        self.fail = fail
        self.save_every = save_every
        self.sink_kind = sink_kind
        self.sinks: list[ListSink] = []

    def open_sink(self, context: Any, checkpoint: Checkpoint) -> ListSink:
        self.events.append("open")
        self.fail("open")
        self.sinks.append(self.sink_kind(checkpoint, self.events, self.fail, self.save_every))
        return self.sinks[-1]

    def destination_identity(self) -> Any:
        return "a list"
