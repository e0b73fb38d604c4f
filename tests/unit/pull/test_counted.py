"""Pages that are counted: offsets, page numbers, totals, and what can be asked for ahead."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.pull.counted import Counted, Offset, PageNumber
from airflow_oauth_provider.pull.pagination import Keyset
from airflow_oauth_provider.pull.paginator import kind_of, whole_number
from airflow_oauth_provider.pull.request import PageRequest
from tests.support.pulls import facts

UNKNOWN: list[Any] = [None, "", " ", "many", "-1", "1.5", "1e3", -1, 1.5, True, [], {}, float("nan"), float("inf")]


def walk(paginator: Counted, *counts: int, document: Any = None) -> list[Any]:
    """Return the parameters of the requests for pages with so many records, and None where it ends."""
    request: PageRequest | None = paginator.first(PageRequest("GET", "orders"))
    seen = [request.params if request else None]
    for count in counts:
        assert request is not None
        request = paginator.following(request, facts(document, count=count))
        seen.append(request.params if request else None)
    return seen


@pytest.mark.parametrize("start", [0, 1])
def test_an_offset_goes_on_behind_what_came_until_an_empty_page(start: int) -> None:
    walked = walk(Offset(10, start=start), 10, 4, 13, 0)
    offsets = [params and params["offset"] for params in walked]
    assert offsets == [start, start + 10, start + 14, start + 27, None]
    assert all(params["limit"] == 10 for params in walked if params)


def test_the_parameters_have_the_names_that_the_api_gives_them() -> None:
    walked = walk(Offset(5, offset_param="skip", limit_param="top"), 5)
    assert walked == [{"skip": 0, "top": 5}, {"skip": 5, "top": 5}]
    assert walk(PageNumber(0, param="p", size=50, size_param="n"), 1) == [{"p": 0, "n": 50}, {"p": 1, "n": 50}]


@pytest.mark.parametrize(
    ("total", "counts", "offsets"),
    [
        (20, [10, 10], [0, 10, None]),
        ("20", [10, 10], [0, 10, None]),
        (" 20 ", [10, 10], [0, 10, None]),
        (20.0, [10, 10], [0, 10, None]),
        (Decimal(20), [10, 10], [0, 10, None]),
        (21, [10, 10, 1], [0, 10, 20, None]),
        (20, [10, 3, 7], [0, 10, 13, None]),  # a short page ends nothing
        (30, [10, 0, 10], [0, 10, 20, None]),  # nor does an empty one, when the total says that there is more
        (0, [0], [0, None]),
        (5, [10, 0], [0, 10, None]),  # less than what came: so it says nothing
        (0, [10, 3, 0], [0, 10, 13, None]),
        *[(unknown, [10, 0], [0, 10, None]) for unknown in UNKNOWN],
    ],
)
@pytest.mark.parametrize("start", [0, 1])
def test_a_total_ends_an_offset(total: Any, counts: list[int], offsets: list[int | None], start: int) -> None:
    walked = walk(Offset(10, start=start, total_path="meta.n"), *counts, document={"meta": {"n": total}})
    seen = [params and params["offset"] for params in walked]
    assert seen == [None if offset is None else offset + start for offset in offsets]


def test_a_total_that_is_nowhere_is_unknown() -> None:
    paginator = Offset(10, total_path="meta.n")
    document: Any
    for document in (None, [], {}, {"meta": 5}):
        assert walk(paginator, 10, 0, document=document)[-1] is None
        assert paginator.total(facts(document)) is None
    assert Offset(10).total(facts({"meta": {"n": 5}})) is None
    assert paginator.total(facts({"meta": {"n": "5"}})) == 5
    assert PageNumber(total_pages_path="n").total(facts({"n": 5})) is None  # these are pages


@pytest.mark.parametrize("start", [0, 1])
def test_page_numbers_end_with_an_empty_page(start: int) -> None:
    walked = walk(PageNumber(start), 10, 3, 13, 0)
    assert [params and params["page"] for params in walked] == [start, start + 1, start + 2, start + 3, None]


@pytest.mark.parametrize(
    ("pages", "counts", "numbers"),
    [
        (2, [10, 10], [0, 1, None]),
        ("2", [10, 10], [0, 1, None]),
        (2, [0, 0], [0, 1, None]),
        (1, [10], [0, None]),
        (0, [0], [0, None]),
        (0, [10, 3, 0], [0, 1, 2, None]),  # less than what came: so it says nothing
        *[(unknown, [10, 0], [0, 1, None]) for unknown in UNKNOWN],
    ],
)
@pytest.mark.parametrize("start", [0, 1])
def test_a_number_of_pages_ends_page_numbers(
    pages: Any, counts: list[int], numbers: list[int | None], start: int
) -> None:
    walked = walk(PageNumber(start, total_pages_path="n"), *counts, document={"n": pages})
    assert [params and params["page"] for params in walked] == [
        None if number is None else number + start for number in numbers
    ]


@pytest.mark.parametrize("paginator", [Offset(5), PageNumber(size=5, size_param="limit")], ids=repr)
def test_parameters_that_the_endpoint_brought_are_sent_once(paginator: Counted) -> None:
    name = "offset" if isinstance(paginator, Offset) else "page"
    begun = paginator.first(PageRequest("GET", f"orders?{name}=7&sort=id&limit=9", {"a": "b", "limit": 1}))
    assert begun.endpoint == "orders?sort=id"
    assert begun.params == {"a": "b", name: paginator.start, "limit": 5}  # type: ignore[attr-defined]


def test_both_stand_in_the_body_where_the_api_wants_them_there() -> None:
    paginator = Offset(5, offset_param="page.from", limit_param="page.size", in_body=True)
    begun = paginator.first(PageRequest("POST", "search", json={"q": "x", "page": {"sort": "id", "size": 9}}))
    assert begun.json == {"q": "x", "page": {"sort": "id", "from": 0, "size": 5}}
    following = paginator.following(begun, facts(count=5))
    assert following is not None
    assert following.json == {"q": "x", "page": {"sort": "id", "from": 5, "size": 5}}
    assert following.params is None
    numbered = PageNumber(param="n", in_body=True).first(PageRequest("POST"))
    assert numbered.json == {"n": 1}


@pytest.mark.parametrize("body", [[1], "text", 5])
def test_a_body_that_is_no_object_cannot_take_them(body: Any) -> None:
    with pytest.raises(SettingsError, match="json must be an object"):
        PageNumber(in_body=True).first(PageRequest("POST", json=body))


@pytest.mark.parametrize("params", ["a=b", [("a", "b")], b"a=b"])
def test_a_query_that_is_no_mapping_cannot_take_them(params: Any) -> None:
    with pytest.raises(SettingsError, match=r"query .* must be a mapping"):
        PageNumber().first(PageRequest("GET", params=params))


# Ahead ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("paginator", "name", "third"),
    [(Offset(10), "offset", 30), (Offset(10, start=1), "offset", 31), (PageNumber(0), "page", 3),
     (PageNumber(), "page", 4)],
)  # fmt: skip
def test_pages_have_addresses(paginator: Counted, name: str, third: int) -> None:
    assert paginator.addressable
    assert paginator.ends_empty
    begun = paginator.first(PageRequest("GET", "orders", {"sort": "id"}))
    assert paginator.shifted(begun, 0) == begun
    assert paginator.shifted(begun, 3) == begun.with_params(**{name: third})


@pytest.mark.parametrize(
    ("total", "at", "count", "behind"),
    [
        (100, 0, 10, 9), (101, 0, 10, 10), (91, 0, 10, 9), (90, 0, 10, 8), (10, 0, 10, 0), (100, 9, 10, 0),
        (100, 0, 0, 9), (5, 0, 5, 0), (0, 0, 0, 0), (95, 9, 5, 0),
        # Less than what came says nothing.
        (None, 0, 10, None), (5, 0, 10, None), (0, 0, 1, None), (95, 9, 10, None),
        # A page past the end is empty.
        (100, 10, 0, 0), (100, 20, 0, 0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("start", [0, 1])
def test_a_total_tells_how_many_pages_are_behind(
    total: int | None, at: int, count: int, behind: int | None, start: int
) -> None:
    paginator = Offset(10, start=start, total_path="n")
    request = paginator.shifted(paginator.first(PageRequest()), at)
    page = facts({"n": total}, count=count)
    assert paginator.pages_behind(request, page) == behind
    assert paginator.knows_end(request, page) is (behind is not None)


@pytest.mark.parametrize("start", [0, 1])
def test_a_number_of_pages_tells_how_many_are_behind(start: int) -> None:
    paginator = PageNumber(start, total_pages_path="n")
    first = paginator.first(PageRequest())

    def behind(at: int, count: int) -> int | None:
        request, page = paginator.shifted(first, at), facts({"n": 4}, count=count)
        assert paginator.knows_end(request, page) is (paginator.pages_behind(request, page) is not None)
        return paginator.pages_behind(request, page)

    assert [behind(at, 10) for at in range(6)] == [3, 2, 1, 0, None, None]  # records behind the last page: it is none
    assert [behind(at, 0) for at in range(6)] == [3, 2, 1, 0, 0, 0]
    assert PageNumber(start).pages_behind(first, facts({"n": 4})) is None


def test_a_way_of_counting_says_how() -> None:
    page = facts()
    for missing in (lambda: Counted().shifted(PageRequest(), 1), lambda: Counted().pages_behind(PageRequest(), page)):
        with pytest.raises(NotImplementedError):
            missing()


def test_only_what_counts_can_know_its_end() -> None:
    assert not Keyset("id", "after").knows_end(PageRequest(), facts())
    assert Keyset("id", "after").ends_empty
    assert not Keyset("id", "after").addressable


@pytest.mark.parametrize("value", [None, "soon", -1, {}])
def test_a_parameter_that_is_no_number_any_more_is_an_error(value: Any) -> None:
    with pytest.raises(SettingsError, match=r"pagination: page is .*, not a whole number"):
        PageNumber().following(PageRequest("GET", params={"page": value}), facts())


# Numbers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "name", "least"),
    [
        (Offset, "limit of Offset", 1),
        (lambda n: Offset(5, start=n), "start of Offset", 0),
        (PageNumber, "start of PageNumber", 0),
        (lambda n: PageNumber(size=n, size_param="s"), "size of PageNumber", 1),
    ],
)
def test_a_number_that_cannot_be_right_names_its_parameter(make: Any, name: str, least: int) -> None:
    for wrong in [*UNKNOWN[1:], "{{ 5 }}", Decimal("NaN"), Decimal("1.5"), 10**18, *range(least - 1, least)]:
        with pytest.raises(SettingsError, match=f"pagination: {name} is .*, not a whole number of at least {least}"):
            make(wrong)
    for right in (least, str(least), f" {least} ", float(least), Decimal(least)):
        assert make(right) == make(least)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: Offset(5, offset_param="n", limit_param="n"), "offset_param and limit_param of Offset"),
        (lambda: PageNumber(size=5), "both size and size_param"),
        (lambda: PageNumber(size_param="n"), "both size and size_param"),
        (lambda: Offset(5, in_body="false"), "in_body of Offset must be True or False"),  # type: ignore[arg-type]
        (lambda: PageNumber(in_body=1), "in_body of PageNumber must be True or False"),  # type: ignore[arg-type]
    ],
)
def test_parameters_that_contradict_each_other_are_refused(make: Any, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        make()


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (0, 0), (7, 7), ("7", 7), (" 7 ", 7), ("007", 7), (7.0, 7), (Decimal("7.0"), 7), ("9" * 18, 10**18 - 1),
        (10**18 - 1, 10**18 - 1), ("9" * 19, None), (10**18, None), (10**400, None), (1e300, None),
        (Decimal("1E+30"), None), (Decimal(-1), None), (Decimal("sNaN"), None), ("٣", None), (b"7", None),
        *[(unknown, None) for unknown in UNKNOWN],
    ],
)  # fmt: skip
def test_totals_are_whole_numbers_or_unknown(value: Any, number: int | None) -> None:
    found = whole_number(value)
    assert found == number
    assert found is None or type(found) is int


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ({}, "an object"),
        ([], "a list"),
        ("", "text"),
        (True, "a truth value"),
        (False, "a truth value"),
        (None, "missing"),
        (1, "a number"),
        (1.5, "a number"),
        (Decimal(1), "a number"),
        (object(), "of the type object"),
    ],
)
def test_a_value_is_described_without_showing_it(value: Any, what: str) -> None:
    assert kind_of(value) == what
