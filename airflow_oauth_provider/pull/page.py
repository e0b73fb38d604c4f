"""A page of records, as a Dag author gets it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_oauth_provider.exceptions import OAuth2Error, ResponseFormatError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import requests

    from airflow_oauth_provider.pull.request import PageRequest

BATCH = 1000
RAW_BATCH = 8


@dataclass
class Page:
    """
    A page.

    :param number: from 1
    :param records: a list; or, when the body is streamed, what can be read once and before the next page
    :param response: as it came; the body of a streamed one has been read
    :param request: what brought it
    :param next: what brings the next page, None at the end; of a streamed page known when its records have been read
    :param total: records that the API has, None when it does not tell
    """

    number: int
    records: Iterable[Any] = field(repr=False)
    response: requests.Response
    request: PageRequest
    next: PageRequest | None = field(default=None, repr=False)
    total: int | None = None


class Stream:
    """
    Records that are read once.

    ``count``, ``first`` and ``last`` tell of those that were read.

    :param records: where they come from
    :param came: called with the number of each batch
    :param explain: adds to an error where it happened
    :param batch: how many are taken at once; pieces of raw bodies are large
    """

    def __init__(
        self,
        records: Iterator[Any],
        came: Callable[[int], None],
        explain: Callable[[ResponseFormatError], OAuth2Error],
        batch: int = BATCH,
    ) -> None:
        self.count = 0
        self.first: Any = None
        self.last: Any = None
        self._came = came
        self._explain = explain
        self._reading = self._read(records, batch)
        self._passed_by = False

    def __iter__(self) -> Iterator[Any]:
        """Go on reading."""
        if self._passed_by:
            raise SettingsError("The records of this page were streamed: read them before the next page is asked for.")
        return self._reading

    def pass_by(self) -> None:
        """Read what nobody wanted, so that the way on is known."""
        self._passed_by = sum(1 for _ in self._reading) > 0

    def _read(self, records: Iterator[Any], size: int) -> Iterator[Any]:
        problem: OAuth2Error | None = None
        try:
            while batch := list(islice(records, size)):
                self.first = batch[0] if not self.count else self.first
                self.last = batch[-1]
                self.count += len(batch)
                self._came(len(batch))
                yield from batch
        except ResponseFormatError as error:
            problem = self._explain(error)
        if problem is not None:
            raise problem
