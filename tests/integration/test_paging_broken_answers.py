"""Answers that broke off are asked for again, and answers that are no page are errors; no record is lost or doubled."""

from __future__ import annotations

import json
import re
import zlib
from gzip import compress
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import ApiUnavailableError, ResponseFormatError
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.pull.pagination import LinkHeader, PageNumber
from tests.integration.conftest import Connection
from tests.support.paged_api import CURSOR, ByHand, Numbers, ids, in_turn, items, no_pauses, pulled, raw_answer, serve
from tests.support.servers import OAuthServer, Reply, Seen

DOCUMENT = json.dumps({"items": items(3, 4, 5), "paging": {"cursor": "c"}}).encode()
BARE = zlib.compressobj(wbits=-15)
CHUNKED = "Transfer-Encoding: chunked"
BROKEN = {
    "nothing": b"",
    "reset after the head": raw_answer(length=1000),
    "reset in the body": raw_answer(body=DOCUMENT[:30], length=len(DOCUMENT)),
    "Content-Length": raw_answer(body=DOCUMENT, length=len(DOCUMENT) + 1),
    "chunk": raw_answer(CHUNKED, body=b"%x\r\n%s" % (len(DOCUMENT), DOCUMENT[:40])),
    "last chunk": raw_answer(CHUNKED, body=b"%x\r\n%s\r\n" % (len(DOCUMENT), DOCUMENT)),
    "size of a chunk": raw_answer(CHUNKED, body=b"zz\r\n{}\r\n0\r\n\r\n"),
    "gzip": raw_answer("Content-Encoding: gzip", body=compress(DOCUMENT)[:-12]),
    "end of gzip": raw_answer("Content-Encoding: gzip", body=compress(DOCUMENT)[:-8]),
    "checksum of gzip": raw_answer("Content-Encoding: gzip", body=compress(DOCUMENT)[:-8] + bytes(8)),
    "no gzip": raw_answer("Content-Encoding: gzip", body=DOCUMENT),
    "deflate": raw_answer("Content-Encoding: deflate", body=zlib.compress(DOCUMENT)[:-6]),
    "bare deflate": raw_answer("Content-Encoding: deflate", body=(BARE.compress(DOCUMENT) + BARE.flush())[:-3]),
    "JSON": raw_answer(body=DOCUMENT[:-2]),
    "JSON in a text": raw_answer(body=DOCUMENT[:11]),
}


@pytest.mark.parametrize("way", BROKEN)
def test_a_page_that_broke_off_is_asked_for_again_and_each_record_comes_once(
    connect: Connection, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    no_pauses(monkeypatch)
    pages = [items(0, 1, 2), items(3, 4, 5), items(6)]
    first, second, third = (
        raw_answer(body={"items": page, "paging": {"cursor": cursor}})
        for page, cursor in zip(pages, ("b", "c", None), strict=True)
    )
    with ByHand(first, BROKEN[way], second, third, reset=frozenset({1} if "reset" in way else ())) as api:
        hook = OAuth2Hook(oauth2_conn_id=connect(base_url=api.url))

        assert ids(hook.records("items", pagination=CURSOR, records="items")) == list(range(7))

    assert api.asked == ["/items", "/items?cursor=b", "/items?cursor=b", "/items?cursor=c"]


@pytest.mark.parametrize("way", ["Content-Length", "last chunk", "gzip", "JSON"])
def test_a_page_that_breaks_off_again_and_again_is_an_error_that_says_where(
    connect: Connection, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    no_pauses(monkeypatch)
    with ByHand(raw_answer(body={"items": items(0), "paging": {"cursor": "b"}}), *[BROKEN[way]] * 9) as api:
        hook = OAuth2Hook(oauth2_conn_id=connect(base_url=api.url))
        came, error = pulled(hook.records("items", pagination=CURSOR, records="items"))

    assert came == [0]
    assert isinstance(error, ApiUnavailableError)
    assert re.search(r"/items failed: .* after \d+ bytes", str(error))
    assert len(api.asked) == 1 + 5


def test_a_server_that_closes_after_each_page_is_no_trouble(server: OAuthServer, hook: OAuth2Hook) -> None:
    def closing(seen: Seen) -> Reply:
        reply = Numbers(total=30, size=3)(seen)
        return Reply(reply.status, reply.body, {**reply.headers, "Connection": "close"})

    serve(server, closing)

    assert ids(hook.records("items", pagination=LinkHeader(), records="items")) == list(range(30))
    assert len(server.api_requests) == 10


# Answers that are none ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/json", None])
@pytest.mark.parametrize("response_format", ["json", "ndjson", "csv", "xml"])
def test_a_page_for_people_with_200_is_an_error_and_not_an_empty_result(
    server: OAuthServer, hook: OAuth2Hook, response_format: str, content_type: str | None
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    login = Reply(200, "\n<!DOCTYPE html>\n<html><body><h1>Please log in</h1>\n</body></html>", headers)
    records = "items" if response_format == "json" else None
    page = Reply(200, {"items": items(0)}) if records else Reply(200, b"")
    serve(server, in_turn(page, *[login] * 5))
    pull: dict[str, Any] = {"response_format": response_format, "records": records}

    if records:
        with pytest.raises(ResponseFormatError, match="log in"):
            list(hook.pages("items", pagination=PageNumber(), **pull))
    else:
        assert list(hook.records("items", **pull)) == []
        with pytest.raises(ResponseFormatError, match="log in"):
            list(hook.records("items", **pull))


@pytest.mark.parametrize(
    "body",
    [
        {"error": "quota"},
        {"items": {"0": {"id": 1}}},
        {"items": "none"},
        {"items": 5},
        {"Items": []},
        [],
        [{"items": []}],
    ],
    ids=str,
)
def test_a_page_without_the_list_is_an_error_with_its_keys(server: OAuthServer, hook: OAuth2Hook, body: Any) -> None:
    serve(server, in_turn(Reply(200, {"items": items(0), "paging": {"cursor": "b"}}), *[Reply(200, body)] * 5))

    came, error = pulled(hook.records("items", pagination=CURSOR, records="items"))

    assert came == [0]
    assert isinstance(error, ResponseFormatError)
    assert "Page 2 " in str(error)
    assert "records='items'" in str(error)
    if isinstance(body, dict):
        assert next(iter(body)) in str(error).replace("records='items'", "")
