"""Where a pull ends: where the API says or at a limit, and not before."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_oauth_provider.exceptions import ResponseFormatError
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.pull.pagination import Cursor, Keyset, LinkHeader, Offset, PageNumber, Paginator
from tests.support.paged_api import BY_CURSOR, CURSOR, NEXT, Chain, Numbers, ids, in_turn, page_of, serve
from tests.support.servers import OAuthServer, Reply, Seen

# The end --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pull", BY_CURSOR.values(), ids=BY_CURSOR)
def test_an_empty_page_in_the_middle_ends_nothing_where_the_api_names_the_next_one(
    server: OAuthServer, hook: OAuth2Hook, pull: dict[str, Any]
) -> None:
    chain = Chain({"": "a", "a": "b", "b": "c"})

    def second_and_third_empty(seen: Seen) -> Reply:
        reply = chain(seen)
        assert isinstance(reply.body, dict)
        return Reply(200, reply.body | {"items": []} if chain.served in (2, 3) else reply.body, reply.headers)

    serve(server, second_and_third_empty)

    assert ids(hook.records("items", records="items", **pull)) == [1, 4]


@pytest.mark.parametrize("paginator", [Offset(2), PageNumber(), Keyset("id", "after")], ids=repr)
@pytest.mark.parametrize("last", [page_of(), Reply(204)], ids=["no records", "204"])
def test_an_empty_page_ends_what_is_counted_and_a_short_one_does_not(
    server: OAuthServer, hook: OAuth2Hook, paginator: Paginator, last: Reply
) -> None:
    serve(server, in_turn(page_of(0, 1), page_of(2), page_of(3, 4), last))

    assert ids(hook.records("items", pagination=paginator, records="items")) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("size", [1, 2, 5], ids=lambda size: f"{size} a page")
def test_an_offset_goes_on_behind_what_came_whatever_was_asked_for(
    server: OAuthServer, hook: OAuth2Hook, size: int
) -> None:
    serve(server, Numbers(total=7, size=size))

    assert ids(hook.records("items", pagination=Offset(3), records="items")) == list(range(7))


@pytest.mark.parametrize("total", [7, "7", " 7 ", 7.0], ids=repr)
def test_a_total_ends_a_pull_without_one_more_request(server: OAuthServer, hook: OAuth2Hook, total: Any) -> None:
    serve(server, Numbers(total=7, size=3, extra={"total": total, "pages": "3"}))

    for paginator in (Offset(3, total_path="total"), PageNumber(total_pages_path="pages")):
        assert ids(hook.records("items", pagination=paginator, records="items")) == list(range(7))
    assert len(server.api_requests) == 3 + 3


@pytest.mark.parametrize("unknown", [None, "", " ", -1, "-1", "n/a", "10000+", True, 0, "0", [], {}], ids=repr)
@pytest.mark.parametrize("paginator", [Offset(3, total_path="n"), PageNumber(total_pages_path="n")], ids=repr)
def test_a_total_that_says_nothing_or_is_wrong_loses_no_record(
    server: OAuthServer, hook: OAuth2Hook, paginator: Paginator, unknown: Any
) -> None:
    serve(server, Numbers(total=7, size=3, extra={"n": unknown}))

    assert ids(hook.records("items", pagination=paginator, records="items")) == list(range(7))


@pytest.mark.parametrize("totals", [[5, 7, 9], ["5", None, "9"], [9, 9, 9], [9, None, None]], ids=str)
def test_a_total_that_grows_or_goes_missing_is_followed(
    server: OAuthServer, hook: OAuth2Hook, totals: list[Any]
) -> None:
    serve(server, in_turn(*(page_of(n, n + 1, n + 2, total=t) for n, t in zip((0, 3, 6), totals, strict=True)),
                          page_of()))  # fmt: skip

    assert ids(hook.records("items", pagination=Offset(3, total_path="total"), records="items")) == list(range(9))


@pytest.mark.parametrize("paginator", [Offset(3, total_path="total"), PageNumber(total_pages_path="pages")], ids=repr)
def test_empty_pages_before_the_total_end_nothing_and_are_no_loop(
    server: OAuthServer, hook: OAuth2Hook, paginator: Paginator
) -> None:
    """Some APIs hide records after they counted them."""
    numbers: list[list[int]] = [[0, 1, 2], [], [], [9, 10, 11]]
    serve(server, in_turn(*(page_of(*page, total=12, pages=4) for page in numbers)))

    assert ids(hook.records("items", pagination=paginator, records="items")) == [0, 1, 2, 9, 10, 11]


@pytest.mark.parametrize("nothing", [None, "", False], ids=repr)
@pytest.mark.parametrize("paginator", [CURSOR, NEXT])
def test_no_cursor_is_the_end(server: OAuthServer, hook: OAuth2Hook, paginator: Paginator, nothing: Any) -> None:
    serve(server, in_turn(page_of(0, paging={"cursor": nothing, "next": nothing})))

    assert ids(hook.records("items", pagination=paginator, records="items")) == [0]


@pytest.mark.parametrize("wrong", [["a"], {"a": "b"}, True, []], ids=repr)
@pytest.mark.parametrize("paginator", [CURSOR, NEXT])
def test_what_cannot_be_a_cursor_is_an_error(
    server: OAuthServer, hook: OAuth2Hook, paginator: Paginator, wrong: Any
) -> None:
    serve(server, in_turn(page_of(0, paging={"cursor": wrong, "next": wrong})))

    with pytest.raises(ResponseFormatError, match="paging"):
        list(hook.pages("items", pagination=paginator, records="items"))


FLAGGED = Cursor("cursor", param="cursor", has_more_path="more")


@pytest.mark.parametrize("flag", [False, "false", "False", 0, "0"], ids=repr)
def test_a_flag_that_there_is_no_more_beats_a_cursor(server: OAuthServer, hook: OAuth2Hook, flag: Any) -> None:
    serve(server, in_turn(page_of(0, cursor="a", more=True), page_of(1, cursor="a", more=flag)))

    assert ids(hook.records("items", pagination=FLAGGED, records="items")) == [0, 1]


@pytest.mark.parametrize("flag", [{"more": True}, {"more": "true"}, {"more": 1}, {"more": None}, {}], ids=repr)
def test_a_cursor_is_followed_unless_the_flag_says_that_there_is_no_more(
    server: OAuthServer, hook: OAuth2Hook, flag: dict[str, Any]
) -> None:
    serve(server, in_turn(page_of(0, cursor="a", **flag), page_of(1, cursor="b", more=False)))

    assert ids(hook.records("items", pagination=FLAGGED, records="items")) == [0, 1]


def test_a_flag_that_there_is_more_without_a_cursor_is_an_error(server: OAuthServer, hook: OAuth2Hook) -> None:
    serve(server, in_turn(page_of(0, cursor=None, more=True)))

    with pytest.raises(ResponseFormatError, match="more"):
        list(hook.pages("items", pagination=FLAGGED, records="items"))


@pytest.mark.parametrize("last", [{"other": 1}, {"id": None}, {"id": {"a": 1}}, "text", None], ids=repr)
def test_a_last_record_without_its_key_is_an_error(server: OAuthServer, hook: OAuth2Hook, last: Any) -> None:
    serve(server, in_turn(Reply(200, [{"id": 1}, last])))

    with pytest.raises(ResponseFormatError, match="id"):
        list(hook.pages("items", pagination=Keyset("id", "after")))


# Limits ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "came"),
    [
        ({"max_pages": 1}, [3, 1]),
        ({"max_pages": 2}, [6, 2]),
        ({"max_records": 1}, [1, 1]),
        ({"max_records": 3}, [3, 1]),
        ({"max_records": 4}, [4, 2]),
        ({"max_records": 5, "max_pages": 1}, [3, 1]),
        ({"max_records": 2, "max_pages": 2}, [2, 1]),
    ],
    ids=str,
)
def test_a_limit_ends_a_pull_and_the_log_says_that_there_is_more(
    server: OAuthServer, hook: OAuth2Hook, caplog: pytest.LogCaptureFixture, limits: dict[str, int], came: list[int]
) -> None:
    expected, requests = came
    serve(server, Numbers(total=7, size=3))

    with caplog.at_level("INFO"):
        for paginator in (LinkHeader(), Offset(3, total_path="total"), PageNumber()):
            assert ids(hook.records("items", pagination=paginator, records="items", **limits)) == list(range(expected))

    assert len(server.api_requests) == 3 * requests
    said = [line for line in caplog.messages if "more" in line]
    assert len(said) == 3
    assert all(any(limit in line for limit in limits) for line in said)


@pytest.mark.parametrize("limits", [{"max_pages": 3}, {"max_records": 7}, {"max_records": 8}, {}], ids=str)
def test_a_limit_that_is_not_what_ended_a_pull_is_not_mentioned(
    server: OAuthServer, hook: OAuth2Hook, caplog: pytest.LogCaptureFixture, limits: dict[str, int]
) -> None:
    serve(server, Numbers(total=7, size=3))

    with caplog.at_level("INFO"):
        assert ids(hook.records("items", pagination=LinkHeader(), records="items", **limits)) == list(range(7))

    assert [line for line in caplog.messages if "max_" in line] == []


def test_limits_count_the_records_of_pages_too(server: OAuthServer, hook: OAuth2Hook) -> None:
    serve(server, Numbers(total=7, size=3))

    pages = hook.pages("items", pagination=LinkHeader(), records="items", max_records=4)

    assert [ids(page.records) for page in pages] == [[0, 1, 2], [3]]
