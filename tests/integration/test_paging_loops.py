"""Chains of pages that lead back into themselves end with an error, whatever the kind; those that do not go on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import PaginationLoopError, PermanentError, SettingsError
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.pull.pagination import Keyset, LinkHeader, Offset, PageNumber, Paginator
from tests.support.paged_api import BY_CURSOR, CURSOR, NEXT, Chain, ids, in_turn, items, page_of, pulled, serve
from tests.support.servers import OAuthServer, Reply, Seen


@pytest.mark.parametrize(
    "then",
    [
        {"": "a", "a": "a"},
        {"": "a", "a": "b", "b": "a"},
        {"": "0"} | {str(number): str((number + 1) % 30) for number in range(30)},
    ],
    ids=["A-A", "A-B-A", "thirty pages round"],
)
@pytest.mark.parametrize("pull", BY_CURSOR.values(), ids=BY_CURSOR)
def test_a_chain_that_comes_back_to_a_page_is_an_error_that_names_it(
    server: OAuthServer, hook: OAuth2Hook, pull: dict[str, Any], then: dict[str, str]
) -> None:
    serve(server, Chain(then))

    came, error = pulled(hook.records("items", records="items", **pull))

    assert isinstance(error, PaginationLoopError)
    assert isinstance(error, PermanentError)
    assert f"Page {len(then) + 1} " in str(error)
    assert "/api/items" in str(error)
    assert came == list(range(1, len(then) + 1))
    assert len(server.api_requests) == len(then)


@pytest.mark.parametrize("paginator", [LinkHeader(), NEXT], ids=["header", "body"])
@pytest.mark.parametrize("pages", [1, 2])
def test_a_link_back_to_the_first_page_is_a_loop(
    server: OAuthServer, hook: OAuth2Hook, paginator: Paginator, pages: int
) -> None:
    def linking(target: str) -> Reply:
        return Reply(200, {"paging": {"next": target}}, {"Link": f"<{target}>; rel=next"})

    targets = ["?sort=id&size=3&page=2", "/api/items?sort=id&size=3"]
    serve(server, in_turn(*map(linking, targets[-pages:])))

    with pytest.raises(PaginationLoopError):
        list(hook.pages("items", pagination=paginator, params={"sort": "id", "size": 3}))

    assert len(server.api_requests) == pages


@pytest.mark.parametrize("paginator", [Offset(2), PageNumber(), PageNumber(0), Keyset("id", "after")], ids=repr)
@pytest.mark.parametrize("good", [0, 3])
def test_the_last_page_for_ever_is_a_loop(
    server: OAuthServer, hook: OAuth2Hook, paginator: Paginator, good: int
) -> None:
    numbers = iter(range(good))
    serve(server, lambda _: page_of(next(numbers, 99)))

    came, error = pulled(hook.records("items", pagination=paginator, records="items"))

    assert isinstance(error, PaginationLoopError)
    assert f"Page {good + 2} " in str(error)
    assert "/api/items" in str(error)
    assert came == [*range(good), 99]  # once
    assert len(server.api_requests) == good + 2


@pytest.mark.parametrize(
    ("response_format", "body"),
    [("ndjson", b'{"id": 1}\n{"id": 2}\n'), ("csv", b"id,name\n1,a\n"), ("json", b'[{"id": 1}]' + b" " * (5 << 20))],
    ids=["ndjson", "csv", "huge JSON"],
)
def test_a_streamed_page_for_ever_is_a_loop_too(
    server: OAuthServer, hook: OAuth2Hook, response_format: str, body: bytes
) -> None:
    serve(server, lambda _: Reply(200, body))

    _, error = pulled(hook.records("items", pagination=PageNumber(), response_format=response_format))

    assert isinstance(error, PaginationLoopError)
    assert len(server.api_requests) == 2


def test_equal_pages_with_another_cursor_are_no_loop(server: OAuthServer, hook: OAuth2Hook) -> None:
    serve(server, in_turn(*(page_of(1, paging={"cursor": cursor}) for cursor in ("a", "b", None))))

    assert ids(hook.records("items", pagination=CURSOR, records="items")) == [1, 1, 1]


def test_a_place_in_a_header_of_the_request_is_no_loop(server: OAuthServer, hook: OAuth2Hook) -> None:
    """So page some APIs by a continuation header."""

    def script(seen: Seen) -> Reply:
        place = int(seen.headers.get("x-continuation", "0"))
        return Reply(200, items(place), {"X-Continuation": str(place + 1)} if place < 3 else {})

    def following(response: Any) -> dict[str, Any] | None:
        place = response.headers.get("X-Continuation")
        return {"headers": {"X-Continuation": place}} if place else None

    serve(server, script)

    assert ids(hook.records("items", pagination=following)) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"pagination": {"kind": "curser", "path": "a"}}, "curser"),
        ({"pagination": {"kind": "cursor", "path": "a", "parm": "b"}}, "parm"),
        ({"pagination": {"kind": "offset", "limit": "0"}}, "limit"),
        ({"pagination": {"kind": "next_url", "path": "a["}}, r"a\["),
        ({"pagination": 5}, "pagination"),
        ({"records": "items["}, "records"),
        ({"response_format": "yaml"}, "response_format"),
        ({"max_pages": 0}, "max_pages"),
        ({"max_records": -1}, "max_records"),
        ({"concurrency": 0, "pagination": PageNumber()}, "concurrency"),
        ({"concurrency": 33, "pagination": PageNumber()}, "concurrency"),
        ({"concurrency": 2, "pagination": LinkHeader()}, "concurrency"),
        ({"response_format": "csv", "records": "items"}, "records"),
        ({"response_format": "ndjson", "pagination": CURSOR}, "pagination"),
        ({"json": {"a": 1}, "data": {"b": 2}, "method": "POST"}, "json"),
    ],
    ids=lambda value: json.dumps(value, default=repr) if isinstance(value, dict) else "",
)
def test_a_parameter_that_cannot_be_right_fails_at_once(
    server: OAuthServer, hook: OAuth2Hook, wrong: dict[str, Any], named: str
) -> None:
    with pytest.raises(SettingsError, match=named):
        hook.pages("items", **wrong)

    assert server.seen == []
