"""One run of a transfer: where it begins, what it hands on, and how it ends."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote_plus

from airflow_oauth_provider.exceptions import ApiRefusedError, TransientError
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.http.pace import Stopped
from airflow_oauth_provider.pull.page import BATCH, RAW_BATCH
from airflow_oauth_provider.pull.plan import Position
from airflow_oauth_provider.pull.progress import Progress
from airflow_oauth_provider.pull.request import PageRequest
from airflow_oauth_provider.transfers.checkpoint import Checkpoint
from airflow_oauth_provider.transfers.interval import interval_params, lookback_of
from airflow_oauth_provider.transfers.watermark import Watermark

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow.providers.common.compat.sdk import Context

    from airflow_oauth_provider.transfers.base import OAuth2TransferOperator
    from airflow_oauth_provider.transfers.sink import Sink


_SECRET_NAME = re.compile(
    r"(api|access|auth|client|subscription)[-_]?key$|^key$|token|secret|passw|credential|signature", re.IGNORECASE
)


class TransferRun:
    """
    A try of a task.

    :param task: whose parameters hold
    :param context: of the task instance
    """

    def __init__(self, task: OAuth2TransferOperator, context: Context) -> None:
        self._task = task
        self._context = context
        self._killed = False
        self._progress: Progress | None = None
        self._hook = OAuth2Hook(oauth2_conn_id=task.oauth2_conn_id)
        self._watermark = Watermark(context, task.watermark, task.outlets, task.log) if task.watermark else None
        self._request = self._first_request()
        self._checkpoint = self._open_checkpoint()

    def __call__(self) -> dict[str, Any]:
        """Pull everything, and return what came where."""
        sink = self._task.open_sink(self._context, self._checkpoint)
        try:
            try:
                progress = self._pull(sink)
            except ApiRefusedError as error:
                if not self._refused_to_go_on(sink):
                    raise
                self._task.log.warning("%s The API does not let us go on there: this try starts over.", error)
                sink.abort()
                self._checkpoint.start_over()
                sink = self._task.open_sink(self._context, self._checkpoint)
                progress = self._pull(sink)
            result = sink.finish(progress.summary())
        except Stopped:
            self._abort(sink)
            raise TransientError(
                "The task was ended from outside; what it had not finished is not in the destination."
            ) from None
        except BaseException:
            self._abort(sink)
            raise
        if self._watermark is not None:
            if progress.records and self._checkpoint.watermark is None:
                self._task.log.warning(
                    "watermark: no record has %r, so the next run pulls everything.", self._task.watermark
                )
            self._watermark.advance(self._checkpoint.watermark)
        self._checkpoint.clear()
        return {**result, "resumed": self._checkpoint.resumed is not None}

    def stop(self) -> None:
        """Send nothing more; the pull ends at its next step."""
        self._killed = True
        if self._progress is not None:
            self._progress.pace.stop()

    # Where it begins --------------------------------------------------------------------------------------------------

    def _first_request(self) -> PageRequest:
        task = self._task
        request = PageRequest(str(task.method).upper(), task.endpoint, task.query, task.json, task.data, task.headers)
        if task.interval_params:
            lookback = lookback_of(task.interval_lookback)
            edges = interval_params(self._context, task.interval_params, task.interval_format, lookback)
            return request.with_params(**edges)
        if self._watermark is not None and self._watermark.value is not None:
            return request.with_params(**{str(task.watermark_param): self._watermark.shown()})
        return request

    def _open_checkpoint(self) -> Checkpoint:
        task, request, session = self._task, self._request, self._hook.get_conn()
        parts = [request.method, request.endpoint, request.params, request.json, request.data, request.headers]
        hidden = _hidden_values(request)
        what = [task.oauth2_conn_id, parts, task.plan_parameters(), task.watermark, task.destination_identity()]
        return Checkpoint(
            self._context,
            request,
            digest=_digest(what),
            resume=task.resume,
            # Which tokens there are is known when it is written.
            safe_to_store=lambda text: session.redactor()(text) == text and not _holds(text, hidden),
            log=task.log,
        )

    # The pull ---------------------------------------------------------------------------------------------------------

    def _pull(self, sink: Sink) -> Progress:
        checkpoint = self._checkpoint
        start, former = checkpoint.position(), checkpoint.state_of_former_try
        progress = Progress(
            self._task.log,
            pages=start.number - 1 if start and not sink.complete else former.get("pages", 0),
            records=checkpoint.records,
            seconds=former.get("seconds", 0.0),
        )
        self._progress = checkpoint.progress = progress
        if self._watermark is not None and checkpoint.watermark is None:
            checkpoint.watermark = self._watermark.value
        self._end_if_killed()
        if not sink.complete:
            self._hand_on(start, progress, sink)
            self._end_if_killed()
        return progress

    def _hand_on(self, start: Position | None, progress: Progress, sink: Sink) -> None:
        checkpoint = self._checkpoint
        before = skip = 0
        if start is not None:
            before, skip = start.records, start.skip
            self._task.log.info("Goes on in page %d, behind %d records.", start.number, checkpoint.records)
        with closing(self._pages(start, progress)) as pages:
            for page in pages:
                checkpoint.at_page(Position(page.request, page.number, before), only=not sink.saves_on_the_way)
                before += skip
                skip = 0
                for batch in self._batches(page.records):
                    if self._watermark is not None:
                        checkpoint.watermark = self._watermark.latest(batch, checkpoint.watermark)
                    sink.write(batch)
                    before += len(batch)
                sink.end_page()

    def _pages(self, start: Position | None, progress: Progress) -> Any:
        request = self._request
        return self._hook.pages(
            request.endpoint,
            method=request.method,
            params=request.params,
            json=request.json,
            data=request.data,
            headers=request.headers,
            idempotent=self._task.idempotent,
            retry_args=self._task.retry_args,
            start=start,
            progress=progress,
            **self._task.plan_parameters(),
        )

    def _batches(self, records: Any) -> Iterator[list[Any]]:
        reading, size = iter(records), RAW_BATCH if self._task.response_format == "raw" else BATCH
        while batch := list(islice(reading, size)):
            self._end_if_killed()
            yield batch

    # Its end ----------------------------------------------------------------------------------------------------------

    def _end_if_killed(self) -> None:
        if self._killed:
            raise Stopped

    def _refused_to_go_on(self, sink: Sink) -> bool:
        """Whether the first request of a resumed pull was refused, as that of a cursor which has expired."""
        start = self._checkpoint.position()
        came = self._progress is not None and start is not None and self._progress.pages >= start.number
        return self._checkpoint.resumed is not None and not came and sink.can_start_over

    def _abort(self, sink: Sink) -> None:
        try:
            sink.abort()
        except Exception:
            self._task.log.exception("The destination was not left in order; the error that led there follows.")


def _hidden_values(request: PageRequest) -> list[str]:
    """Return what a Dag author sends under a name as that of a secret: some APIs repeat the query in their links."""
    params, query = request.params, (request.endpoint or "").partition("?")[2]
    if isinstance(params, str):
        query += f"&{params}"
    pairs = [*params.items()] if isinstance(params, Mapping) else [*params] if isinstance(params, list | tuple) else []
    # What is no pair is for the pull to complain of.
    pairs = [pair for pair in pairs if isinstance(pair, list | tuple) and len(pair) == 2] + parse_qsl(query)
    values = [str(value) for name, value in pairs if _SECRET_NAME.search(str(name))]
    return [value for value in values if len(value) >= 16 or (len(value) >= 8 and re.search(r"\d", value))]


def _holds(text: str, values: list[str]) -> bool:
    """Whether JSON holds one of the values, as it is or encoded for a URL."""
    forms = (text, unquote_plus(text))
    return any(value in form or json.dumps(value)[1:-1] in form for value in values for form in forms)


def _digest(what: Any) -> str:
    def named(value: Callable[..., Any]) -> str:
        # A function has no value that stays; a paginator's repr is its value.
        return getattr(value, "__qualname__", None) or repr(value)

    return hashlib.sha256(json.dumps(what, default=named).encode()).hexdigest()
