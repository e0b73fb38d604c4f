"""How each kind finds the next page: values in, values out."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import OAuth2Error, ResponseFormatError, SettingsError
from airflow_oauth_provider.pull.pagination import (
    Cursor,
    Function,
    HeaderCursor,
    Keyset,
    LinkHeader,
    NextUrl,
    Paginator,
    Single,
    as_template_field,
    paginator_of,
)
from airflow_oauth_provider.pull.request import PageRequest
from tests.support.pulls import answer, facts

ASKED = PageRequest("GET", "orders", {"sort": "id", "after": "old"}, headers={"X-Mine": "1"})
BASE = "https://api.example.com/v1"


def find_next(paginator: Paginator, document: Any = None, asked: PageRequest = ASKED, **page: Any) -> PageRequest:
    following = paginator.following(asked, facts(document, **page))
    assert following is not None
    return following


def test_a_single_page_is_the_only_one() -> None:
    assert Single().first(ASKED) == ASKED
    assert Single().following(ASKED, facts({"next": "/b"}, headers={"Link": "</b>; rel=next"})) is None
    assert paginator_of(None) == Single()


# Links ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "url"),
    [
        ("https://api.example.com/v1/orders?page=2", f"{BASE}/orders?page=2"),
        ("//other.example/orders", "https://other.example/orders"),
        ("/v2/orders?page=2", "https://api.example.com/v2/orders?page=2"),
        ("orders?page=2", f"{BASE}/orders?page=2"),
        ("more/2", f"{BASE}/more/2"),
        ("../v2/orders", "https://api.example.com/v2/orders"),
        ("?page=2&sort=id", f"{BASE}/orders?page=2&sort=id"),
    ],
)
@pytest.mark.parametrize("where", ["header", "body"])
def test_a_link_is_complete_by_itself_and_a_relative_one_begins_at_its_page(target: str, url: str, where: str) -> None:
    in_header = where == "header"
    found = (
        find_next(LinkHeader(), headers={"Link": f"<{target}>; rel=next"})
        if in_header
        else find_next(NextUrl("paging.next"), {"paging": {"next": target}})
    )
    assert found == PageRequest("GET", url, headers={"X-Mine": "1"})


@pytest.mark.parametrize("link", ["", "</b>; rel=prev", "<>; rel=next", "rubbish"])
def test_without_a_next_link_in_the_header_it_ends(link: str) -> None:
    assert LinkHeader().following(ASKED, facts(headers={"Link": link})) is None
    assert LinkHeader().following(ASKED, facts()) is None


def test_another_relation_leads_on_where_it_is_named() -> None:
    assert (
        find_next(LinkHeader("Older"), headers={"Link": "</a>; rel=next, </b>; rel=older"}).endpoint
        == "https://api.example.com/b"
    )


@pytest.mark.parametrize("document", [None, {}, [], {"next": None}, {"next": ""}, {"next": False}])
def test_without_a_url_in_the_body_it_ends(document: Any) -> None:
    assert NextUrl("next").following(ASKED, facts(document)) is None


@pytest.mark.parametrize(
    ("value", "what"),
    [(0, "an? .*"), (5, "an? .*"), (True, "a truth value"), ([], "a list"), (["/b"], "a list"), ({}, "an object")],
)
def test_what_is_no_url_of_a_next_page_is_an_error(value: Any, what: str) -> None:
    with pytest.raises(ResponseFormatError, match=f"pagination: paging.next is {what}, not the URL"):
        NextUrl("paging.next").following(ASKED, facts({"paging": {"next": value}}))


@pytest.mark.parametrize("paginator", [LinkHeader(), NextUrl("next")], ids=repr)
def test_a_link_that_no_parser_takes_is_the_apis_error(paginator: Paginator) -> None:
    with pytest.raises(ResponseFormatError, match=r"'http://\[bad', is no URL"):
        paginator.following(ASKED, facts({"next": "http://[bad"}, headers={"Link": "<http://[bad>; rel=next"}))


# Cursors --------------------------------------------------------------------------------------------------------------

PARAM = Cursor("next", param="after")
BODY = Cursor("next", body_path="page.after")


@pytest.mark.parametrize("cursor", ["b", "0", " ", 0, 7, 10**30, 1.5, "a&b=c"])
def test_a_cursor_is_sent_back_as_it_came(cursor: Any) -> None:
    assert find_next(PARAM, {"next": cursor}).params == {"sort": "id", "after": cursor}
    asked = PageRequest("POST", "orders", json={"page": {"size": 5}, "sort": "id"})
    assert find_next(BODY, {"next": cursor}, asked).json == {"page": {"size": 5, "after": cursor}, "sort": "id"}
    assert find_next(BODY, {"next": cursor}, PageRequest("POST")).json == {"page": {"after": cursor}}


def test_a_decimal_cursor_is_sent_as_it_was_written() -> None:
    assert find_next(PARAM, {"next": Decimal("1.50")}).params == {"sort": "id", "after": "1.50"}
    assert find_next(Keyset("at", "after"), last={"at": Decimal("1.50")}).params == {"sort": "id", "after": "1.50"}


@pytest.mark.parametrize("document", [None, {}, [], {"next": None}, {"next": ""}, {"next": False}])
def test_without_a_cursor_it_ends(document: Any) -> None:
    assert PARAM.following(ASKED, facts(document)) is None
    assert BODY.following(ASKED, facts(document)) is None


@pytest.mark.parametrize(
    ("value", "what"), [(True, "a truth value"), ([], "a list"), ([1], "a list"), ({}, "an object")]
)
def test_what_is_no_cursor_is_an_error(value: Any, what: str) -> None:
    with pytest.raises(ResponseFormatError, match=f"pagination: next is {what}, not a cursor"):
        PARAM.following(ASKED, facts({"next": value}))


MORE = Cursor("next", param="after", has_more_path="more")


@pytest.mark.parametrize("more", [False, "false", "False ", "0", "no", "", 0, [], {}])
def test_a_flag_that_says_no_ends_it_whatever_the_cursor_is(more: Any) -> None:
    assert MORE.following(ASKED, facts({"next": "b", "more": more})) is None


@pytest.mark.parametrize("more", [True, "true", "1", "yes", 1, [0]])
def test_a_flag_that_says_yes_needs_a_cursor(more: Any) -> None:
    assert find_next(MORE, {"next": "b", "more": more}).params == {"sort": "id", "after": "b"}
    for cursor in (None, "", False):
        with pytest.raises(ResponseFormatError, match="more promises another page, but next is empty"):
            MORE.following(ASKED, facts({"next": cursor, "more": more}))


@pytest.mark.parametrize("flag", [{}, {"more": None}])
def test_a_flag_that_is_missing_leaves_it_to_the_cursor(flag: dict[str, None]) -> None:
    assert find_next(MORE, {"next": "b", **flag}).params == {"sort": "id", "after": "b"}
    assert MORE.following(ASKED, facts({"next": None, **flag})) is None


@pytest.mark.parametrize("chosen", [{}, {"param": "a", "body_path": "b"}])
def test_a_cursor_is_sent_in_one_place(chosen: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="either param or body_path"):
        Cursor("next", **chosen)


def test_a_header_holds_the_cursor() -> None:
    paginator = HeaderCursor("X-Next", "after")
    assert find_next(paginator, headers={"x-next": " b "}).params == {"sort": "id", "after": "b"}
    headers: dict[str, str]
    for headers in ({}, {"X-Next": ""}, {"X-Next": "  "}, {"X-Other": "b"}):
        assert paginator.following(ASKED, facts(headers=headers)) is None


def test_the_last_record_says_where_the_next_page_begins() -> None:
    paginator = Keyset("meta.id", "after")
    assert paginator.first(ASKED) == ASKED
    assert find_next(paginator, count=2, last={"meta": {"id": 0}}).params == {"sort": "id", "after": 0}
    assert paginator.following(ASKED, facts(count=0)) is None


@pytest.mark.parametrize(
    ("last", "what"), [({}, "missing"), ({"id": None}, "missing"), ({"id": [1]}, "a list"), ({"id": {}}, "an object")]
)
def test_a_last_record_without_a_key_is_an_error(last: Any, what: str) -> None:
    with pytest.raises(ResponseFormatError, match=f"the last record's id is {what}, not a key"):
        Keyset("id", "after").following(ASKED, facts(last=last))


@pytest.mark.parametrize(
    ("paginator", "asked", "why"),
    [
        (PARAM, PageRequest(params="a=b"), "query .* must be a mapping"),
        (HeaderCursor("X-Next", "after"), PageRequest(params=[("a", "b")]), "query .* must be a mapping"),
        (Keyset("id", "after"), PageRequest(params=b"a=b"), "query .* must be a mapping"),
        (BODY, PageRequest("POST", json=[1]), "json must be an object"),
        (BODY, PageRequest("POST", json={"page": "text"}), "json must be an object"),
        (BODY, PageRequest("POST", data={"a": 1}), "has data: give json in its place"),
    ],
)
def test_a_request_without_a_place_for_what_is_sent_back_fails_before_it_is_sent(
    paginator: Paginator, asked: PageRequest, why: str
) -> None:
    with pytest.raises(SettingsError, match=why):
        paginator.first(asked)


@pytest.mark.parametrize(
    "paginator", [PARAM, BODY, HeaderCursor("X-Next", "after"), Keyset("id", "after"), LinkHeader()]
)
def test_the_first_request_is_sent_as_it_is(paginator: Paginator) -> None:
    asked = PageRequest("POST", "orders?after=0", {"sort": "id"}, {"page": {"size": 5}})
    assert paginator.first(asked) == asked


# Functions ------------------------------------------------------------------------------------------------------------


def test_a_function_lays_its_changes_over_the_first_request() -> None:
    response = answer()
    begun = PageRequest("GET", "orders", {"sort": "id"})
    told = dataclasses.replace(facts(), response=response, begun=begun)
    asked: list[Any] = []

    def following(seen: Any) -> dict[str, Any]:
        asked.append(seen)
        return {"params": {"page": 2}}

    paginator = paginator_of(following)
    assert paginator.following(ASKED, told) == PageRequest("GET", "orders", {"sort": "id", "page": 2})
    assert asked == [response]
    assert paginator.following(ASKED, facts()) is None


@pytest.mark.parametrize("nothing", [None, {}, False, ""])
def test_a_function_ends_it_by_returning_nothing(nothing: Any) -> None:
    assert Function(lambda _: nothing).following(ASKED, dataclasses.replace(facts(), response=answer())) is None


@pytest.mark.parametrize(("wrong", "what"), [("/next", "text"), ([1], "a list"), ({"url": "/b"}, "'url'")])
def test_a_function_that_returns_no_request_is_told_so(wrong: Any, what: str) -> None:
    with pytest.raises(SettingsError, match=f"pagination: the function returned {what}"):
        Function(lambda _: wrong).following(ASKED, dataclasses.replace(facts(), response=answer()))


def failing(response: Any) -> None:
    raise KeyError("made-up-key")


def test_a_function_that_fails_is_named_without_what_it_said() -> None:
    with pytest.raises(ResponseFormatError, match=r"Function\(failing\) raised KeyError for this page") as caught:
        Function(failing).following(ASKED, dataclasses.replace(facts(), response=answer()))
    assert "made-up-key" not in str(caught.value)
    assert isinstance(caught.value.__cause__, KeyError)


def next_page(response: Any) -> None:
    return None


class NextPage:
    def __call__(self, response: Any) -> None:
        return None


def test_a_function_is_named_without_an_address() -> None:
    assert repr(Function(next_page)) == "Function(next_page)"
    assert repr(Function(NextPage())) == "Function(NextPage)"


def test_what_airflow_would_call_in_a_template_field_is_wrapped() -> None:
    assert as_template_field(next_page) == Function(next_page)
    for value in (None, {"kind": "single"}, LinkHeader(), "{{ x }}", Function(next_page)):
        assert as_template_field(value) == value
        assert not callable(as_template_field(value))


def test_a_page_shows_no_value_of_its_own() -> None:
    shown = repr(facts({"secret": 1}, last={"secret": 2}, headers={"X-Key": "made-up"}))
    assert "made-up" not in shown
    assert "secret" not in shown


def test_a_function_of_a_path_that_cannot_take_the_answer_is_an_error() -> None:
    with pytest.raises(OAuth2Error, match=r"'sum\(n\)' cannot be applied"):
        NextUrl("sum(n)").following(ASKED, facts({"n": "text"}))
