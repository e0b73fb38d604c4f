"""Answers and pages as a pull meets them, without a server."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
import requests
import requests_mock
import urllib3

from airflow_oauth_provider.http import received as body_module
from airflow_oauth_provider.http.received import ReceivedBody, zstd_module
from airflow_oauth_provider.pull import records as records_module
from airflow_oauth_provider.pull.format import Format
from airflow_oauth_provider.pull.page import Page
from airflow_oauth_provider.pull.pagination import Offset
from airflow_oauth_provider.pull.paginator import PageFacts
from airflow_oauth_provider.pull.paths import path
from airflow_oauth_provider.pull.records import Content, Reader
from tests.support.made_up import API_URL, TOKEN_URL, connection_json

ORDERS = f"{API_URL}/orders"
PAGE_URL = f"{ORDERS}?page=1"
# Of what numbered() serves.
PAGED: dict[str, Any] = {"pagination": Offset(10), "records": "data"}
BOM = b"\xef\xbb\xbf"
# More than is taken apart as a whole by whoever calls small_limits().
HUGE = 1 << 17


def answer(
    body: bytes = b"", content_type: str = "application/json", *, headers: dict[str, str] | None = None
) -> requests.Response:
    """Return a response whose body is still on its way."""
    named = {**({"Content-Type": content_type} if content_type else {}), **(headers or {})}
    response = requests.Response()
    response.status_code, response.url = 200, PAGE_URL
    response.headers = requests.structures.CaseInsensitiveDict(named)
    response.encoding = requests.utils.get_encoding_from_headers(response.headers)
    response.raw = urllib3.HTTPResponse(io.BytesIO(body), named, status=200, preload_content=False)
    response.request = requests.Request("GET", PAGE_URL).prepare()
    return response


@contextmanager
def content(
    body: bytes,
    response_format: str = "json",
    content_type: str = "application/json",
    *,
    headers: dict[str, str] | None = None,
    **options: Any,
) -> Iterator[Content]:
    """
    Yield what a reader finds in a body.

    :param options: of :class:`Format`
    """
    response = answer(body, content_type, headers=headers)
    with closing(ReceivedBody(response)) as received:
        yield Reader(Format(response_format, **options)).read(response, received)


def records(body: bytes, response_format: str = "json", content_type: str = "", **options: Any) -> list[Any]:
    """Return the records that a reader finds in a body."""
    with content(body, response_format, content_type, **options) as found:
        return list(found.records)


def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take bodies of more than 64 KiB for huge: those of megabytes behave alike, and cost seconds."""
    monkeypatch.setattr(body_module, "WHOLE_BYTES", 1 << 16)
    monkeypatch.setattr(records_module, "_LISTED_BYTES", 1 << 14)


def padded(document: str, size: int = HUGE) -> bytes:
    """Return a JSON document in which ``PAD`` is so many letters."""
    return document.replace("PAD", "x" * size).encode()


def facts(
    document: Any = None, *, count: int = 1, last: Any = None, headers: dict[str, str] | None = None
) -> PageFacts:
    """Return what a page with this document tells."""
    named: requests.structures.CaseInsensitiveDict[str] = requests.structures.CaseInsensitiveDict(headers or {})
    return PageFacts(PAGE_URL, named, count, last, lambda text: path(text, "pagination").find(document))


def numbered(total: int, **members: Any) -> Callable[..., Any]:
    """Return a JSON callback for requests-mock: an API that has the numbers below *total*, by offset and limit."""

    def answer(request: Any, context: Any) -> Any:
        offset, limit = int(request.qs["offset"][0]), int(request.qs["limit"][0])
        return {"data": list(range(total))[offset : offset + limit], **members}

    return answer


def records_of(pages: Iterable[Page]) -> list[Any]:
    return [record for page in pages for record in page.records]


def mocked_shop(monkeypatch: pytest.MonkeyPatch, api: requests_mock.Mocker) -> None:
    """Make the connection ``shop``, whose token endpoint is mocked."""
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", connection_json())
    api.post(TOKEN_URL, json={"access_token": "made-up-access-token", "token_type": "Bearer", "expires_in": 3600})


def calls(api: requests_mock.Mocker) -> list[Any]:
    """Return the requests for orders that a mocked API saw."""
    return [request for request in api.request_history if request.url.startswith(ORDERS)]


# Compressed -----------------------------------------------------------------------------------------------------------


def zstd(content: bytes) -> bytes:
    return bytes(zstd_module().compress(content))


def bare_deflate(content: bytes) -> bytes:
    """Compress without the head and the checksum that RFC 9110 wants, as some servers do."""
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(content) + compressor.flush()
