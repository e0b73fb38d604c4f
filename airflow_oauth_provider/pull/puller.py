"""Pages, one after the other or several at once, until the API, a limit or an error ends them."""

from __future__ import annotations

import logging
import time
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_oauth_provider.exceptions import OAuth2Error, PaginationLoopError, ResponseFormatError
from airflow_oauth_provider.http.received import ReceivedBody
from airflow_oauth_provider.masking import escape_control_characters
from airflow_oauth_provider.pull.ahead import Ahead
from airflow_oauth_provider.pull.counted import Counted
from airflow_oauth_provider.pull.format import ACCEPT
from airflow_oauth_provider.pull.page import RAW_BATCH, Page, Stream
from airflow_oauth_provider.pull.paginator import PageFacts
from airflow_oauth_provider.pull.plan import Position
from airflow_oauth_provider.pull.records import Reader
from airflow_oauth_provider.pull.repeats import Repeats

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import requests

    from airflow_oauth_provider.http.session import ApiSession
    from airflow_oauth_provider.pull.plan import PullPlan
    from airflow_oauth_provider.pull.progress import Progress
    from airflow_oauth_provider.pull.records import Content
    from airflow_oauth_provider.pull.request import PageRequest

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Came:
    """An answer that was received to its end, and what is in it."""

    response: requests.Response
    body: ReceivedBody
    content: Content


