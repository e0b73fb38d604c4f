"""What cannot be right fails before the first request, by its parameter's name."""

from __future__ import annotations

import dataclasses
import pickle
import sys
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.pull.format import ACCEPT, Format
from airflow_oauth_provider.pull.pagination import Cursor, Function, LinkHeader, Offset, PageNumber, Single
from airflow_oauth_provider.pull.plan import MAX_CONCURRENCY, Position, PullPlan
from airflow_oauth_provider.pull.request import PageRequest


def test_by_default_it_is_one_page_of_json() -> None:
    plan = PullPlan.of()
    assert plan == PullPlan(Single(), Format())
    assert (plan.max_pages, plan.max_records, plan.concurrency) == (None, None, 1)
    assert (plan.format.name, plan.format.path, plan.format.use_decimal) == ("json", None, False)


def test_everything_may_come_as_text_from_templates() -> None:
    plan = PullPlan.of(
        pagination={"kind": "offset", "limit": "100", "total_path": "n"},
        records="data.items",
        max_pages="5",
        max_records=" 70 ",
        concurrency="8",
        use_decimal=True,
    )
    assert plan.paginator == Offset(100, total_path="n")
    assert (plan.max_pages, plan.max_records, plan.concurrency) == (5, 70, 8)
    assert plan.format.path is not None
    assert plan.format.path.keys == ("data", "items")
    assert plan.format.use_decimal
    assert PullPlan.of(csv_options=None, response_format="csv").format.csv_options == {}


def plan_with(**options: Any) -> PullPlan:
    return PullPlan.of(pagination=PageNumber(), **options)


@pytest.mark.parametrize("name", ["max_pages", "max_records", "concurrency"])
def test_limits_are_whole_numbers_of_at_least_one(name: str) -> None:
    wrong: Any
    for wrong in (0, -1, 1.5, "0", "", "many", "{{ x }}", "None", True, [], float("nan")):
        with pytest.raises(SettingsError, match=rf"^{name} is '.*', not a whole number of at least 1\.$"):
            plan_with(**{name: wrong})
    for right in (1, "1", 1.0):
        assert getattr(plan_with(**{name: right}), name) == 1


