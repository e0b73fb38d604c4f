"""A chain of pages that leads back into itself has no end."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_oauth_provider.exceptions import PaginationLoopError

if TYPE_CHECKING:
    import requests

    from airflow_oauth_provider.pull.request import PageRequest

# A longer circle shows by the mark, which moves ever more seldom (Brent's algorithm): memory does not grow with pages.
_REMEMBERED = 20_000


class Repeats:
    """Remembers what was asked, and what came last."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._order: deque[int] = deque()
        self._mark: int | None = None
        self._asked = 0
        self._last: int | None = None

    def ask(self, request: PageRequest) -> None:
        """
        Remember a request before it is sent.

        :raises PaginationLoopError: it has been sent before
        """
        key = _key(request.method, request.endpoint, request.params, request.json, request.data, request.headers)
        if key in self._seen or key == self._mark:
            raise PaginationLoopError(
                "this page came before: the API leads from page to page in a circle. Check pagination, or set "
                "max_pages."
            )
        self._asked += 1
        if self._asked & (self._asked - 1) == 0:
            self._mark = key
        self._remember(key)

    def answered(self, request: PageRequest, response: requests.Response) -> None:
        """Remember under which URL the page came: links name it so."""
        sent = (response.history or [response])[0].request.url
        if sent != request.endpoint and request.json is None and request.data is None:
            self._remember(_key(request.method, sent, None, None, None, request.headers))

    def came(self, records: Any) -> None:
        """
        Remember what is on a page of a kind that ends with an empty one.

        :param records: all of them, or of a stream what stands for them
        :raises PaginationLoopError: the page before was the same
        """
        key = _key(records) if records else None
        if key is not None and key == self._last:
            raise PaginationLoopError(
                "it is the same as the page before: the API serves it for ever. Check the names of the paging "
                "parameters, or set max_pages."
            )
        self._last = key

    def _remember(self, key: int) -> None:
        if key not in self._seen:
            self._seen.add(key)
            self._order.append(key)
        if len(self._order) > _REMEMBERED:
            self._seen.discard(self._order.popleft())


def _key(*parts: Any) -> int:
    try:
        return hash(msgspec.json.encode(parts))
    except (TypeError, ValueError, msgspec.MsgspecError):
        return hash(repr(parts))
