"""The request for a page is a value: changed into the next one, and written down to go on from."""

from __future__ import annotations

import dataclasses
import json
import pickle
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.pull.request import PageRequest

KEY = "made-up-key"


def test_it_is_a_value_that_shows_neither_query_nor_body_nor_headers() -> None:
    request = PageRequest("POST", f"orders?key={KEY}", {"k": KEY}, {"k": KEY}, {"k": KEY}, {"X": KEY}, {"cert": KEY})
    assert repr(request) == "PageRequest(POST orders)"
    assert repr(PageRequest()) == "PageRequest(GET )"
    assert pickle.loads(pickle.dumps(request)) == request
    with pytest.raises(dataclasses.FrozenInstanceError):
        request.endpoint = "other"  # type: ignore[misc]


def test_a_link_takes_nothing_of_the_query_along() -> None:
    request = PageRequest("POST", "orders", {"a": 1}, {"b": 2}, None, {"X": "1"}, {"timeout": 5})
    assert request.at("https://api.example.com/x?c=3") == dataclasses.replace(
        request, endpoint="https://api.example.com/x?c=3", params=None
    )


@pytest.mark.parametrize(
    ("endpoint", "params", "changes", "expected"),
    [
        ("o", None, {"a": 1}, ("o", {"a": 1})),
        (None, {"a": 0, "b": 2}, {"a": 1}, (None, {"a": 1, "b": 2})),
        ("o?a=0", None, {"a": 1}, ("o", {"a": 1})),
        ("o?a=0&a=9&b=x%20y&c=", {"d": 4}, {"a": 1}, ("o?b=x+y&c=", {"d": 4, "a": 1})),
        ("o?b=x%20y", None, {"a": 1}, ("o?b=x%20y", {"a": 1})),  # left as it was written
        ("o?", None, {"a": 1}, ("o?", {"a": 1})),
        ("https://api.example.com/o?a=0&b=2", None, {"a": 1}, ("https://api.example.com/o?b=2", {"a": 1})),
    ],
)
def test_a_parameter_is_sent_once(endpoint: Any, params: Any, changes: Any, expected: Any) -> None:
    before = json.dumps(params)
    changed = PageRequest("GET", endpoint, params).with_params(**changes)
    assert (changed.endpoint, changed.params) == expected
    assert json.dumps(params) == before


@pytest.mark.parametrize("params", ["a=b", b"a=b", [("a", "b")], 5])
def test_parameters_cannot_be_added_to_what_is_no_mapping(params: Any) -> None:
    with pytest.raises(SettingsError, match=r"query \(params of the hook\) must be a mapping"):
        PageRequest(params=params).with_params(a=1)


@pytest.mark.parametrize(
    ("body", "path", "expected"),
    [
        (None, "a", {"a": 1}),
        ({}, "a.b", {"a": {"b": 1}}),
        ({"a": None}, "a.b", {"a": {"b": 1}}),
        ({"a": {"b": 0, "c": 2}, "d": 3}, "a.b", {"a": {"b": 1, "c": 2}, "d": 3}),
        ({"a": {"b": {"x": 1}}}, "a.b", {"a": {"b": 1}}),
    ],
)
def test_a_body_is_changed_at_a_place_and_the_old_one_stays(body: Any, path: str, expected: Any) -> None:
    before = json.dumps(body)
    changed = PageRequest("POST", json=body).with_json(path, 1)
    assert changed.json == expected
    assert changed.json_at(path) == 1
    assert json.dumps(body) == before


@pytest.mark.parametrize("body", [[], [1], "text", 5, {"a": [1]}, {"a": "text"}])
def test_what_is_no_object_cannot_be_changed_at_a_place(body: Any) -> None:
    with pytest.raises(SettingsError, match="json must be an object"):
        PageRequest("POST", json=body).with_json("a.b", 1)


def test_nothing_stands_where_there_is_nothing() -> None:
    body: Any
    for body in (None, [], "text", {"a": 5}, {"a": {"c": 1}}):
        assert PageRequest("POST", json=body).json_at("a.b") is None


# What a function returned ---------------------------------------------------------------------------------------------

GET = PageRequest("GET", "orders", {"a": 1, "b": 2}, None, None, {"X": "1"})
POST = PageRequest("POST", "orders", {"a": 1}, {"j": 1, "k": 2}, None, {"X": "1"})
FORM = PageRequest("POST", "orders", None, None, {"f": 1, "g": 2})


@pytest.mark.parametrize(
    ("begun", "changes", "expected"),
    [
        (GET, {"endpoint": "more"}, {"endpoint": "more"}),
        (GET, {"params": {"b": 3}}, {"params": {"a": 1, "b": 3}}),
        (GET, {"data": {"b": 3}}, {"params": {"a": 1, "b": 3}}),  # as HttpOperator sends data of a GET
        (GET, {"data": {"b": 3, "c": 0}, "params": {"c": 4}}, {"params": {"a": 1, "b": 3, "c": 4}}),
        (GET, {"data": "b=3"}, {"data": "b=3"}),
        (GET, {"headers": {"Y": "2"}}, {"headers": {"X": "1", "Y": "2"}}),
        (GET, {"params": "b=3"}, {"params": "b=3"}),
        (FORM, {"data": {"g": 3}}, {"data": {"f": 1, "g": 3}}),
        (POST, {"json": {"j": 2}}, {"json": {"j": 2}}),
        (GET, {"endpoint": None, "params": {}, "headers": None, "data": ""}, {}),  # nothing is no change
        (GET, {"extra_options": {"timeout": 5, "check_response": False, "stream": True}}, {"options": {"timeout": 5}}),
        (GET, {"extra_options": {"check_response": False}}, {}),
        (GET, {"extra_options": None}, {}),
    ],
)
def test_a_function_changes_what_it_names(begun: PageRequest, changes: Any, expected: dict[str, Any]) -> None:
    assert begun.changed_by(changes) == dataclasses.replace(begun, **expected)


