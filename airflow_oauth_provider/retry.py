"""
The tenacity policy of token requests and API calls alike: what is tried again, and when.

An attempt raises this package's errors; a policy decides by them alone.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from airflow_oauth_provider.exceptions import (
    ApiRefusedError,
    OAuth2Error,
    PermanentError,
    SettingsError,
    TransientError,
)

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from tenacity import RetryCallState, Retrying

_SECONDS = re.compile(r"[0-9]+(\.[0-9]*)?(\s*,\s*[0-9]+(\.[0-9]*)?)*", re.ASCII)

RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
# The server is there, and wants to be left alone for a while.
THROTTLING_STATUSES = frozenset({429, 503})
# The server did not begin to work on a request that it answers so (RFC 8470 §5.2, RFC 6585 §4).
UNPROCESSED_STATUSES = frozenset({425, 429})


@dataclass(frozen=True)
class RetryPolicy:
    """
    How long to keep trying.

    :param attempts: at most so many, the first included
    :param total_s: no further attempt begins when its wait would end after so many seconds
    :param max_retry_after_s: a server that asks for a longer pause is not waited for
    :param first_wait_s: upper bound of the first pause; it doubles with each further one
    :param max_wait_s: upper bound of every pause that the server did not ask for
    """

    attempts: int
    total_s: float
    max_retry_after_s: float
    first_wait_s: float = 1.0
    max_wait_s: float = 30.0

    def pause_s(self, attempt_number: int, retry_after_s: float | None) -> float:
        """Return the pause after the failed attempt: the server's wish, or exponential back-off with full jitter."""
        if retry_after_s is not None:
            return retry_after_s
        return random.uniform(0, min(self.max_wait_s, self.first_wait_s * 2 ** (attempt_number - 1)))

    def waits_for(self, error: OAuth2Error) -> bool:
        """Whether the pause that *error* asks for is one that we wait for."""
        return error.retry_after_s is None or error.retry_after_s <= self.max_retry_after_s

    def retrying(
        self,
        log: logging.Logger,
        *,
        retry_if: Callable[[BaseException], bool],
        sleep: Callable[[float], None] = time.sleep,
        on_pause: Callable[[BaseException | None, float], None] | None = None,
    ) -> Retrying:
        """
        Return the policy for tenacity; the last error is raised itself, and each pause is one line in *log*.

        :param on_pause: called with the error and the seconds of each pause before it begins
        """
        import tenacity

        def wait(state: RetryCallState) -> float:
            error = _error_of(state)
            return self.pause_s(state.attempt_number, error.retry_after_s if error else None)

        def should_retry(error: BaseException) -> bool:
            return isinstance(error, TransientError) and retry_if(error) and self.waits_for(error)

        def say_so(state: RetryCallState) -> None:
            log.warning(
                "%s Attempt %d of %d failed; the next one comes in %.1f s.",
                _error_of(state),
                state.attempt_number,
                self.attempts,
                state.upcoming_sleep,
            )
            if on_pause is not None:
                on_pause(_error_of(state), state.upcoming_sleep)

        return tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.attempts) | tenacity.stop_before_delay(self.total_s),
            wait=wait,
            retry=tenacity.retry_if_exception(should_retry),
            before_sleep=say_so,
            sleep=sleep,
            reraise=True,
        )


TOKEN_REQUEST_POLICY = RetryPolicy(attempts=3, total_s=90.0, max_retry_after_s=30.0)
API_CALL_POLICY = RetryPolicy(attempts=5, total_s=300.0, max_retry_after_s=60.0)


def retrying_as_told(
    log: logging.Logger,
    retry_args: Mapping[str, Any],
    *,
    sleep: Callable[[float], None] = time.sleep,
    on_pause: Callable[[BaseException | None, float], None] | None = None,
) -> Retrying:
    """
    Return what *retry_args* say, for tenacity; the last error is raised itself, and each pause is one line in *log*.

    Without a ``retry`` of their own every error of this package is tried again but what no repetition can change. What
    else ends an attempt (a task's time-out, Ctrl-C, a pull that was stopped) is never asked about.

    :raises SettingsError: ``tenacity.Retrying`` does not take them
    """
    import tenacity

    check_retry_args(retry_args)

    def can_change(error: BaseException) -> bool:
        return isinstance(error, ApiRefusedError) or not isinstance(error, PermanentError)

    told: Callable[[RetryCallState], bool] = retry_args.get("retry") or tenacity.retry_if_exception(can_change)

    def may_repeat(state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        return isinstance(error, OAuth2Error | None) and told(state)

    def say_so(state: RetryCallState) -> None:
        log.warning(
            "%s Attempt %d failed; the next one comes in %.1f s.",
            _error_of(state),
            state.attempt_number,
            state.upcoming_sleep,
        )
        if on_pause is not None:
            on_pause(_error_of(state), state.upcoming_sleep)

    ours = {"before_sleep": say_so, "sleep": sleep}
    try:
        return tenacity.Retrying(**{**ours, **retry_args, "retry": may_repeat, "reraise": True})
    except TypeError as error:
        raise SettingsError(f"retry_args are not what tenacity.Retrying takes: {error}.") from None


def check_retry_args(retry_args: Any) -> None:
    """Raise SettingsError for what ``tenacity.Retrying`` would stumble over when an API fails, and not before."""
    if retry_args is None:
        return
    if not isinstance(retry_args, Mapping):
        raise SettingsError(f"retry_args is a {type(retry_args).__name__}, not a dict for tenacity.Retrying.")
    for name in ("stop", "wait", "retry", "sleep", "before", "after", "before_sleep"):
        if (value := retry_args.get(name)) is not None and not callable(value):
            raise SettingsError(f"retry_args: {name} is {value!r}, which cannot be called; take one of tenacity's.")
    if retry_args.get("retry_error_callback") is not None:
        raise SettingsError("retry_args: retry_error_callback cannot stand for an answer; leave it out.")


def retry_after_s(headers: Mapping[str, Any], now: float | None = None) -> float | None:
    """
    Return the seconds to wait that ``Retry-After`` names (RFC 9110 §10.2.3), as a number or as a date.

    A date is held against the server's own ``Date`` where it sends one, since clocks differ. None when the header is
    missing, zero, in the past or not to be understood: then back-off applies.
    """
    value = str(headers.get("Retry-After") or "").strip()
    if _SECONDS.fullmatch(value):
        # An API and what stands before it may both have written one.
        seconds = max(float(one.strip()[:12]) for one in value.split(","))
    else:
        end = http_date(value)
        if end is None:
            return None
        start = http_date(str(headers.get("Date") or ""))
        seconds = end - (start if start is not None else time.time() if now is None else now)
    return seconds if seconds > 0 else None


def http_date(value: str) -> float | None:
    """Return what a header's date means in epoch seconds, None when it is none."""
    try:
        date = parsedate_to_datetime(value) if value else None
        # Without a zone, or with the "-0000" of RFC 5322, it is UTC all the same (RFC 9110 §5.6.7).
        return date.replace(tzinfo=date.tzinfo or UTC).timestamp() if date else None
    except (ValueError, OverflowError):
        return None


def _error_of(state: RetryCallState) -> OAuth2Error | None:
    error = state.outcome.exception() if state.outcome else None
    return error if isinstance(error, OAuth2Error) else None
