"""Links to the next page: relative and absolute, wherever they stand, and those that lead away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from airflow_oauth_provider.exceptions import OriginError, PermanentError
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.pull.pagination import LinkHeader, NextUrl, Paginator
from tests.integration.conftest import Connection
from tests.support.certificates import Authority
from tests.support.paged_api import host_of, ids, in_turn, items, pulled, queries, serve, with_lines
from tests.support.servers import OAuthServer, Reply, Server

if TYPE_CHECKING:
    from pathlib import Path

Query = list[tuple[str, str]]


@pytest.mark.parametrize("paginator", [LinkHeader(), NextUrl("next")], ids=["header", "body"])
@pytest.mark.parametrize(
    ("link", "leads_to"),
    [
        ("?cursor=3", ("/api/shop/items", [("cursor", "3")])),
        ("more", ("/api/shop/more", [])),
        ("./more?cursor=3", ("/api/shop/more", [("cursor", "3")])),
        ("../more?cursor=3", ("/api/more", [("cursor", "3")])),
        ("/api/more?cursor=3", ("/api/more", [("cursor", "3")])),
        ("//{host}/api/more?cursor=3", ("/api/more", [("cursor", "3")])),
        ("http://{host}/api/more?cursor=3", ("/api/more", [("cursor", "3")])),
        ("HTTP://{host}/api/more?cursor=3", ("/api/more", [("cursor", "3")])),
        ("?sort=name&cursor=3", ("/api/shop/items", [("sort", "name"), ("cursor", "3")])),
        ("?tag=b&tag=a&tag=b", ("/api/shop/items", [("tag", "b"), ("tag", "a"), ("tag", "b")])),
        ("?cursor=a%2Bb%2F%3D%26&empty=", ("/api/shop/items", [("cursor", "a+b/=&"), ("empty", "")])),
        ("?cursor=3#part", ("/api/shop/items", [("cursor", "3")])),
        ("?cursor=http://other.example/", ("/api/shop/items", [("cursor", "http://other.example/")])),
        ("?q=Z\u00fcrich", ("/api/shop/items", [("q", "Z\u00fcrich")])),
    ],
)
def test_a_next_link_is_complete_by_itself_and_relative_to_its_page(
    server: OAuthServer, hook: OAuth2Hook, paginator: Paginator, link: str, leads_to: tuple[str, Query]
) -> None:
    target = link.format(host=host_of(server))
    first = Reply(200, {"items": items(0), "next": target}, {"Link": f'<{target}>; rel="next"'})
    serve(server, in_turn(first, Reply(200, {"items": items(1)})))

    got = hook.records("shop/items", pagination=paginator, records="items", params={"sort": "id", "tag": "a"})

    assert ids(got) == [0, 1]
    assert (server.api_requests[1].path, server.api_requests[1].query) == leads_to


def test_a_relative_link_of_a_page_that_moved_is_relative_to_where_it_moved(
    server: OAuthServer, hook: OAuth2Hook
) -> None:
    moved = Reply(302, b"", {"Location": "/api/new/items"})
    serve(server, in_turn(moved, Reply(200, {"next": "more"}), Reply(200, {})))

    assert len(list(hook.pages("old/items", pagination=NextUrl("next")))) == 2
    assert [seen.path for seen in server.api_requests] == ["/api/old/items", "/api/new/items", "/api/new/more"]


@pytest.mark.parametrize(
    "lines",
    [
        ["Link: <?cursor=3>; rel=next"],
        ['LINK: <?cursor=3> ; REL = "NEXT"'],
        ['Link: <?x>; rel="prev"', 'Link: <?cursor=3>; rel="next"', 'Link: <?y>; rel="last"'],
        ['Link: <?x>; rel="first", <?cursor=3>; rel="next",<?y>; rel="last"'],
        ['Link: <?cursor=3>; rel="last next"'],
        ['Link: <?x>; title="a, b; rel=next"; rel=prev, <?cursor=3>; title="c, <d>; e"; rel=next'],
        [r'Link: <?cursor=3>; title="say \"hi\", <?x>; rel=prev"; rel="next"'],
        ['Link: <?cursor=3>; title*=UTF-8\'\'n%c3%a4chste; rel="next"; type="application/json"'],
    ],
)
def test_the_next_link_is_found_wherever_it_stands(server: OAuthServer, hook: OAuth2Hook, lines: list[str]) -> None:
    serve(server, in_turn(with_lines(*lines, body=items(0)), Reply(200, items(1))))

    assert ids(hook.records("items", pagination=LinkHeader())) == [0, 1]
    assert queries(server)[1] == [("cursor", "3")]


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["Link:"],
        ['Link: <?x>; rel="prev"'],
        ['Link: <?x>; rel="nextish"'],
        ['Link: <?x>; title="next"; rel="prev"'],
        ['Link: <?x>; title="a; rel=next"; rel="prev"'],
        ['Link: <?x>; rel="prev"; rel="next"'],  # the first rel counts (RFC 8288 §3.3)
        ["Link: <?x>"],
        ["X-Link: <?x>; rel=next"],
    ],
)
def test_what_is_no_next_link_is_not_followed(server: OAuthServer, hook: OAuth2Hook, lines: list[str]) -> None:
    serve(server, in_turn(with_lines(*lines, body=items(0))))

    assert ids(hook.records("items", pagination=LinkHeader())) == [0]


def test_commas_and_semicolons_in_a_link_belong_to_it(server: OAuthServer, hook: OAuth2Hook) -> None:
    serve(server, in_turn(with_lines("Link: <?ids=1,2;3>; rel=older", body=[]), Reply(200, [])))

    assert len(list(hook.pages("items", pagination=LinkHeader(rel="older")))) == 2
    assert queries(server)[1] == [("ids", "1,2;3")]


# Links that lead away -------------------------------------------------------------------------------------------------


@pytest.fixture
def foreign() -> Iterator[Server]:
    with Server(lambda _: Reply(200, {"items": items(666)})) as running:
        yield running


LEADING_AWAY = [
    "http://127.0.0.1:{foreign}/api/items",
    "//127.0.0.1:{foreign}/api/items",
    "http://localhost:{own}/api/items",
    "https://127.0.0.1:{own}/api/items",
    "http://user@127.0.0.1:{own}/api/items",
    "http://127.0.0.1:{own}@127.0.0.1:{foreign}/api/items",
    "http://127.0.0.1:{foreign}\\@127.0.0.1:{own}/api/items",
    "//127.0.0.1:{foreign}\\@127.0.0.1:{own}/",
    "HTTP:////127.0.0.1:{foreign}/items",
    "file:///etc/hostname",
]


@pytest.mark.statement(24)
@pytest.mark.parametrize("kind", ["link_header", "next_url", "function"])
@pytest.mark.parametrize("link", LEADING_AWAY)
def test_a_next_link_to_another_origin_takes_nothing_there(
    server: OAuthServer, foreign: Server, hook: OAuth2Hook, link: str, kind: str
) -> None:
    target = link.format(own=server.port, foreign=foreign.port)
    lines = ["Content-Type: application/json", f'Link: <{target}>; rel="next"']
    serve(server, in_turn(with_lines(*lines, body={"items": items(0), "next": target})))
    paginator: Any = {
        "link_header": LinkHeader(),
        "next_url": NextUrl("next"),
        "function": lambda response: {"endpoint": response.json()["next"]},
    }[kind]

    came, error = pulled(hook.records("items", pagination=paginator, records="items"))

    assert came == [0]
    assert isinstance(error, PermanentError)
    assert foreign.connections == 0
    # To a function's endpoint the base URL is put in front, unless it is absolute: it is no link.
    assert len(server.api_requests) == (2 if kind == "function" and link.startswith("//") else 1)
    if link.startswith("http://127"):
        assert isinstance(error, OriginError)


def test_a_redirect_in_the_middle_of_a_pull_leads_no_token_away(
    server: OAuthServer, foreign: Server, hook: OAuth2Hook
) -> None:
    moved = Reply(302, b"", {"Location": f"{foreign.url}/api/items"})
    serve(server, in_turn(Reply(200, {"next": "?page=2"}), moved))

    with pytest.raises(OriginError, match="allowed_hosts"):
        list(hook.pages("items", pagination=NextUrl("next")))

    assert foreign.connections == 0


def test_a_next_link_to_an_origin_that_was_allowed_is_followed(
    server: OAuthServer, foreign: Server, connect: Connection
) -> None:
    link = f"{foreign.url}/api/items"
    serve(server, in_turn(with_lines(f"Link: <{link}>; rel=next", body={"items": items(0)})))
    hook = OAuth2Hook(oauth2_conn_id=connect(allowed_hosts=foreign.url))

    assert ids(hook.records("items", pagination=LinkHeader(), records="items")) == [0, 666]
    assert foreign.seen[0].headers["authorization"] == f"Bearer {hook.get_token().value}"


def test_a_next_link_that_gives_tls_up_is_not_followed(connect: Connection, tmp_path: Path) -> None:
    ours = Authority.make(tmp_path, "ours")
    with OAuthServer(context=ours.server_context()) as tls:
        link = f"http://127.0.0.1:{tls.port}/api/items?page=2"
        serve(tls, in_turn(with_lines(f"Link: <{link}>; rel=next", body={"items": items(0)})))
        hook = OAuth2Hook(
            oauth2_conn_id=connect(host=f"{tls.url}/token", base_url=f"{tls.url}/api", verify=str(ours.bundle))
        )

        with pytest.raises(OriginError):
            list(hook.pages("items", pagination=LinkHeader(), records="items"))

        assert len(tls.api_requests) == 1
