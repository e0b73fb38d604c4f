from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import (
    CertificateError,
    InvalidClientError,
    InvalidGrantError,
    InvalidScopeError,
    InvalidTargetError,
    OAuth2Error,
    SettingsError,
    TokenEndpointUnavailableError,
    TokenRefusedError,
    TokenResponseError,
    UnauthorizedClientError,
)
from airflow_oauth_provider.tokens.cache_key import CacheKeys
from airflow_oauth_provider.tokens.refusals import Refusal, Scope, scope_of

NOW = 1_790_000_000.0
KEYS = CacheKeys("request-key", "credential-key", "client-key")


def throttled(pause_s: float | None = None, status: int = 429) -> OAuth2Error:
    return TokenEndpointUnavailableError("slow down", status_code=status, retry_after_s=pause_s)


def remembered_s(failure: OAuth2Error, before: Refusal | None = None) -> float:
    return Refusal.of(failure, before, NOW).until - NOW


@pytest.mark.statement(55)
@pytest.mark.parametrize(
    ("failure", "scope"),
    [
        (throttled(), Scope.CLIENT),
        (throttled(status=503), Scope.CLIENT),
        (throttled(status=500), Scope.REQUEST),
        (TokenEndpointUnavailableError("no connection"), Scope.REQUEST),
        (InvalidClientError("x"), Scope.CREDENTIAL),
        (UnauthorizedClientError("x"), Scope.REQUEST),
        (InvalidScopeError("x"), Scope.REQUEST),
        (InvalidTargetError("x"), Scope.REQUEST),
        (TokenRefusedError("x"), Scope.REQUEST),
        (InvalidGrantError("x"), Scope.REQUEST),
    ],
)
def test_a_refusal_is_remembered_for_what_it_is_about(failure: OAuth2Error, scope: Scope) -> None:
    assert scope_of(failure) is scope


def test_each_scope_has_a_name_of_its_own() -> None:
    names = {scope: scope.entry(KEYS) for scope in Scope}
    assert (names[Scope.CLIENT], names[Scope.CREDENTIAL], names[Scope.REQUEST]) == (
        "client-key",
        "credential-key",
        "request-key",
    )
    assert len(set(names.values())) == len(Scope)


@pytest.mark.statement(55)
@pytest.mark.parametrize(("pause_s", "seconds"), [(40, 40), (1800, 1800), (3600, 3600), (86_400, 3600)])
def test_throttling_is_remembered_for_retry_after_and_at_most_an_hour(pause_s: float, seconds: float) -> None:
    assert remembered_s(throttled(pause_s)) == seconds
    assert remembered_s(throttled(pause_s, status=503)) == seconds


@pytest.mark.parametrize(
    "failure", [InvalidClientError("x"), InvalidScopeError("x"), TokenRefusedError("x"), throttled()], ids=repr
)
def test_a_refusal_is_remembered_for_60_s_doubling_to_10_min_while_it_repeats(failure: OAuth2Error) -> None:
    refusal, seconds, now = None, [], NOW
    for _ in range(6):
        refusal = Refusal.of(failure, refusal, now)
        seconds.append(refusal.until - now)
        now = refusal.until + 1
    assert seconds == [60, 120, 240, 480, 600, 600]


@pytest.mark.parametrize(
    "failure",
    [
        TokenEndpointUnavailableError("x"),
        TokenResponseError("x"),
        InvalidGrantError("x"),
        throttled(status=503),
        CertificateError("x"),
        SettingsError("no CA bundle on this machine"),
    ],
)
def test_what_can_pass_is_remembered_for_5_to_30_s(failure: OAuth2Error) -> None:
    refusal, seconds, now = None, [], NOW
    for _ in range(5):
        refusal = Refusal.of(failure, refusal, now)
        seconds.append(refusal.until - now)
        now = refusal.until + 1
    assert seconds == [5, 10, 20, 30, 30]


def test_a_refusal_after_a_long_peace_begins_anew() -> None:
    first = Refusal.of(InvalidClientError("x"), None, NOW)
    assert Refusal.of(InvalidClientError("x"), first, NOW + 119).count == 2
    assert Refusal.of(InvalidClientError("x"), first, NOW + 121).count == 1


@pytest.mark.parametrize("before", [TokenResponseError("x"), throttled(status=503), InvalidClientError("x")], ids=repr)
@pytest.mark.parametrize("failure", [InvalidScopeError("x"), throttled(status=429)], ids=repr)
def test_what_was_refused_otherwise_before_does_not_prolong_the_first_refusal(
    before: OAuth2Error, failure: OAuth2Error
) -> None:
    refusal = None
    for _ in range(4):
        refusal = Refusal.of(before, refusal, NOW)
    first = Refusal.of(failure, refusal, NOW)
    assert (first.until - NOW, first.count) == (60, 1)
    assert Refusal.of(failure, first, NOW + 61).until == NOW + 61 + 120


def test_who_meets_a_long_quota_is_told_its_end_though_it_is_remembered_for_an_hour() -> None:
    refusal = Refusal.of(throttled(7200), None, NOW)
    assert refusal.until == NOW + 3600
    met = Refusal.from_members(json.loads(json.dumps(refusal.members())), NOW + 600)
    assert met is not None
    assert met.error_to_raise(NOW + 600).retry_after_s == 6600
    assert Refusal.of(throttled(1e9), None, NOW).error_to_raise(NOW).retry_after_s == 86_400


@pytest.mark.parametrize("planted", [1e300, float("inf"), float("nan"), -5.0])
def test_a_planted_end_of_a_quota_is_clamped(planted: float) -> None:
    members = {**Refusal.of(throttled(100), None, NOW).members(), "beyond_s": planted}
    met = Refusal.from_members(members, NOW)
    assert met is not None
    assert 100 <= (met.error_to_raise(NOW).retry_after_s or 0) <= 86_500


