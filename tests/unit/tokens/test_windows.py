from __future__ import annotations

import pytest

from airflow_oauth_provider.tokens.windows import (
    advisory_window_s,
    mandatory_window_s,
    renewal_pause_s,
    renewal_wait_s,
    stored_life_s,
)
from tests.support.made_up import access_token

NOW = 1_790_000_000.0


@pytest.mark.parametrize(
    ("lifetime_s", "leeway_s", "window_s"),
    [
        (3600, 60, 60),
        (600, 60, 60),
        (300, 60, 30),
        (15, 60, 1.5),
        (5, 60, 0.5),
        (3600, 0, 0),
        (3600, 3600, 360),
        (3600, 10, 10),
    ],
)
def test_a_token_is_replaced_the_leeway_or_a_tenth_of_its_life_before_its_end(
    lifetime_s: float, leeway_s: float, window_s: float
) -> None:
    assert mandatory_window_s(lifetime_s, leeway_s, shared=False) == pytest.approx(window_s)


@pytest.mark.statement(53)
@pytest.mark.parametrize(("lifetime_s", "window_s"), [(3600, 30), (300, 30), (299, 0), (5, 0)])
def test_30_s_of_skew_between_hosts_are_tolerated_for_lifetimes_of_300_s_and_more(
    lifetime_s: float, window_s: float
) -> None:
    assert mandatory_window_s(lifetime_s, 0, shared=True) == window_s
    assert mandatory_window_s(lifetime_s, 0, shared=False) == 0


@pytest.mark.parametrize("lifetime_s", [5, 60, 3600, 86_400, 30 * 86_400])
def test_the_advisory_window_is_at_most_a_quarter_of_the_life_and_20_minutes_and_jitter_only_shortens_it(
    lifetime_s: float,
) -> None:
    full = min(lifetime_s / 4, 1200)
    drawn = [advisory_window_s(lifetime_s, "key", generation) for generation in range(200)]
    assert max(drawn) <= full
    assert min(drawn) >= 0.5 * full
    assert len(set(drawn)) > 100


def test_all_processes_draw_the_same_window_and_each_key_and_generation_another() -> None:
    assert advisory_window_s(3600, "key", 7) == advisory_window_s(3600, "key", 7)
    assert advisory_window_s(3600, "key", 7) != advisory_window_s(3600, "key", 8)
    assert advisory_window_s(3600, "key", 7) != advisory_window_s(3600, "other", 7)


@pytest.mark.parametrize("lifetime_s", [5, 15, 60, 300, 3600, 86_400])
def test_the_advisory_window_opens_before_the_mandatory_one(lifetime_s: float) -> None:
    for generation in range(50):
        assert advisory_window_s(lifetime_s, "key", generation) > mandatory_window_s(lifetime_s, 60, shared=False)


@pytest.mark.statement(53)
@pytest.mark.parametrize(
    ("lifetime_s", "issued_ago_s", "life_s"),
    [
        (3600, 600, 3000),
        (3600, 4000, -400),
        (3600, -20, 3600),  # the clock of another host
        (3600, -4000, 0),  # a clock that was set back
        (10, -1.5, 10),
        (10, -60, 0),
    ],
)
def test_a_stored_token_never_lives_longer_than_was_granted(
    lifetime_s: float, issued_ago_s: float, life_s: float
) -> None:
    token = access_token(issued_at=NOW - issued_ago_s, expires_at=NOW - issued_ago_s + lifetime_s)
    assert stored_life_s(token, NOW) == pytest.approx(life_s)


@pytest.mark.statement(53)
@pytest.mark.parametrize(
    ("issued_ago_s", "ttl_s", "life_s"),
    [
        (600, 3000, 3000),
        (600, 1000, 1000),  # the clock here is slow, or somebody shortened it
        (600, 9999, 3000),  # somebody lengthened it
        (-20, 3600, 3600),
        (-4000, 3500, 3500),  # the clock of the other host was wrong by more than an hour: the store's was not
    ],
)
def test_a_store_that_keeps_the_time_may_only_shorten_what_the_seal_says(
    issued_ago_s: float, ttl_s: float, life_s: float
) -> None:
    token = access_token(issued_at=NOW - issued_ago_s, expires_at=NOW - issued_ago_s + 3600)
    assert stored_life_s(token, NOW, ttl_s) == pytest.approx(life_s)


@pytest.mark.statement(21)
@pytest.mark.parametrize(("lifetime_s", "pause_s"), [(3600, 60), (600, 60), (100, 10), (5, 0.5)])
def test_a_refused_token_is_renewed_when_it_is_older_than_60_s_or_a_tenth_of_its_life(
    lifetime_s: float, pause_s: float
) -> None:
    assert renewal_pause_s(lifetime_s) == pytest.approx(pause_s)
    for age_s, wait_s in (
        (0, pause_s),
        (pause_s / 2, pause_s / 2),
        (pause_s, 0),
        (lifetime_s, 0),
        (-20, pause_s),
        (-500, 0),
    ):
        token = access_token(issued_at=NOW - age_s, expires_at=NOW - age_s + lifetime_s)
        assert renewal_wait_s(token, NOW) == pytest.approx(wait_s, abs=1e-6)
