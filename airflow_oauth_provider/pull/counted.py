"""Pages that are counted: by records to leave out, or by their number."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.pull.paginator import PageFacts, Paginator, set_number, whole_number

if TYPE_CHECKING:
    from airflow_oauth_provider.pull.request import PageRequest


@dataclass(frozen=True)
class Counted(Paginator):
    """Pages that are counted by a parameter."""

    ends_empty: ClassVar[bool] = True
    addressable: ClassVar[bool] = True

    in_body: bool = field(default=False, kw_only=True)

    def shifted(self, request: PageRequest, pages: int) -> PageRequest:
        """Return the request for the page that is so many pages behind that of *request*."""
        raise NotImplementedError

    def pages_behind(self, request: PageRequest, page: PageFacts) -> int | None:
        """Return how many pages are behind *page*, None when the API does not tell."""
        raise NotImplementedError

    def knows_end(self, request: PageRequest, page: PageFacts) -> bool:
        """Whether the API told a total."""
        return self.pages_behind(request, page) is not None

    def _get(self, request: PageRequest, name: str) -> int:
        value = request.json_at(name) if self.in_body else (request.params or {}).get(name)
        number = whole_number(value)
        if number is None:
            raise SettingsError(f"pagination: {name} is {str(value)[:30]!r}, not a whole number.")
        return number

    def _put(self, request: PageRequest, name: str, value: int) -> PageRequest:
        return request.with_json(name, value) if self.in_body else request.with_params(**{name: value})


@dataclass(frozen=True)
class Offset(Counted):
    """
    The request names how many records to leave out.

    It ends at the total, where the API tells one, and otherwise with an empty page. A shorter page ends nothing: APIs
    cap limits, so the next offset is behind what came.

    :param limit: records of a page
    :param offset_param: query parameter of the offset, or its dotted place in the JSON body
    :param limit_param: the same of the limit
    :param start: the first offset, 0 or 1
    :param total_path: JMESPath to the total of records
    :param in_body: both stand in the JSON body
    """

    limit: int
    offset_param: str = "offset"
    limit_param: str = "limit"
    start: int = 0
    total_path: str | None = None

    def __post_init__(self) -> None:
        """Take numbers as templates bring them."""
        super().__post_init__()
        set_number(self, "limit", 1)
        set_number(self, "start", 0)
        if self.offset_param == self.limit_param:
            raise SettingsError("pagination: offset_param and limit_param of Offset have the same name.")

    def first(self, request: PageRequest) -> PageRequest:
        """Ask for the first records."""
        return self._put(self._put(request, self.offset_param, self.start), self.limit_param, self.limit)

    def following(self, request: PageRequest, page: PageFacts) -> PageRequest | None:
        """Ask for what is behind the records that came."""
        offset = self._get(request, self.offset_param) + (page.count or self.limit)
        left = self._left(request, page)
        at_end = page.count == 0 if left is None else left == 0
        return None if at_end else self._put(request, self.offset_param, offset)

    def shifted(self, request: PageRequest, pages: int) -> PageRequest:
        """Add so many limits to the offset."""
        return self._put(request, self.offset_param, self._get(request, self.offset_param) + pages * self.limit)

    def pages_behind(self, request: PageRequest, page: PageFacts) -> int | None:
        """Divide what the total leaves."""
        left = self._left(request, page)
        return None if left is None else -(-left // self.limit)

    def _left(self, request: PageRequest, page: PageFacts) -> int | None:
        """Return how many records are behind the page, None when the total says nothing, or less than came already."""
        total = self.total(page)
        before = self._get(request, self.offset_param) - self.start
        if total is None or (page.count and total < before + page.count):
            return None
        return max(total - before - (page.count or self.limit), 0)

    def total(self, page: PageFacts) -> int | None:
        """Return the total, as number or numeric text."""
        return whole_number(page.find(self.total_path)) if self.total_path else None


@dataclass(frozen=True)
class PageNumber(Counted):
    """
    The request names the number of the page.

    It ends with the last page, where the API tells how many there are, and otherwise with an empty page.

    :param start: number of the first page, 0 or 1
    :param param: query parameter of the number, or its dotted place in the JSON body
    :param size: records of a page, sent as ``size_param``
    :param total_pages_path: JMESPath to the number of pages
    :param in_body: the parameters stand in the JSON body
    """

    start: int = 1
    param: str = "page"
    size: int | None = None
    size_param: str | None = None
    total_pages_path: str | None = None

    def __post_init__(self) -> None:
        """Take numbers as templates bring them."""
        super().__post_init__()
        set_number(self, "start", 0)
        if (self.size is None) != (self.size_param is None):
            raise SettingsError("pagination: PageNumber needs both size and size_param, or neither.")
        if self.size is not None:
            set_number(self, "size", 1)
        if self.param == self.size_param:
            raise SettingsError("pagination: param and size_param of PageNumber have the same name.")

    def first(self, request: PageRequest) -> PageRequest:
        """Ask for the first page."""
        if self.size is not None and self.size_param:
            request = self._put(request, self.size_param, self.size)
        return self._put(request, self.param, self.start)

    def following(self, request: PageRequest, page: PageFacts) -> PageRequest | None:
        """Ask for the page behind."""
        behind = self.pages_behind(request, page)
        at_end = page.count == 0 if behind is None else behind == 0
        return None if at_end else self.shifted(request, 1)

    def pages_behind(self, request: PageRequest, page: PageFacts) -> int | None:
        """Count from the number of pages."""
        pages = whole_number(page.find(self.total_pages_path)) if self.total_pages_path else None
        before = self._get(request, self.param) - self.start
        if pages is None or (page.count and pages <= before):
            return None
        return max(pages - before - 1, 0)

    def shifted(self, request: PageRequest, pages: int) -> PageRequest:
        """Add so many pages to the number."""
        return self._put(request, self.param, self._get(request, self.param) + pages)
