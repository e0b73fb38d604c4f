"""When a token is replaced: arithmetic on seconds."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_oauth_provider.oauth2.token import AccessToken

MANDATORY_SHARE = 0.10
ADVISORY_SHARE = 0.25
MAX_ADVISORY_S = 20 * 60.0

CLOCK_SKEW_S = 30.0
SKEW_TOLERATED_FROM_S = 300.0

RENEWAL_PAUSE_S = 60.0
REFRESH_PAUSE_S = 30.0


def mandatory_window_s(lifetime_s: float, leeway_s: float, *, shared: bool) -> float:
    """
    Return how long before its end a token is not used any more.

    :param shared: the token was fetched by another process, whose clock may differ
    """
    window = min(leeway_s, lifetime_s * MANDATORY_SHARE)
    if shared and lifetime_s >= SKEW_TOLERATED_FROM_S:
        return max(window, CLOCK_SKEW_S)
    return window


def advisory_window_s(lifetime_s: float, key: str, generation: int) -> float:
    """
    Return how long before its end a token is refreshed ahead of time.

    The jitter only shortens the window, and all processes that read the token draw the same: were it drawn for each of
    them, the earliest of N would always win. (A :class:`~.held.HeldToken` then waits a little of its own.)
    """
    digest = hashlib.sha256(f"{key}:{generation}".encode()).digest()
    jitter = int.from_bytes(digest[:4], "big") / 2**32
    return min(lifetime_s * ADVISORY_SHARE, MAX_ADVISORY_S) * (1 - jitter / 4)


def stored_life_s(token: AccessToken, now: float, ttl_s: float | None = None) -> float:
    """
    Return the seconds that a token from a store still lives, zero or less when it ended.

    Never more than was granted, and none at all when it comes from the future: then a clock was set back, and nobody
    knows when it ends, unless the store itself keeps the time.

    :param ttl_s: what the store's own clock leaves it
    """
    if ttl_s is not None:
        return min(ttl_s, token.expires_at - now, token.lifetime_s)
    skew = CLOCK_SKEW_S if token.lifetime_s >= SKEW_TOLERATED_FROM_S else token.lifetime_s * MANDATORY_SHARE
    if token.issued_at - now > skew + 1:
        return 0.0
    return min(token.expires_at - now, token.lifetime_s)


def refresh_pause_s(lifetime_s: float) -> float:
    """Return how long those who have a living token do not ask for the next one after a try that failed."""
    return min(REFRESH_PAUSE_S, lifetime_s / 20)


def cut_short(began: float, within_s: float) -> bool:
    """
    Whether a request that began at that monotonic time was broken off by us, its answer still on the way.

    :param within_s: how long it was waited for
    """
    return time.monotonic() - began >= 0.9 * within_s


def renewal_pause_s(lifetime_s: float) -> float:
    """Return how old a token must be, and how long ago its last renewal, before an API's 401 renews it."""
    return min(RENEWAL_PAUSE_S, lifetime_s * MANDATORY_SHARE)


def renewal_wait_s(token: AccessToken, now: float) -> float:
    """
    Return the seconds until a token that an API refuses is old enough to be renewed, zero when it is.

    One from the future has no known age: the pause between renewals is then the only bound.
    """
    age_s = now - token.issued_at
    return 0.0 if age_s < -CLOCK_SKEW_S else max(0.0, renewal_pause_s(token.lifetime_s) - max(0.0, age_s))
