"""An authorization server's metadata as they are kept: for a day, or for as long as their headers say."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from airflow_oauth_provider.oauth2.metadata import ServerMetadata
from airflow_oauth_provider.retry import http_date
from airflow_oauth_provider.tokens.windows import CLOCK_SKEW_S

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_AGE_S = 86_400.0
# Whatever the headers say: a fetch that is tried again needs no second document.
MIN_FRESH_S = 60.0

_MAX_AGE = re.compile(r'(?:^|,)\s*max-age\s*=\s*"?([^",\s]*)', re.IGNORECASE)
_NO_STORE = re.compile(r"(?:^|,)\s*no-store\s*(?:,|$)", re.IGNORECASE)
_NO_CACHE = re.compile(r"(?:^|,)\s*no-cache\s*(?:,|$)", re.IGNORECASE)


@dataclass(frozen=True)
class KnownMetadata:
    """
    Metadata, and how old they are.

    :param fetched_at: epoch seconds
    :param fresh_s: how long they are used without asking again; for a day since they were fetched they may be used
        when the server cannot be asked
    :param shareable: not with ``no-store``: then they stay in this process
    """

    metadata: ServerMetadata
    fetched_at: float
    fresh_s: float
    shareable: bool = True

    @classmethod
    def fetched(cls, metadata: ServerMetadata, headers: Mapping[str, str], now: float) -> Self:
        """Return *metadata* that came with *headers* just now (RFC 9111 §4.2)."""
        cache_control = headers.get("Cache-Control") or ""
        told_s = _told_s(cache_control, headers, now)
        fresh_s = MAX_AGE_S if told_s is None else min(max(told_s, MIN_FRESH_S), MAX_AGE_S)
        return cls(metadata, now, fresh_s, shareable=_NO_STORE.search(cache_control) is None)

    def age_s(self, now: float) -> float:
        """Return how long ago they were fetched."""
        return max(0.0, now - self.fetched_at)

    def is_fresh(self, now: float) -> bool:
        """Whether they are used without asking the server."""
        return self.is_usable(now) and self.age_s(now) < self.fresh_s

    def is_usable(self, now: float) -> bool:
        """Whether they may be used at all; what comes from the future has no known age."""
        return -CLOCK_SKEW_S <= now - self.fetched_at < MAX_AGE_S

    def prolonged(self, now: float) -> Self:
        """Return them as fresh for another while."""
        return replace(self, fresh_s=self.age_s(now) + MIN_FRESH_S)

    def members(self) -> dict[str, Any]:
        """Return them as JSON members."""
        return {"metadata": self.metadata.members(), "fetched_at": self.fetched_at, "fresh_s": self.fresh_s}

    @classmethod
    def from_members(cls, members: dict[str, Any], now: float) -> Self | None:
        """Return what was stored; None when it is too old, from the future, or something else."""
        try:
            metadata = ServerMetadata.from_members(members["metadata"])
            known = cls(metadata, float(members["fetched_at"]), float(members["fresh_s"]))
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            return None
        return known if known.is_usable(now) else None


def _told_s(cache_control: str, headers: Mapping[str, str], now: float) -> float | None:
    """Return for how long the headers let an answer be used, None when they do not say."""
    if _NO_STORE.search(cache_control) or _NO_CACHE.search(cache_control):
        return 0.0
    age = str(headers.get("Age") or "0").strip()
    age_s = float(age) if re.fullmatch("[0-9]{1,10}", age) else 0.0
    if max_age := _MAX_AGE.search(cache_control):
        # What is no number is taken for stale (RFC 9111 §4.2.1).
        return float(max_age[1]) - age_s if re.fullmatch("[0-9]{1,10}", max_age[1]) else 0.0
    if (expires := headers.get("Expires")) is None:
        return None
    ends_at, date = http_date(expires), http_date(headers.get("Date") or "")
    return 0.0 if ends_at is None else ends_at - (now if date is None else date) - age_s
