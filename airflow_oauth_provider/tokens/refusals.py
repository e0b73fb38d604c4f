"""
Refusals of the token endpoint, remembered and shared.

They are remembered for what they are about, so that a wrong secret or a throttled server costs a handful of requests,
and a corrected connection is tried at once: it has another name.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Self

from airflow_oauth_provider import exceptions
from airflow_oauth_provider.exceptions import (
    CertificateError,
    InvalidClientError,
    OAuth2Error,
    PermanentError,
    SettingsError,
    TokenEndpointUnavailableError,
)
from airflow_oauth_provider.retry import THROTTLING_STATUSES
from airflow_oauth_provider.tokens.windows import CLOCK_SKEW_S

if TYPE_CHECKING:
    from airflow_oauth_provider.tokens.cache_key import CacheKeys

FIRST_REFUSAL_S, MAX_REFUSAL_S = 60.0, 600.0
FIRST_FAILURE_S, MAX_FAILURE_S = 5.0, 30.0
MAX_THROTTLE_S = 3600.0
_MAX_WAIT_S = 86_400.0
_MAX_COUNT = 20
_OF_ONE_MACHINE = frozenset({CertificateError.__name__, SettingsError.__name__})


class Scope(Enum):
    """What a refusal is about."""

    CLIENT = "client"
    """Endpoint and client: throttling."""
    CREDENTIAL = "credential"
    """Endpoint, client and how it proves itself: ``invalid_client``."""
    REQUEST = "request"
    """The whole token request: everything else, ``unauthorized_client`` too, which may be about scope or audience."""
    AHEAD = "ahead"
    """Early refreshes of this token: a pause that does not concern whoever has no token."""
    RENEWAL = "renewal"
    """Renewals of this token after a 401 of the API."""

    def entry(self, keys: CacheKeys) -> str:
        """Return the name under which it is stored."""
        if self is Scope.CLIENT:
            return keys.client
        if self is Scope.CREDENTIAL:
            return keys.credential
        return keys.request if self is Scope.REQUEST else f"{keys.request}-{self.value}"


FETCH_SCOPES = (Scope.CLIENT, Scope.CREDENTIAL, Scope.REQUEST)


@dataclass(frozen=True)
class Refusal:
    """
    An error of the token endpoint as it is remembered.

    :param since: when it was last seen, epoch seconds
    :param until: when it ends, epoch seconds
    :param count: how often in a row
    :param beyond_s: how long after *until* the server will answer again, as it said
    """

    kind: str
    message: str
    since: float
    until: float
    count: int = 1
    status_code: int | None = None
    error: str | None = None
    request_id: str | None = None
    beyond_s: float = 0.0

    @classmethod
    def of(cls, failure: OAuth2Error, before: Refusal | None, now: float) -> Self:
        """Return *failure* as it is to be remembered, for longer when it repeats the one *before*."""
        kind = type(failure).__name__
        repeats = (
            before is not None
            and (before.kind, before.status_code) == (kind, failure.status_code)
            and now < before.until + (before.until - before.since)
        )
        count = min(before.count + 1, _MAX_COUNT) if repeats and before is not None else 1
        lasts_s = _remembered_s(failure, count)
        return cls(
            kind=kind,
            message=str(failure),
            since=now,
            until=now + lasts_s,
            count=count,
            status_code=failure.status_code,
            error=failure.error,
            request_id=failure.request_id,
            beyond_s=max(0.0, min(failure.retry_after_s or 0.0, _MAX_WAIT_S) - lasts_s),
        )

    @classmethod
    def pause(cls, now: float, seconds: float) -> Self:
        """Return a mark that something was done and is not to be done again for *seconds*."""
        return cls(kind="", message="", since=now, until=now + seconds)

    def error_to_raise(self, now: float) -> OAuth2Error:
        """Return the error for a task that meets the refusal without having asked the server itself."""
        error_class = getattr(exceptions, self.kind, TokenEndpointUnavailableError)
        wait_s = max(0.0, self.until - now) + self.beyond_s
        ways = (
            " A changed Token URL, client or credential is tried at once; the connection's Test and airflow-oauth2 "
            "forget end it, too."
        )
        return error_class(
            f"{self.message} (Remembered since {_clock(self.since)}: no further request is made before "
            f"{_clock(self.until)}.{'' if self.is_of_one_machine else ways})",
            status_code=self.status_code,
            error=self.error,
            request_id=self.request_id,
            retry_after_s=None if issubclass(error_class, PermanentError) else wait_s,
        )

    @property
    def is_of_one_machine(self) -> bool:
        """Whether it is about a CA bundle, a proxy and the like: others have their own."""
        return self.kind in _OF_ONE_MACHINE

    @property
    def kept_s(self) -> float:
        """How long it is stored: for as long again after its end, so that a repetition can be told."""
        return 2 * (self.until - self.since)

    def members(self) -> dict[str, Any]:
        """Return it as JSON members."""
        return asdict(self)

    @classmethod
    def from_members(cls, members: dict[str, Any], now: float, ttl_s: float | None = None) -> Self | None:
        """
        Return what was remembered, its times clamped; None when the members are not a refusal.

        One from the future is none either: a clock was set back, and nobody knows when it ends, unless the store itself
        keeps the time.

        :param ttl_s: what the store's own clock leaves it; see :attr:`kept_s`
        """
        try:
            refusal = cls(**members)
            limit_s = MAX_THROTTLE_S if refusal.status_code in THROTTLING_STATUSES else MAX_REFUSAL_S
            lasts_s = max(0.0, min(float(refusal.until) - float(refusal.since), limit_s))
            if ttl_s is None and refusal.since - now > CLOCK_SKEW_S:
                return None
            # A store with a clock of its own knows better than that of the machine that wrote it, when it says less.
            left_s = lasts_s if ttl_s is None else min(lasts_s, max(0.0, ttl_s - lasts_s))
            until = min(float(refusal.until), now + left_s)
            since = min(until - lasts_s, now)
            beyond_s = max(0.0, min(float(refusal.beyond_s), _MAX_WAIT_S))
            known = isinstance(refusal.kind, str) and (not refusal.kind or refusal.kind in exceptions.__all__)
            count = max(1, min(int(refusal.count), _MAX_COUNT))
        except (TypeError, ValueError, OverflowError):
            return None
        return replace(refusal, since=since, until=until, count=count, beyond_s=beyond_s) if known else None


def scope_of(failure: OAuth2Error) -> Scope:
    """Return what *failure* is about."""
    if isinstance(failure, TokenEndpointUnavailableError) and failure.status_code in THROTTLING_STATUSES:
        return Scope.CLIENT
    if isinstance(failure, InvalidClientError):
        return Scope.CREDENTIAL
    return Scope.REQUEST


def _remembered_s(failure: OAuth2Error, count: int) -> float:
    if scope_of(failure) is Scope.CLIENT and failure.retry_after_s:
        return min(failure.retry_after_s, MAX_THROTTLE_S)
    # A certificate or a CA bundle is mended on the machine, which no name shows: tried again soon. And a quota without
    # an end in sight is like a refusal: whoever asks on may be locked out.
    if failure.retry_after_s and not isinstance(failure, PermanentError):
        return min(failure.retry_after_s, MAX_REFUSAL_S)
    lasting = isinstance(failure, PermanentError) and not isinstance(failure, CertificateError | SettingsError)
    if lasting or failure.status_code == 429:
        return min(FIRST_REFUSAL_S * 2.0 ** (count - 1), MAX_REFUSAL_S)
    return min(FIRST_FAILURE_S * 2.0 ** (count - 1), MAX_FAILURE_S)


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, tz=UTC).strftime("%H:%M:%S UTC")
