"""What a pull shall do: everything that can be wrong before the first request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.pull.counted import Counted
from airflow_oauth_provider.pull.format import DOCUMENTS, Format
from airflow_oauth_provider.pull.pagination import paginator_of
from airflow_oauth_provider.pull.paginator import whole_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_oauth_provider.pull.paginator import Paginator
    from airflow_oauth_provider.pull.request import PageRequest

MAX_CONCURRENCY = 32


@dataclass(frozen=True)
class PullPlan:
    """
    How to pull, held against itself.

    :param max_pages: stop after so many pages
    :param max_records: stop after so many records
    :param concurrency: requests in flight
    """

    paginator: Paginator
    format: Format
    max_pages: int | None = None
    max_records: int | None = None
    concurrency: int = 1

    @classmethod
    def of(
        cls,
        *,
        pagination: Any = None,
        records: str | None = None,
        response_format: str = "json",
        csv_options: Mapping[str, Any] | None = None,
        use_decimal: bool = False,
        max_pages: int | str | None = None,
        max_records: int | str | None = None,
        concurrency: int | str = 1,
    ) -> Self:
        """
        Return the plan for what a Dag author wrote.

        :raises SettingsError: it cannot be right; the message names the parameter
        """
        if not isinstance(use_decimal, bool):
            raise SettingsError("use_decimal must be True or False.")
        plan = cls(
            paginator_of(pagination),
            Format(response_format, records, use_decimal=use_decimal, csv_options=csv_options or {}),
            _positive(max_pages, "max_pages"),
            _positive(max_records, "max_records"),
            _positive(concurrency, "concurrency") or 1,
        )
        plan._hold_against_itself()
        return plan

    def _hold_against_itself(self) -> None:
        kind, name = type(self.paginator).__name__, self.format.name
        if self.concurrency > MAX_CONCURRENCY:
            raise SettingsError(f"concurrency is {self.concurrency}, more than {MAX_CONCURRENCY} requests at once.")
        if self.concurrency > 1 and not isinstance(self.paginator, Counted):
            raise SettingsError(f"concurrency needs pagination by Offset or PageNumber: {kind} goes from page to page.")
        if name not in DOCUMENTS and self.paginator.document_paths():
            raise SettingsError(f"pagination: {kind} looks into the body, but response_format={name!r} is no document.")
        if name == "raw" and self.paginator.ends_empty:
            raise SettingsError(f"pagination: {kind} ends with a page without records, but raw bodies have none.")
        if name == "raw" and self.max_records is not None:
            raise SettingsError("max_records: raw bodies have no records.")


@dataclass(frozen=True)
class Position:
    """
    A place in a pull.

    :param request: for the page
    :param number: of the page, from 1
    :param records: on the pages before it
    :param skip: records of the page that are behind us
    """

    request: PageRequest
    number: int = 1
    records: int = 0
    skip: int = 0


def _positive(value: Any, name: str) -> int | None:
    if value is None:
        return None
    number = whole_number(value)
    if number is None or number < 1:
        raise SettingsError(f"{name} is {str(value)[:30]!r}, not a whole number of at least 1.")
    return number
