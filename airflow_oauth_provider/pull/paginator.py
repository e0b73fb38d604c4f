"""What every way from page to page has in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.pull.paths import path

if TYPE_CHECKING:
    import requests

    from airflow_oauth_provider.pull.request import PageRequest


@dataclass(frozen=True)
class PageFacts:
    """
    What a page tells of the way on.

    :param url: where it came from, redirects followed
    :param headers: of the response, looked up in any case
    :param count: records on it
    :param last: the last of them
    :param find: looks a JMESPath up in the document
    :param begun: the request for the first page
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    count: int
    last: Any = field(repr=False)
    find: Callable[[str], Any] = field(repr=False)
    response: requests.Response | None = field(default=None, repr=False)
    begun: PageRequest | None = None


@dataclass(frozen=True)
class Paginator:
    """One request, or a way from page to page."""

    # An empty page is the end, and so it is an error when a page equals the one before.
    ends_empty: ClassVar[bool] = False
    # Pages have addresses: several can be asked for at once.
    addressable: ClassVar[bool] = False

    def first(self, request: PageRequest) -> PageRequest:
        """Return the request for the first page."""
        return request

    def following(self, request: PageRequest, page: PageFacts) -> PageRequest | None:  # noqa: ARG002
        """Return the request for the page behind *page*, which *request* brought; None at the end."""
        return None

    def total(self, page: PageFacts) -> int | None:  # noqa: ARG002
        """Return how many records there are, None when the API does not tell."""
        return None

    def knows_end(self, request: PageRequest, page: PageFacts) -> bool:  # noqa: ARG002
        """Whether the API told how far it goes, so that it cannot go on for ever."""
        return False

    def document_paths(self) -> tuple[str, ...]:
        """Return what is looked up in the body: formats that are no document have nothing there."""
        named = (getattr(self, name, None) for name in ("path", "has_more_path", "total_path", "total_pages_path"))
        return tuple(value for value in named if value)

    def __post_init__(self) -> None:
        """Look at names, and compile all paths, so that a wrong one fails where it is written."""
        for part in fields(self):
            value = getattr(self, part.name)
            wrong = not value or not isinstance(value, str)
            if (part.type == "str" and wrong) or (part.type == "str | None" and value is not None and wrong):
                raise SettingsError(f"pagination: {part.name} of {type(self).__name__} must be a text, and not empty.")
            if part.type == "bool" and not isinstance(value, bool):
                raise SettingsError(f"pagination: {part.name} of {type(self).__name__} must be True or False.")
        for text in self.document_paths():
            path(text, f"pagination: {type(self).__name__}")


def whole_number(value: Any) -> int | None:
    """Return a number or numeric text as a whole number of at least 0, None when it is no such."""
    if isinstance(value, Decimal) and not value.is_finite():
        return None
    if isinstance(value, str):
        value = value.strip()
        return int(value) if value.isascii() and value.isdigit() and len(value) <= 18 else None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not 0 <= value < 10**18:
        return None
    return int(value) if value == int(value) else None


def set_number(paginator: Any, name: str, least: int) -> None:
    """Make a whole number of a parameter that came as text, or raise SettingsError."""
    value = getattr(paginator, name)
    number = whole_number(value)
    if number is None or number < least:
        what = f"{name} of {type(paginator).__name__} is {str(value)[:30]!r}"
        raise SettingsError(f"pagination: {what}, not a whole number of at least {least}.")
    object.__setattr__(paginator, name, number)


def kind_of(value: Any) -> str:
    """Return what sort of JSON value it is, for messages: never the value itself."""
    kinds = {Mapping: "an object", list: "a list", str: "text", bool: "a truth value", type(None): "missing"}
    named = next((name for kind, name in kinds.items() if isinstance(value, kind)), None)
    if named is None and isinstance(value, int | float | Decimal):
        return "a number"
    return named or f"of the type {type(value).__name__}"