@pytest.mark.parametrize(
    ("changes", "named"), [({"url": "/b"}, "'url'"), ({"param": 1, "zoo": 2}, "'param'"), ({5: 1}, "'5'")]
)
def test_what_is_no_part_of_a_request_is_refused(changes: Any, named: str) -> None:
    with pytest.raises(SettingsError, match=f"pagination: the function returned {named}, which is no part"):
        GET.changed_by(changes)


# Written down ---------------------------------------------------------------------------------------------------------

BEGUN = PageRequest(
    "POST", "orders", {"a": 1, "b": "x"}, {"q": {"from": 0, "sort": KEY}, "s": [1, 2]}, None, {"X": KEY}
)


@pytest.mark.parametrize(
    ("now", "changes"),
    [
        (BEGUN, []),
        (BEGUN.with_params(page=2), [[["params", "page"], 2]]),
        (BEGUN.with_params(a=2), [[["params", "a"], 2]]),
        (BEGUN.with_params(a="1"), [[["params", "a"], "1"]]),
        (BEGUN.with_params(a=1.0), [[["params", "a"], 1.0]]),
        (BEGUN.with_params(a=True), [[["params", "a"], True]]),
        (BEGUN.with_params(a=None), [[["params", "a"], None]]),
        (BEGUN.with_json("q.from", 5), [[["json", "q", "from"], 5]]),
        (BEGUN.with_json("q.after.id", "z"), [[["json", "q", "after"], {"id": "z"}]]),
        (BEGUN.with_json("new.place", 0), [[["json", "new"], {"place": 0}]]),
        (BEGUN.changed_by({"headers": {"Y": "2"}}), [[["headers", "Y"], "2"]]),
        (BEGUN.changed_by({"extra_options": {"timeout": 5}}), [[["options"], {"timeout": 5}]]),
        (BEGUN.changed_by({"json": {"from": 5}}), [[["json"], {"from": 5}]]),
        (BEGUN.changed_by({"json": [1, {"a": 2}]}), [[["json"], [1, {"a": 2}]]]),
        (BEGUN.changed_by({"data": "text"}), [[["data"], "text"]]),
        (dataclasses.replace(BEGUN, json={"q": {}, "s": [1, 2]}), [[["json", "q"], {}]]),
        (dataclasses.replace(BEGUN, json=None), [[["json"], None]]),
        (dataclasses.replace(BEGUN, method="GET"), [[["method"], "GET"]]),
        (
            BEGUN.at("https://api.example.com/x?page=2"),
            [[["endpoint"], "https://api.example.com/x?page=2"], [["params"], None]],
        ),
    ],
)
def test_what_changed_is_written_down_and_leads_back_exactly(now: PageRequest, changes: list[Any]) -> None:
    written = now.changes_since(BEGUN)
    assert written == changes
    read = BEGUN.with_changes(json.loads(json.dumps(written)))
    assert read == now
    assert _types(dataclasses.asdict(read)) == _types(dataclasses.asdict(now))
    assert KEY not in json.dumps(written)


@pytest.mark.parametrize(
    ("then", "now"),
    [
        (PageRequest(), PageRequest("GET", "o", {"x.y": 1}, {"a.b": {"c": None}}, None, {"X.Y": "1"})),
        (PageRequest(params={}, json={}), PageRequest(params={"a": []}, json={"a": {"b": [{"c": 1.5}]}})),
        (PageRequest(params={"a": [1]}), PageRequest(params={"a": [1, 2]})),
        (PageRequest(json={"a": {"b": {"c": 1}}}), PageRequest(json={"a": {"b": {"c": None, "d": {}}}})),
        (PageRequest(json={"a": None}), PageRequest(json={"a": {"b": None}})),
        (PageRequest(json={"a": {"b": 1}}), PageRequest(json={"a": None})),
        (PageRequest(json={"a": 1, "b": 2}), PageRequest(json={"b": 2})),
        (PageRequest(json=[1]), PageRequest(json={"a": 1})),
        (PageRequest(data=b"bytes", params=[("a", "b")]), PageRequest("GET", "more", [("a", "b")], data=b"bytes")),
    ],
)
def test_the_way_leads_on_from_whatever_was_written_first(then: PageRequest, now: PageRequest) -> None:
    assert then.with_changes(json.loads(json.dumps(now.changes_since(then)))) == now


def _types(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _types(item) for key, item in value.items()}
    return [_types(item) for item in value] if isinstance(value, list) else type(value)
