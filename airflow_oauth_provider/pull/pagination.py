"""
How an API says which page is next: small frozen values, pure functions from a page to the request for the next one.

Written as a dict they can be templated and mapped: ``{"kind": "cursor", "path": "meta.next", "param": "cursor"}``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urljoin

from airflow_oauth_provider.exceptions import ResponseFormatError, SettingsError
from airflow_oauth_provider.oauth2.settings import without_query
from airflow_oauth_provider.pull.counted import Offset, PageNumber
from airflow_oauth_provider.pull.links import link_targets
from airflow_oauth_provider.pull.paginator import PageFacts, Paginator, kind_of
from airflow_oauth_provider.pull.paths import path

if TYPE_CHECKING:
    import requests

    from airflow_oauth_provider.pull.request import PageRequest

__all__ = [
    "Cursor",
    "Function",
    "HeaderCursor",
    "Keyset",
    "LinkHeader",
    "NextUrl",
    "Offset",
    "PageNumber",
    "Paginator",
    "Single",
    "as_template_field",
    "paginator_of",
]


@dataclass(frozen=True)
class Single(Paginator):
    """One page."""


@dataclass(frozen=True)
class LinkHeader(Paginator):
    """
    The ``Link`` header names the next page (RFC 8288).

    :param rel: its relation type
    """

    rel: str = "next"

    def following(self, request: PageRequest, page: PageFacts) -> PageRequest | None:
        """Follow the link; it is complete by itself."""
        target = link_targets(page.headers.get("Link") or "").get(self.rel.lower())
        return request.at(_joined(page.url, target)) if target else None


@dataclass(frozen=True)
class NextUrl(Paginator):
    """
    The body holds the URL of the next page.

    :param path: JMESPath to it; a relative one is resolved against the page's own URL (RFC 3986 §5)
    """

    path: str

    def following(self, request: PageRequest, page: PageFacts) -> PageRequest | None:
        """Follow the URL; it is complete by itself."""
        target = page.find(self.path)
        if target is None or target is False or target == "":
            return None
        if not isinstance(target, str):
            raise ResponseFormatError(f"pagination: {self.path} is {kind_of(target)}, not the URL of the next page.")
        return request.at(_joined(page.url, target))


@dataclass(frozen=True)
class Cursor(Paginator):
    """
    The body holds a cursor that is sent back for the next page.

    No cursor, an empty one and false are the end; 0 is a cursor.

    :param path: JMESPath to the cursor
    :param param: query parameter in which it is sent
    :param body_path: or: dotted place in the JSON body
    :param has_more_path: JMESPath to a flag that says whether there is another page; where it is missing or null the
        cursor alone says it
    """

    path: str
    param: str | None = None
    body_path: str | None = None
    has_more_path: str | None = None

    def __post_init__(self) -> None:
        """Hold the choices against each other."""
        super().__post_init__()
        if bool(self.param) == bool(self.body_path):
            raise SettingsError("pagination: Cursor needs either param or body_path: where the cursor is sent.")

    def following(self, request: PageRequest, page: PageFacts) -> PageRequest | None:
        """Send the cursor back."""
        has_more = page.find(self.has_more_path) if self.has_more_path else None
        if has_more is not None and not _truth(has_more):
            return None
        cursor = page.find(self.path)
        if cursor is None or cursor is False or cursor == "":
            if has_more is None:
                return None
            raise ResponseFormatError(
                f"pagination: {self.has_more_path} promises another page, but {self.path} is empty."
            )
        if isinstance(cursor, Mapping | list | bool):
            raise ResponseFormatError(f"pagination: {self.path} is {kind_of(cursor)}, not a cursor.")
        if isinstance(cursor, Decimal):
            cursor = str(cursor)
        return self._sent_back(request, cursor)

    def _sent_back(self, request: PageRequest, cursor: Any) -> PageRequest:
        if self.param:
            return request.with_params(**{self.param: cursor})
        return request.with_json(str(self.body_path), cursor)

    def first(self, request: PageRequest) -> PageRequest:
        """Find out before the first request whether a cursor has a place in it."""
        self._sent_back(request, "")
        return request


@dataclass(frozen=True)
class HeaderCursor(Paginator):
    """
    A response header holds the cursor.

    :param header: its name
    :param param: query parameter in which the cursor is sent
    """

    header: str
    param: str

    def first(self, request: PageRequest) -> PageRequest:
        """Find out before the first request whether a cursor has a place in it."""
        request.with_params(**{self.param: ""})
        return request

    def following(self, request: PageRequest, page: PageFacts) -> PageRequest | None:
        """Send the cursor back."""
        cursor = (page.headers.get(self.header) or "").strip()
        return request.with_params(**{self.param: cursor}) if cursor else None


@dataclass(frozen=True)
class Keyset(Paginator):
    """
    The next page begins behind a key of the last record; an empty page is the end.

    :param record_path: JMESPath to the key in a record
    :param param: query parameter in which it is sent
    """

    ends_empty: ClassVar[bool] = True

    record_path: str
    param: str

    def __post_init__(self) -> None:
        """Compile the path, so that a wrong one fails where it is written."""
        super().__post_init__()
        path(self.record_path, "pagination: record_path")

    def first(self, request: PageRequest) -> PageRequest:
        """Find out before the first request whether a key has a place in it."""
        request.with_params(**{self.param: ""})
        return request

    def following(self, request: PageRequest, page: PageFacts) -> PageRequest | None:
        """Ask for what is behind the last record."""
        if page.count == 0:
            return None
        key = path(self.record_path, "pagination: record_path").find(page.last)
        if key is None or isinstance(key, Mapping | list):
            raise ResponseFormatError(f"pagination: the last record's {self.record_path} is {kind_of(key)}, not a key.")
        return request.with_params(**{self.param: str(key) if isinstance(key, Decimal) else key})


@dataclass(frozen=True)
class Function(Paginator):
    """
    A function of one's own, as ``HttpOperator`` takes for ``pagination_function``.

    :param function: from a response to the parameters of the next request, which are laid over those of the first one;
        None, or nothing, at the end
    """

    function: Callable[[requests.Response], Mapping[str, Any] | None]

    def __repr__(self) -> str:
        """Show its name: an address would be another one in each process."""
        return f"Function({getattr(self.function, '__qualname__', type(self.function).__name__)})"

    def following(self, request: PageRequest, page: PageFacts) -> PageRequest | None:
        """Do as the function says."""
        if page.response is None:
            return None
        try:
            changes = self.function(page.response)
        except Exception as error:
            raise ResponseFormatError(f"pagination: {self!r} raised {type(error).__name__} for this page.") from error
        if not changes:
            return None
        if not isinstance(changes, Mapping):
            raise SettingsError(f"pagination: the function returned {kind_of(changes)}, not parts of a request.")
        return (page.begun or request).changed_by(changes)


KINDS: dict[str, type[Paginator]] = {
    "link_header": LinkHeader,
    "next_url": NextUrl,
    "cursor": Cursor,
    "header_cursor": HeaderCursor,
    "offset": Offset,
    "page_number": PageNumber,
    "keyset": Keyset,
    "single": Single,
}


def as_template_field(value: Any) -> Any:
    """Return *value* so that Airflow, which calls what it finds callable in a template field, leaves it alone."""
    return Function(value) if callable(value) and not isinstance(value, type) else value


def paginator_of(value: Any) -> Paginator:
    """
    Return the paginator that *value* is or describes.

    :param value: a paginator, a dict with its ``kind``, a function, or None for a single page
    :raises SettingsError: it is none
    """
    if value is None:
        return Single()
    if isinstance(value, Paginator):
        return value
    value = as_template_field(value)
    if isinstance(value, Function):
        return value
    if isinstance(value, type):
        raise SettingsError(f"pagination: {value.__name__} is a class: write {value.__name__}(…).")
    if not isinstance(value, Mapping):
        raise SettingsError(f"pagination: {kind_of(value)} is no paginator. Give one, its dict, or a function.")
    named = dict(value)
    kind = named.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise SettingsError(f"pagination: the kind {str(kind)[:40]!r} is none of {', '.join(KINDS)}.")
    try:
        return KINDS[kind](**named)
    except TypeError as error:
        why = str(error).partition("__init__() ")[2] or str(error)
        raise SettingsError(f"pagination: {kind}: {why[:200]}.") from None


def _truth(value: Any) -> bool:
    return value.strip().lower() not in {"", "false", "0", "no"} if isinstance(value, str) else bool(value)


def _joined(base: str, target: str) -> str:
    try:
        return urljoin(base, target)
    except ValueError:
        pass
    raise ResponseFormatError(f"pagination: the link to the next page, {without_query(target)[:100]!r}, is no URL.")