@pytest.mark.parametrize("planted", ["soon", [1], {}])
def test_an_end_that_is_no_number_is_no_refusal(planted: object) -> None:
    members = {**Refusal.of(throttled(100), None, NOW).members(), "beyond_s": planted}
    assert Refusal.from_members(members, NOW) is None


def test_the_error_says_that_it_is_remembered_since_when_and_how_to_forget_it() -> None:
    failure = InvalidClientError("invalid_client: no.", status_code=401, error="invalid_client", request_id="r-1")
    error = Refusal.of(failure, None, NOW).error_to_raise(NOW + 10)
    assert type(error) is InvalidClientError
    assert str(error).startswith("invalid_client: no. (Remembered since 14:13:20 UTC")
    assert "before 14:14:20 UTC" in str(error)
    assert "A changed Token URL, client or credential is tried at once" in str(error)
    assert "Test and airflow-oauth2 forget end it" in str(error)
    assert (error.status_code, error.error, error.request_id) == (401, "invalid_client", "r-1")
    assert error.retry_after_s is None


def test_the_error_of_what_can_pass_says_when_to_come_back() -> None:
    error = Refusal.of(throttled(40), None, NOW).error_to_raise(NOW + 10)
    assert type(error) is TokenEndpointUnavailableError
    assert (error.status_code, error.retry_after_s) == (429, 30)


def test_a_message_does_not_grow_from_one_memory_to_the_next() -> None:
    first = Refusal.of(InvalidClientError("no."), None, NOW)
    error = first.error_to_raise(NOW)
    assert first.message == "no."
    assert len(str(error)) < 300


@pytest.mark.parametrize("failure", [InvalidClientError("x", status_code=401), throttled(17), TokenResponseError("x")])
def test_a_refusal_survives_the_way_through_the_store(failure: OAuth2Error) -> None:
    refusal = Refusal.of(failure, None, NOW)
    again = Refusal.from_members(json.loads(json.dumps(refusal.members())), NOW)
    assert again == refusal
    assert type(refusal.error_to_raise(NOW)) is type(failure)


def test_times_are_clamped_when_they_are_read() -> None:
    refusal = Refusal.of(InvalidClientError("x"), None, NOW)
    far = dataclasses.replace(refusal, until=NOW + 9e9, count=10**9)
    read = Refusal.from_members(far.members(), NOW)
    assert read is not None
    assert read.until == NOW + 600
    assert read.since <= NOW
    assert read.count <= 20
    slow = Refusal.from_members(dataclasses.replace(far, status_code=429).members(), NOW)
    assert slow is not None
    assert slow.until == NOW + 3600


@pytest.mark.parametrize("since", [NOW + 31, NOW + 3600, NOW + 9e9])
def test_a_refusal_from_the_future_has_no_known_end(since: float) -> None:
    refusal = dataclasses.replace(Refusal.of(InvalidClientError("x"), None, NOW), since=since, until=since + 60)
    assert Refusal.from_members(refusal.members(), NOW) is None


def test_a_refusal_of_a_clock_that_is_a_little_ahead_lasts_no_longer_than_it_was_meant_to() -> None:
    refusal = dataclasses.replace(Refusal.of(InvalidClientError("x"), None, NOW), since=NOW + 20, until=NOW + 80)
    for now in (NOW, NOW + 5):
        read = Refusal.from_members(refusal.members(), now)
        assert read is not None
        assert (read.since, read.until) == (now, now + 60)


@pytest.mark.parametrize(
    ("ahead_s", "ttl_s", "left_s"),
    [(0, 120, 60), (3600, 120, 60), (3600, 80, 20), (3600, 60, 0), (3600, 10, 0), (0, 9e9, 60), (-50, 9e9, 10)],
)
def test_a_store_that_keeps_the_time_knows_when_a_refusal_ends(ahead_s: float, ttl_s: float, left_s: float) -> None:
    since = NOW + ahead_s
    refusal = dataclasses.replace(Refusal.of(InvalidClientError("x"), None, NOW), since=since, until=since + 60)
    read = Refusal.from_members(refusal.members(), NOW, ttl_s)
    assert read is not None
    assert read.until - NOW == left_s
    assert read.kept_s == 120
    ended = Refusal.from_members(refusal.members(), NOW + 3660, 9e9)
    assert ended is not None
    assert ended.until <= NOW + 3660, "whoever can write the store cannot make it last"


def test_a_pause_that_the_server_names_with_whatever_status_is_the_same_for_all() -> None:
    for status in (400, 403, 404, 500, 502, 504):
        failure = TokenEndpointUnavailableError("later", status_code=status, retry_after_s=300)
        assert remembered_s(failure) == 300
        failure.retry_after_s = 5000
        assert remembered_s(failure) == 600


@pytest.mark.statement(56)
@pytest.mark.parametrize(
    "change",
    [
        {"kind": "SystemExit"}, {"kind": "__all__"}, {"kind": 7}, {"until": "soon"}, {"since": None}, {"count": "x"},
        {"unknown": 1}, {"until": {}},
    ],
)  # fmt: skip
def test_members_that_are_no_refusal_are_a_miss(change: dict[str, Any]) -> None:
    good = Refusal.of(InvalidClientError("x"), None, NOW).members()
    assert Refusal.from_members({**good, **change}, NOW) is None
    assert Refusal.from_members({}, NOW) is None


def test_a_pause_is_a_mark_without_a_message() -> None:
    pause = Refusal.pause(NOW, 60)
    assert pause.until == NOW + 60
    assert Refusal.from_members(pause.members(), NOW) == pause