def test_a_long_value_is_cut_in_the_error() -> None:
    with pytest.raises(SettingsError) as caught:
        PullPlan.of(max_pages="x" * 500)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"concurrency": MAX_CONCURRENCY + 1, "pagination": PageNumber()}, "concurrency is 33, more than 32"),
        ({"concurrency": 2}, "concurrency needs pagination by Offset or PageNumber: Single"),
        ({"concurrency": 2, "pagination": LinkHeader()}, "concurrency needs .*: LinkHeader goes from page to page"),
        ({"concurrency": 2, "pagination": lambda _: None}, "concurrency needs .*: Function goes"),
        ({"response_format": "yaml"}, "response_format: 'yaml' is none of json, ndjson, csv, xml, raw"),
        ({"response_format": None}, "response_format: 'None' is none of"),
        ({"response_format": ["json"]}, "response_format: "),
        ({"response_format": "JSON"}, "response_format: 'JSON'"),
        ({"records": ""}, "records: '' is not a JMESPath"),
        ({"records": ["a"]}, "records: "),
        ({"records": 5}, "records: 5 is not a JMESPath"),
        ({"records": "a["}, r"records: 'a\[' is not a JMESPath"),
        *[
            ({"response_format": name, "records": "a"}, f"records: response_format='{name}' has no list")
            for name in ("ndjson", "csv", "raw")
        ],
        *[
            ({"response_format": name, "pagination": paginator}, f"pagination: .* response_format='{name}' is no doc")
            for name in ("ndjson", "csv", "raw")
            for paginator in (
                Cursor("a", param="b"),
                Offset(5, total_path="n"),
                PageNumber(total_pages_path="n"),
                {"kind": "next_url", "path": "a"},
            )
        ],
        *[
            ({"response_format": "raw", "pagination": paginator}, "pagination: .* raw bodies have none")
            for paginator in (Offset(5), PageNumber(), {"kind": "keyset", "record_path": "id", "param": "a"})
        ],
        ({"response_format": "raw", "max_records": 5}, "max_records: raw bodies have no records"),
        ({"csv_options": {"delimiter": ";"}}, "csv_options are given, but response_format is 'json'"),
    ],
)
def test_what_contradicts_itself_is_refused(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        PullPlan.of(**wrong)


@pytest.mark.parametrize(
    "right",
    [
        {"concurrency": MAX_CONCURRENCY, "pagination": Offset(5)},
        {"response_format": "raw", "pagination": LinkHeader(), "max_pages": 5},
        {"response_format": "raw", "pagination": Function(lambda _: None)},
        {"response_format": "ndjson", "pagination": Offset(5), "concurrency": 2},
        {"response_format": "ndjson", "pagination": {"kind": "keyset", "record_path": "id", "param": "a"}},
        {"response_format": "csv", "pagination": PageNumber(), "csv_options": {"delimiter": ";"}},
        {"response_format": "xml", "pagination": Cursor("a.b", param="c"), "records": "a.c"},
        {"records": "data.items[?price > `5`].{id: id}"},
    ],
)
def test_what_fits_together_is_not(right: dict[str, Any]) -> None:
    PullPlan.of(**right)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"sep": ";"}, "'sep'"),
        ({5: ";"}, ""),
        ({"delimiter": "xx"}, "delimiter"),
        ({"delimiter": None}, "delimiter"),
        ({"dialect": "no such"}, "unknown dialect"),
        ({"fieldnames": []}, "fieldnames must be a list of different names"),
        ({"fieldnames": "ab"}, "fieldnames must be a list"),
        ({"fieldnames": 5}, "fieldnames must be a list"),
        ({"fieldnames": ["a", "a"]}, "fieldnames must be a list"),
        ({"fieldnames": [1, "1"]}, "fieldnames must be a list"),
        ({"fieldnames": ["a", ""]}, "fieldnames must be a list"),
        (["a"], "must be a dict"),
        ("ab", "must be a dict"),
        (5, "must be a dict"),
    ],
)
def test_csv_options_are_what_the_csv_reader_takes(options: Any, why: str) -> None:
    with pytest.raises(SettingsError, match=f"csv_options.*{why}"):
        PullPlan.of(response_format="csv", csv_options=options)


@pytest.mark.parametrize(
    "options",
    [{"delimiter": ";", "quotechar": "'", "fieldnames": ["a", "b"]}, {"fieldnames": ("a",)}, {"strict": False}],
)
def test_csv_options_that_are_right_stay_as_they_are(options: Any) -> None:
    before = dict(options)
    assert PullPlan.of(response_format="csv", csv_options=options).format.csv_options == before == options


def test_xml_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    assert PullPlan.of(response_format="xml").format.name == "xml"
    monkeypatch.setitem(sys.modules, "xmltodict", None)
    with pytest.raises(SettingsError, match=r"response_format='xml' needs the extra airflow-oauth-provider\[xml\]"):
        PullPlan.of(response_format="xml")


def test_each_format_asks_for_what_it_reads() -> None:
    assert ACCEPT["json"] == "application/json"
    assert {name: accepted.partition(",")[0] for name, accepted in ACCEPT.items()} == {
        "json": "application/json",
        "ndjson": "application/x-ndjson",
        "csv": "text/csv",
        "xml": "application/xml",
        "raw": "*/*",
    }


def test_plan_and_position_are_values() -> None:
    plan = PullPlan.of(pagination=Offset(5), records="data", max_pages=3)
    position = Position(PageRequest("GET", "orders"))
    assert (position.number, position.records, position.skip) == (1, 0, 0)
    for value in (plan, plan.format, position):
        assert pickle.loads(pickle.dumps(value)) == value
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, dataclasses.fields(value)[0].name, None)
