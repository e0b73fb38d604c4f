"""From page to page over sockets: what each kind of paginator sends, and what a page tells."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.pull.pagination import (
    Cursor,
    HeaderCursor,
    Keyset,
    LinkHeader,
    NextUrl,
    Offset,
    PageNumber,
    Paginator,
    Single,
)
from airflow_oauth_provider.pull.plan import Position
from airflow_oauth_provider.pull.request import PageRequest
from tests.support.paged_api import Numbers, host_of, ids, in_turn, items, queries, serve
from tests.support.servers import OAuthServer, Reply, Seen

Query = list[tuple[str, str]]


def each(name: str, *values: object) -> list[Query]:
    """Return the queries of pages that differ in one parameter."""
    return [[("sort", "id"), *([] if value is None else [(name, str(value))])] for value in values]


LINKED: list[Query] = [[("sort", "id")], [("cursor", "3")], [("cursor", "6")]]
KINDS: dict[str, tuple[Paginator, list[Query]]] = {
    "link_header": (LinkHeader(), LINKED),
    "next_url": (NextUrl("paging.next"), LINKED),
    "cursor": (Cursor("paging.cursor", param="cursor"), each("cursor", None, 3, 6)),
    "header_cursor": (HeaderCursor("x-cursor", "cursor"), each("cursor", None, 3, 6)),
    "offset": (
        Offset(3, total_path="total"),
        [[("sort", "id"), ("offset", str(offset)), ("limit", "3")] for offset in (0, 3, 6)],
    ),
    "page_number": (PageNumber(total_pages_path="pages"), each("page", 1, 2, 3)),
    "keyset": (Keyset("id", "after"), each("after", None, 2, 5, 6)),
    "single": (Single(), each("cursor", None)),
}


def as_templates_bring_it(kind: str, paginator: Paginator) -> dict[str, Any]:
    """Return the paginator as a dict, its numbers as text."""
    named = {name: str(value) if type(value) is int else value for name, value in asdict(paginator).items()}
    return {"kind": kind, **named}


@pytest.mark.parametrize("as_dict", [False, True], ids=["object", "dict"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_brings_all_records_in_order_over_one_connection(
    server: OAuthServer, hook: OAuth2Hook, kind: str, as_dict: bool
) -> None:
    paginator, expected = KINDS[kind]
    serve(server, Numbers(total=7, size=3))

    pages = hook.pages(
        "items",
        pagination=as_templates_bring_it(kind, paginator) if as_dict else paginator,
        records="items",
        params={"sort": "id"},
    )
    got = [(page.number, ids(page.records)) for page in pages]

    assert [number for number, _ in got] == list(range(1, len(expected) + 1))
    assert [number for _, numbers in got for number in numbers] == list(range(3 if kind == "single" else 7))
    assert [sorted(query) for query in queries(server)] == [sorted(query) for query in expected]
    assert len({seen.client for seen in server.api_requests}) == 1
    assert len(server.token_requests) == 1


@pytest.mark.parametrize(
    ("paginator", "sent"),
    [
        (Cursor("paging.cursor", body_path="cursor"), [{}, {"cursor": 3}, {"cursor": 6}]),
        (
            Offset(3, total_path="total", in_body=True),
            [{"offset": offset, "limit": 3} for offset in (0, 3, 6)],
        ),
        (PageNumber(total_pages_path="pages", in_body=True), [{"page": page} for page in (1, 2, 3)]),
    ],
)
def test_a_search_by_post_carries_its_place_in_the_body(
    server: OAuthServer, hook: OAuth2Hook, paginator: Paginator, sent: list[dict[str, int]]
) -> None:
    serve(server, Numbers(total=7, size=3))
    search = {"filter": {"open": True}}

    got = ids(hook.records("items", pagination=paginator, records="items", method="POST", json=search))

    assert got == list(range(7))
    assert [json.loads(seen.body) for seen in server.api_requests] == [{**search, **place} for place in sent]
    assert search == {"filter": {"open": True}}
    assert {seen.method for seen in server.api_requests} == {"POST"}


def test_a_place_deep_in_the_body_leaves_its_neighbours_alone(server: OAuthServer, hook: OAuth2Hook) -> None:
    serve(server, in_turn(Reply(200, {"next": {"b": 1}, "at": "x"}), Reply(200, {})))
    body = {"page": {"size": 2, "place": {"at": None, "of": "all"}}}

    pages = hook.pages("items", pagination=Cursor("at", body_path="page.place.at"), method="POST", json=body)

    assert len(list(pages)) == 2
    assert json.loads(server.api_requests[1].body) == {"page": {"size": 2, "place": {"at": "x", "of": "all"}}}
    assert body == {"page": {"size": 2, "place": {"at": None, "of": "all"}}}


@pytest.mark.parametrize("first", [0, 1])
def test_pages_and_offsets_may_begin_at_zero_or_one(server: OAuthServer, hook: OAuth2Hook, first: int) -> None:
    serve(server, Numbers(total=7, size=3, first=first))
    pages = PageNumber(start=first, total_pages_path="pages")

    assert ids(hook.records("items", pagination=pages, records="items")) == list(range(7))
    assert queries(server) == [[("page", str(first + step))] for step in range(3)]

    seven = list(range(first, 7 + first))

    def from_start(seen: Seen) -> Reply:
        begin = int(dict(seen.query)["offset"]) - first
        return Reply(200, {"items": items(*seven[begin : begin + 3]), "total": 7})

    serve(server, from_start)
    offsets = Offset(3, start=first, total_path="total")
    assert ids(hook.records("items", pagination=offsets, records="items")) == seven
    assert queries(server)[3:] == [[("offset", str(first + step)), ("limit", "3")] for step in (0, 3, 6)]


def test_headers_and_repeated_parameters_go_with_every_page(server: OAuthServer, hook: OAuth2Hook) -> None:
    serve(server, Numbers(total=7, size=3))
    given: dict[str, Any] = {"params": {"tag": ["a", "b"]}, "headers": {"X-Own": "yes"}}

    list(hook.pages("items", pagination=Cursor("paging.cursor", param="cursor"), records="items", **given))

    tags = [("tag", "a"), ("tag", "b")]
    assert queries(server) == [tags, [*tags, ("cursor", "3")], [*tags, ("cursor", "6")]]
    assert [seen.headers["x-own"] for seen in server.api_requests] == ["yes"] * 3
    assert given == {"params": {"tag": ["a", "b"]}, "headers": {"X-Own": "yes"}}


@pytest.mark.parametrize(
    ("paginator", "endpoint"),
    [
        (Cursor("paging.cursor", param="cursor"), "items?sort=id&cursor=0"),
        (Offset(3, total_path="total"), "items?sort=id&limit=3"),
        (PageNumber(total_pages_path="pages"), "items?page=1&sort=id"),
        (Keyset("id", "after"), "items?after=-1&sort=id"),
    ],
)
def test_a_parameter_that_stands_in_the_endpoint_is_not_doubled(
    server: OAuthServer, hook: OAuth2Hook, paginator: Paginator, endpoint: str
) -> None:
    serve(server, Numbers(total=7, size=3))

    got = ids(hook.records(endpoint, pagination=paginator, records="items"))

    for query in queries(server):
        names = [name for name, _ in query]
        assert sorted(names) == sorted(set(names))
        assert ("sort", "id") in query
    assert got == list(range(7))


@pytest.mark.parametrize(
    ("cursor", "sent"),
    [
        (0, "0"),
        ("0", "0"),
        ("a+b/c==&d=é #%41", "a+b/c==&d=é #%41"),
        (" kept ", " kept "),
        (2**63 + 1, str(2**63 + 1)),
        (10**30 + 1, str(10**30 + 1)),
        (1.5, "1.5"),
    ],
)
def test_a_cursor_comes_back_as_it_was_given(server: OAuthServer, hook: OAuth2Hook, cursor: Any, sent: str) -> None:
    cursors = Cursor("next", param="cursor")
    in_body = Cursor("next", body_path="cursor")
    serve(server, in_turn(*[Reply(200, {"next": cursor}), Reply(200, {})] * 2))

    assert len(list(hook.pages("items", pagination=cursors))) == 2
    assert len(list(hook.pages("items", pagination=in_body, method="POST"))) == 2

    assert server.api_requests[1].query == [("cursor", sent)]
    assert json.loads(server.api_requests[3].body) == {"cursor": cursor}


# Functions of one's own, and what a page tells ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["data", "params", "endpoint"])
def test_a_pagination_function_of_stock_http_operator_fits(server: OAuthServer, hook: OAuth2Hook, name: str) -> None:
    serve(server, Numbers(total=7, size=3))

    def following(response: Any) -> dict[str, Any] | None:
        paging = response.json()["paging"]
        if name == "endpoint":
            return {"endpoint": f"http://{host_of(server)}{paging['next']}"} if paging["next"] else None
        return {name: {"cursor": paging["cursor"]}, "headers": {"X-Own": "2"}} if paging["more"] else None

    assert ids(hook.records("items", pagination=following, records="items", headers={"X-Own": "1"})) == list(range(7))
    assert queries(server) == [[], [("cursor", "3")], [("cursor", "6")]]
    if name != "endpoint":
        assert [seen.headers["x-own"] for seen in server.api_requests] == ["1", "2", "2"]


def test_a_page_tells_where_it_stands(server: OAuthServer, hook: OAuth2Hook) -> None:
    serve(server, Numbers(total=7, size=3))
    pull: dict[str, Any] = {"pagination": Offset(3, total_path="total"), "records": "items", "params": {"sort": "id"}}

    pages = list(hook.pages("items", **pull))

    assert [(page.number, page.total, page.response.status_code) for page in pages] == [(n, 7, 200) for n in (1, 2, 3)]
    assert [page.next is None for page in pages] == [False, False, True]
    assert [page.request for page in pages[1:]] == [page.next for page in pages[:-1]]


@pytest.mark.parametrize(
    ("kind", "streamed"),
    [*((kind, False) for kind in KINDS if kind != "single"), ("cursor", True), ("offset", True), ("keyset", True)],
)
def test_a_pull_goes_on_from_any_record_of_a_former_one(
    server: OAuthServer, hook: OAuth2Hook, kind: str, streamed: bool
) -> None:
    numbers = Numbers(total=7, size=3, extra={"pad": "x" * (5 << 20 if streamed else 0)})
    pull: dict[str, Any] = {"pagination": KINDS[kind][0], "records": "items", "params": {"sort": "id"}}
    begun = PageRequest("GET", "items", {"sort": "id"})
    serve(server, numbers)
    before = 0
    for page in hook.pages("items", **pull):
        count = len(list(page.records))
        for skip in range(count + 1):
            written = json.dumps(page.request.changes_since(begun))
            again = Position(begun.with_changes(json.loads(written)), page.number, before, skip)

            assert ids(hook.records("items", start=again, **pull)) == list(range(before + skip, 7))
            some = list(hook.pages("items", start=again, max_records=6, **pull)) if not streamed else []
            if some and before + skip < 6:
                assert ids(record for p in some for record in p.records) == list(range(before + skip, 6))
                assert some[0].number == page.number
        before += count


def test_nothing_is_asked_for_before_it_is_wanted(server: OAuthServer, hook: OAuth2Hook) -> None:
    serve(server, Numbers(total=7, size=3))

    records = hook.records("items", pagination=LinkHeader(), records="items")
    assert server.seen == []
    assert [next(records)["id"] for _ in range(3)] == [0, 1, 2]
    assert len(server.api_requests) == 1
    assert next(records)["id"] == 3
    assert len(server.api_requests) == 2
