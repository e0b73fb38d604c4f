"""For how long a server's metadata are used."""

from __future__ import annotations

from typing import Any

import pytest
from requests.structures import CaseInsensitiveDict

from airflow_oauth_provider.oauth2.metadata import ServerMetadata
from airflow_oauth_provider.tokens.known_metadata import KnownMetadata

DAY_S = 86_400.0
NOW = 1_800_000_000.0
METADATA = ServerMetadata("https://login.example.com", "https://login.example.com/token")
# NOW, and an hour later.
DATE, EXPIRES = "Fri, 15 Jan 2027 08:00:00 GMT", "Fri, 15 Jan 2027 09:00:00 GMT"


def fetched(**headers: str) -> KnownMetadata:
    named = CaseInsensitiveDict({name.replace("_", "-"): value for name, value in headers.items()})
    return KnownMetadata.fetched(METADATA, named, NOW)


@pytest.mark.parametrize(
    ("headers", "fresh_s"),
    [
        ({}, DAY_S),
        ({"Cache_Control": "public, max-age=3600"}, 3600),
        ({"Cache_Control": "MAX-AGE = 3600"}, 3600),
        ({"Cache_Control": 'max-age="3600"'}, 3600),
        ({"Cache_Control": "s-maxage=10"}, DAY_S),
        ({"Cache_Control": "max-age=3600", "Age": "600"}, 3000),
        ({"Cache_Control": "max-age=3600", "Age": "nonsense"}, 3600),
        ({"Cache_Control": "max-age=3600", "Expires": "0"}, 3600),
        ({"Cache_Control": "max-age=9999999999"}, DAY_S),
        ({"Cache_Control": "max-age=nonsense"}, 60),
        ({"Cache_Control": "public, max-age=-5"}, 60),
        ({"Cache_Control": "max-age="}, 60),
        ({"Cache_Control": "public"}, DAY_S),
        ({"Expires": EXPIRES}, 3600),
        ({"Expires": EXPIRES, "Date": "Fri, 15 Jan 2027 08:30:00 GMT"}, 1800),
        ({"Expires": EXPIRES, "Date": "nonsense"}, 3600),
        ({"Expires": "0"}, 60),
        ({"Expires": DATE}, 60),
        ({"Expires": "Fri, 15 Jan 2100 08:00:00 GMT"}, DAY_S),
        ({"Cache_Control": "max-age=0"}, 60),
        ({"Cache_Control": "max-age=5, must-revalidate"}, 60),
        ({"Cache_Control": "no-cache"}, 60),
        ({"Cache_Control": "no-cache, max-age=3600"}, 60),
        ({"Cache_Control": "no-store"}, 60),
    ],
    ids=str,
)
def test_headers_say_for_how_long_between_a_minute_and_a_day(headers: dict[str, str], fresh_s: float) -> None:
    known = fetched(**headers)
    assert known.fresh_s == fresh_s
    assert known.is_fresh(NOW + fresh_s - 1)
    assert not known.is_fresh(NOW + fresh_s)


@pytest.mark.parametrize(("value", "shareable"), [("no-store", False), ("private, no-store", False), ("private", True)])
def test_what_is_not_to_be_stored_stays_in_the_process(value: str, shareable: bool) -> None:
    assert fetched(Cache_Control=value).shareable is shareable


def test_what_is_no_longer_fresh_is_usable_until_a_day_has_passed() -> None:
    known = fetched(Cache_Control="max-age=60")
    assert known.is_usable(NOW + DAY_S - 1)
    assert not known.is_usable(NOW + DAY_S)


def test_prolonging_does_not_make_it_younger() -> None:
    known = fetched(Cache_Control="max-age=60").prolonged(NOW + 1000)
    assert known.is_fresh(NOW + 1059)
    assert not known.is_fresh(NOW + 1060)
    assert not fetched().prolonged(NOW + DAY_S - 1).is_fresh(NOW + DAY_S)


def test_what_was_stored_comes_back() -> None:
    known = fetched(Cache_Control="max-age=3600")
    assert KnownMetadata.from_members(known.members(), NOW + 10) == known


@pytest.mark.parametrize(
    "changes",
    [
        {"fetched_at": NOW - DAY_S},
        {"fetched_at": NOW + 3600},
        {"fetched_at": float("nan")},
        {"fetched_at": float("inf")},
        {"fetched_at": "yesterday"},
        {"fetched_at": None},
        {"fresh_s": None},
        {"metadata": None},
        {"metadata": []},
        {"metadata": {}},
        {"metadata": {"issuer": "https://login.example.com"}},
    ],
    ids=str,
)
def test_what_is_too_old_or_from_the_future_or_something_else_is_a_miss(changes: dict[str, Any]) -> None:
    assert KnownMetadata.from_members({**fetched().members(), **changes}, NOW) is None


@pytest.mark.parametrize("fresh_s", [1e12, float("inf"), float("nan"), -1.0])
def test_no_stored_time_keeps_it_for_longer_than_a_day(fresh_s: float) -> None:
    known = KnownMetadata.from_members({**fetched().members(), "fresh_s": fresh_s}, NOW)
    assert known is not None
    assert not known.is_fresh(NOW + DAY_S)


def test_a_clock_that_is_a_little_behind_is_tolerated() -> None:
    assert KnownMetadata.from_members(fetched().members(), NOW - 20) is not None