class Puller:
    """
    A pull under way.

    :param session: the API
    :param plan: how to pull
    :param request: for the first page, before the paginator adds its parameters
    :param progress: counts it
    :param start: where a former try stopped
    :param idempotent: sending a request twice does no harm; by default what RFC 9110 says of the method
    :param retry_args: for ``tenacity.Retrying``
    """

    def __init__(
        self,
        session: ApiSession,
        plan: PullPlan,
        request: PageRequest,
        *,
        progress: Progress,
        start: Position | None = None,
        idempotent: bool | None = None,
        retry_args: Mapping[str, Any] | None = None,
    ) -> None:
        self._session = session
        self._plan = plan
        self._begun = request
        self._progress = progress
        self._position = start or Position(plan.paginator.first(request))
        self._idempotent = idempotent
        self._retry_args = retry_args
        self._reader = Reader(plan.format, plan.paginator.document_paths())
        self._repeats = Repeats()
        self._broken = False
        self._ahead = Ahead(
            self._fetch, plan.paginator, plan.concurrency, progress.pace, dispose=lambda came: came.body.close()
        )

    def pages(self) -> Iterator[Page]:
        """
        Yield page after page.

        :raises OAuth2Error: why there is no next one
        """
        ended = "Broken off"
        try:
            yield from self._pages()
            ended = "Done"
        except GeneratorExit:
            # What a stream raises goes to whoever reads it, not through here.
            ended = "Broken off" if self._broken else "Left"
            raise
        finally:
            self._progress.say(ended)

    def _pages(self) -> Iterator[Page]:
        with closing(self._ahead):
            while True:
                page, came = self._next_page()
                with closing(came.body):
                    yield from self._delivered(page, came)
                if page.next is None:
                    return
                if self._at_limit():
                    log.info("The pull ends at its max_pages or max_records; the API has more.")
                    return
                self._position = Position(page.next, page.number + 1, self._position.records)

    def _next_page(self) -> tuple[Page, _Came]:
        request, number, began = self._position.request, self._position.number, time.monotonic()
        try:
            self._repeats.ask(request)
            came = self._ahead.get(request)
        except (ResponseFormatError, PaginationLoopError) as error:
            problem = self._explained(error)
        except OAuth2Error:
            log.warning("Page %s did not come, behind %s records.", f"{number:,}", f"{self._position.records:,}")
            raise
        else:
            self._repeats.answered(request, came.response)
            self._progress.page_came(came.body.size, time.monotonic() - began)
            self._session.telemetry.count("pages")
            return Page(number, came.content.records, came.response, request), came
        raise problem

    def _delivered(self, page: Page, came: _Came) -> Iterator[Page]:
        """Yield the page, and find out what is behind it: before, or when a stream has been read."""
        everything, skip, left = page.records, self._position.skip, self._records_left()
        if isinstance(everything, list):
            page.records = everything[skip:left] if skip or left is not None else everything
            stands_for: Any = everything
            self._look_behind(page, came, len(everything), everything[-1] if everything else None, stands_for)
            self._records_came(len(page.records))
            yield page
            return
        records, last = iter(everything), None
        for last in islice(records, skip):  # noqa: B007  # the one before those that come
            pass
        wanted = records if left is None else islice(records, max(left - skip, 0))
        if self._plan.format.name == "raw":
            # Pieces are no records, and yet a reason to say how far the pull is.
            page.records = stream = Stream(wanted, lambda _: self._progress.records_came(0), self._explained, RAW_BATCH)
        else:
            page.records = stream = Stream(wanted, self._records_came, self._explained)
        yield page
        stream.pass_by()
        count, last = skip + stream.count, stream.last if stream.count else last
        self._look_behind(page, came, count, last, [count, stream.first, last] if count else None)

    def _records_came(self, count: int) -> None:
        self._progress.records_came(count)
        self._session.telemetry.count("records", count)

    def _look_behind(self, page: Page, came: _Came, count: int, last: Any, stands_for: Any) -> None:
        paginator, number = self._plan.paginator, page.number
        response = came.response
        facts = PageFacts(response.url, response.headers, count, last, came.content.find, response, self._begun)
        try:
            page.total = paginator.total(facts)
            self._progress.total = page.total or self._progress.total
            page.next = paginator.following(page.request, facts)
            if paginator.ends_empty and not paginator.knows_end(page.request, facts):
                self._repeats.came(stands_for)
        except (ResponseFormatError, PaginationLoopError) as error:
            problem = self._explained(error)
        else:
            self._position = Position(page.request, number, self._position.records + count)
            if page.next is not None and not self._at_limit():
                self._ahead.look(page.next, self._pages_behind(page, facts))
            return
        raise problem

    # Limits -----------------------------------------------------------------------------------------------------------

    def _records_left(self) -> int | None:
        most = self._plan.max_records
        return None if most is None else max(most - self._position.records, 0)

    def _at_limit(self) -> bool:
        """Whether a limit of ours ends the pull behind the page that was delivered."""
        pages, records = self._plan.max_pages, self._plan.max_records
        if pages is not None and self._position.number >= pages:
            return True
        return records is not None and self._position.records >= records

    def _pages_behind(self, page: Page, facts: PageFacts) -> int | None:
        paginator = self._plan.paginator
        counts = [paginator.pages_behind(page.request, facts)] if isinstance(paginator, Counted) else []
        if self._plan.max_pages is not None:
            counts.append(self._plan.max_pages - page.number)
        left = self._records_left()
        if left is not None and facts.count:
            counts.append(-(-left // facts.count))
        return min((count for count in counts if count is not None), default=None)

    # One request ------------------------------------------------------------------------------------------------------

    def _fetch(self, request: PageRequest) -> _Came:
        came: list[_Came] = []

        def receive(response: requests.Response) -> None:
            if response.status_code >= 300:
                raise ResponseFormatError(f"it was answered with {response.status_code}, which is no page.")
            with self._progress.pace.receiving(response):
                body = ReceivedBody(response)
            try:
                content = self._reader.read(response, body)
            except BaseException:
                body.close()
                raise
            came.append(_Came(response, body, content))

        self._session.call(
            request.method,
            request.endpoint,
            params=request.params,
            json=request.json,
            data=request.data,
            headers=self._headers(request),
            stream=True,
            receive=receive,
            pace=self._progress.pace,
            idempotent=self._idempotent,
            retry_args=self._retry_args,
            **(request.options or {}),
        )
        return came[-1]

    def _headers(self, request: PageRequest) -> dict[str, str]:
        headers = dict(request.headers or {})
        asked = {name.lower() for name in headers}
        if "accept" not in asked and self._session.headers.get("Accept") == ACCEPT["json"]:
            headers["Accept"] = ACCEPT[self._plan.format.name]
        return headers

    def _explained(self, error: OAuth2Error) -> OAuth2Error:
        """Say which page it is; what the server wrote is masked here."""
        self._broken = True
        request, redactor = self._position.request, self._session.redactor()
        url = self._session.describe(request.endpoint)[:300]
        what = redactor(escape_control_characters(f"Page {self._position.number:,} ({request.method} {url})"))
        return type(error)(f"{what}: {redactor.server_text(str(error), 600)}", status_code=error.status_code)
