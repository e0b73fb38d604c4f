"""JMESPath: plain paths are walked, others interpreted; both find the same."""

from __future__ import annotations

from typing import Any

import jmespath
import pytest

from airflow_oauth_provider.exceptions import ResponseFormatError, SettingsError
from airflow_oauth_provider.pull.paths import Path, path
from airflow_oauth_provider.pull.templates import has_template

DOCUMENT: dict[str, Any] = {
    "data": {"items": [{"id": 1}, {"id": 2}], "n": 0, "none": None, "": "empty"},
    "da-ta": {"a.b": 1, 'q"t': 2},
    "text": "x",
    "list": [[1], [2]],
    "item": 5,
}


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("data", ("data",)),
        (" data.items ", ("data", "items")),
        ("data.n", ("data", "n")),
        ("data.none", ("data", "none")),
        ("data.missing.further", ("data", "missing", "further")),
        ("text.further", ("text", "further")),
        ("list.further", ("list", "further")),
        ('"da-ta"', ("da-ta",)),
        ('"da-ta"."a.b"', ("da-ta", "a.b")),
        ('"data".items', ("data", "items")),
        ("item", ("item",)),
        ("data.items[0].id", None),
        ("data.items[].id", None),
        ("list[]", None),
        ("data.*", None),
        ("[data, text]", None),
        ("length(data.items)", None),
        ('"da-ta"."q\\"t"', None),
        ('"\\u0064ata"', None),
        ("@", None),
    ],
)
def test_a_path_finds_what_the_interpreter_finds(text: str, keys: tuple[str, ...] | None) -> None:
    found = Path(text, "records")
    assert found.keys == keys
    assert found.find(DOCUMENT) == jmespath.search(text, DOCUMENT)
    for document in (None, [], "x", 5, [DOCUMENT]):
        if "(" not in text:
            assert found.find(document) == jmespath.search(text, document)


@pytest.mark.parametrize(
    ("text", "holder"),
    [("data.items", DOCUMENT["data"]), ("data", DOCUMENT), ("text.a", "x"), ("data.missing.a", None), ("a.b.c", None)],
)
def test_the_holder_of_the_last_key_is_known(text: str, holder: Any) -> None:
    assert Path(text, "records").parent_of_last(DOCUMENT) == holder


@pytest.mark.parametrize("wrong", ["", "  ", None, 5, ["data"], {"a": 1}, b"data"])
def test_what_is_no_text_is_no_path(wrong: Any) -> None:
    for make in (path, Path):
        with pytest.raises(SettingsError, match=r"records: .* is not a JMESPath such as data.items"):
            make(wrong, "records")


@pytest.mark.parametrize(
    "wrong", ["a[", "a..b", ".a", "a.", "a b", "no_such(a)x", "{{ x }}", "a" * 9 + "[" * 3000, '"never ended', "\x00"]
)
def test_a_wrong_expression_names_its_parameter_and_is_cut(wrong: str) -> None:
    with pytest.raises(SettingsError, match=r"total_path: .* is not a JMESPath: ") as caught:
        path(wrong, "total_path")
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["sum(text)", "sort_by(list, &x)", "no_such_function(data)", "length(`5`)"])
def test_an_expression_that_cannot_take_the_answer_is_the_answers_error(text: str) -> None:
    with pytest.raises(ResponseFormatError, match=r"records: .* cannot be applied to the answer") as caught:
        path(text, "records").find(DOCUMENT)
    assert caught.value.__context__ is None
    assert "\n" not in str(caught.value)


def test_an_expression_is_compiled_once() -> None:
    assert path("data.items", "records") is path("data.items", "records")


class Reference:
    def iter_references(self) -> list[Any]:
        return []


@pytest.mark.parametrize(
    ("value", "templated"),
    [
        (None, False), ("", False), ("a", False), ("{ a }", False), (5, False), ({}, False), ([], False),
        ("{{ ds }}", True), ("{% if a %}", True), ({"a": ["{{ ds }}"]}, True), ({"a": {"b": "{{ ds }}"}}, True),
        (("a", "{{ ds }}"), True), (Reference(), True), ({"a": Reference()}, True), ([1, {"a": None}], False),
        ({"{{ ds }}": 1}, False),  # Airflow renders no keys
    ],
)  # fmt: skip
def test_what_comes_with_the_run_is_known_as_such(value: Any, templated: bool) -> None:
    assert has_template(value) is templated
