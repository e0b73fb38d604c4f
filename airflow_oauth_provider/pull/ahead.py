"""Several requests in flight, their answers in order."""

from __future__ import annotations

import contextvars
import logging
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Generic, TypeVar

from airflow_oauth_provider.pull.counted import Counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_oauth_provider.http.pace import Pace
    from airflow_oauth_provider.pull.paginator import Paginator
    from airflow_oauth_provider.pull.request import PageRequest

log = logging.getLogger(__name__)

# A page that comes within this leaves its connection fit for use.
_GRACE_S = 2.0

T = TypeVar("T")


class Ahead(Generic[T]):
    """
    Fetches pages before they are asked for, where they have addresses.

    It never changes which pages come: an answer that leads elsewhere than expected ends the foresight.

    :param fetch: brings one page; called in threads
    :param paginator: tells the requests that will come
    :param concurrency: requests in flight; as many answers are in memory at most
    :param pace: is stopped at the end when threads were at work, so that none sleeps on
    :param dispose: gives back what an answer holds that nobody wants any more
    """

    def __init__(
        self,
        fetch: Callable[[PageRequest], T],
        paginator: Paginator,
        concurrency: int,
        pace: Pace,
        *,
        dispose: Callable[[T], None] = lambda _: None,
    ) -> None:
        self._fetch = fetch
        self._paginator = paginator if isinstance(paginator, Counted) and concurrency > 1 else None
        self._concurrency = concurrency
        self._pace = pace
        self._dispose = dispose
        self._threads: ThreadPoolExecutor | None = None
        self._waiting: deque[tuple[PageRequest, Future[T]]] = deque()

    def get(self, request: PageRequest) -> T:
        """Return the answer to *request*, which may be on its way already."""
        if not self._waiting:
            return self._fetch(request)
        if self._waiting[0][0] == request:
            return self._waiting.popleft()[1].result()
        log.info("A page was not as long as asked for: the next ones are asked for one after the other.")
        self._paginator = None
        self._forget()
        return self._fetch(request)

    def look(self, following: PageRequest, pages: int | None) -> None:
        """
        Send what will be asked for next.

        :param following: the next request
        :param pages: how many pages there are from it on, None when nobody knows
        """
        if self._paginator is None:
            return
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._concurrency, thread_name_prefix="oauth2-pages")
        room = self._concurrency if pages is None else min(self._concurrency, pages)
        while len(self._waiting) < room and not any(_failed(future) for _, future in self._waiting):
            request = self._paginator.shifted(following, len(self._waiting))
            # In the caller's context, for the trace's sake.
            work = contextvars.copy_context()
            self._waiting.append((request, self._threads.submit(work.run, self._fetch, request)))

    def close(self) -> None:
        """Send nothing more, and wait for what is on its way; for what drips, not for long."""
        if self._threads is None:
            return
        self._pace.stop()
        coming = [future for _, future in self._waiting]
        self._forget()
        self._threads.shutdown(wait=False, cancel_futures=True)
        wait(coming, timeout=_GRACE_S)
        self._pace.break_off()
        self._threads.shutdown(wait=True)

    def _forget(self) -> None:
        for _, future in self._waiting:
            future.cancel()
            future.add_done_callback(self._give_back)
        self._waiting.clear()

    def _give_back(self, future: Future[T]) -> None:
        if not future.cancelled() and future.exception() is None:
            self._dispose(future.result())


def _failed(future: Future[T]) -> bool:
    return future.done() and future.exception() is not None
