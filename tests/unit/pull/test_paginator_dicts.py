"""The same paginators written as dicts; what cannot be right fails by its name."""

from __future__ import annotations

import dataclasses
import json
import pickle
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.pull.pagination import (
    KINDS,
    Cursor,
    HeaderCursor,
    Keyset,
    LinkHeader,
    NextUrl,
    Offset,
    PageNumber,
    Paginator,
    Single,
    paginator_of,
)

ALL: list[tuple[Paginator, dict[str, Any]]] = [
    (LinkHeader(), {"kind": "link_header"}),
    (LinkHeader("older"), {"kind": "link_header", "rel": "older"}),
    (NextUrl("a.b"), {"kind": "next_url", "path": "a.b"}),
    (Cursor("a", param="b"), {"kind": "cursor", "path": "a", "param": "b"}),
    (
        Cursor("a", body_path="b.c", has_more_path="d"),
        {"kind": "cursor", "path": "a", "body_path": "b.c", "has_more_path": "d"},
    ),
    (HeaderCursor("X-A", "b"), {"kind": "header_cursor", "header": "X-A", "param": "b"}),
    (Offset(5), {"kind": "offset", "limit": "5"}),
    (
        Offset(5, offset_param="skip", limit_param="top", start=1, total_path="n", in_body=True),
        {"kind": "offset", "limit": 5, "offset_param": "skip", "limit_param": "top", "start": "1", "total_path": "n",
         "in_body": True},
    ),
    (PageNumber(), {"kind": "page_number"}),
    (
        PageNumber(0, param="p", size=5, size_param="s", total_pages_path="n", in_body=True),
        {"kind": "page_number", "start": " 0 ", "param": "p", "size": "5", "size_param": "s", "total_pages_path": "n",
         "in_body": True},
    ),
    (Keyset("id", "after"), {"kind": "keyset", "record_path": "id", "param": "after"}),
    (Single(), {"kind": "single"}),
]  # fmt: skip


@pytest.mark.parametrize(("paginator", "written"), ALL, ids=[repr(paginator) for paginator, _ in ALL])
def test_a_dict_is_the_same_paginator(paginator: Paginator, written: dict[str, Any]) -> None:
    kind = next(name for name, kind in KINDS.items() if type(paginator) is kind)
    assert paginator_of(written) == paginator_of(paginator) == paginator
    assert written["kind"] == kind  # the caller's dict is as it was
    assert paginator_of(json.loads(json.dumps({"kind": kind, **dataclasses.asdict(paginator)}))) == paginator
    assert pickle.loads(pickle.dumps(paginator)) == paginator
    assert hash(paginator) == hash(paginator_of(written))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (5, "pagination: .* is no paginator"),
        ("link_header", "pagination: text is no paginator"),
        (["cursor"], "pagination: a list is no paginator"),
        (LinkHeader, r"pagination: LinkHeader is a class: write LinkHeader\(…\)"),
        ({}, "pagination: the kind 'None' is none of link_header, next_url"),
        ({"kind": "Cursor"}, "pagination: the kind 'Cursor' is none of"),
        ({"kind": ["cursor"]}, "pagination: the kind "),
        ({"kind": "cursor", "param": "a"}, "pagination: cursor: missing 1 required .* 'path'"),
        ({"kind": "cursor", "path": "a", "parm": "b"}, "pagination: cursor: .* 'parm'"),
        ({"kind": "single", 5: 6}, "pagination: single: "),
        ({"kind": "page_number", "sise": 5}, "'sise'"),
    ],
)
def test_what_is_no_paginator_fails_and_says_why(value: Any, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        paginator_of(value)


NAMES: list[tuple[type[Paginator], dict[str, Any], tuple[str, ...]]] = [
    (LinkHeader, {}, ("rel",)),
    (NextUrl, {"path": "a"}, ("path",)),
    (Cursor, {"path": "a", "param": "b"}, ("path", "has_more_path")),
    (Cursor, {"path": "a", "param": "b"}, ("param",)),
    (Cursor, {"path": "a", "body_path": "b"}, ("body_path",)),
    (HeaderCursor, {"header": "a", "param": "b"}, ("header", "param")),
    (Offset, {"limit": 5}, ("offset_param", "limit_param", "total_path")),
    (PageNumber, {"size": 5, "size_param": "a"}, ("param", "size_param", "total_pages_path")),
    (Keyset, {"record_path": "a", "param": "b"}, ("record_path", "param")),
]


@pytest.mark.parametrize("wrong", ["", 5, [], ["a"], {}, True, b"a"], ids=repr)
@pytest.mark.parametrize(("kind", "right", "names"), NAMES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_name_must_be_a_text_that_says_something(
    kind: type[Paginator], right: dict[str, Any], names: tuple[str, ...], wrong: Any
) -> None:
    for name in names:
        with pytest.raises(SettingsError, match=f"pagination: {name} of {kind.__name__}"):
            kind(**{**right, name: wrong})


@pytest.mark.parametrize(
    "make",
    [
        NextUrl,
        lambda text: Cursor(text, param="a"),
        lambda text: Cursor("a", param="a", has_more_path=text),
        lambda text: Offset(5, total_path=text),
        lambda text: PageNumber(total_pages_path=text),
        lambda text: Keyset(text, "a"),
    ],
)
def test_a_wrong_path_fails_where_it_is_written(make: Any) -> None:
    with pytest.raises(SettingsError, match=r"pagination.*'a\[' is not a JMESPath"):
        make("a[")


@pytest.mark.parametrize("paginator", [paginator for paginator, _ in ALL], ids=repr)
def test_a_paginator_is_a_value_that_does_not_change(paginator: Paginator) -> None:
    for part in dataclasses.fields(paginator):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(paginator, part.name, "other")
