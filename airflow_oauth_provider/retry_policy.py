"""A task's retries by what an API said: for the parameter ``retry_policy`` of Airflow 3.3 and later."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_oauth_provider.exceptions import ApiRefusedTokenError, ApiUnavailableError, OAuth2Error, PermanentError
from airflow_oauth_provider.retry import API_CALL_POLICY, TOKEN_REQUEST_POLICY

if TYPE_CHECKING:
    from airflow.sdk import RetryDecision, RetryPolicy
else:
    try:
        from airflow.sdk import RetryDecision, RetryPolicy
    except ImportError:  # before 3.3, where nobody asks a policy
        RetryPolicy, RetryDecision = object, None

MAX_DELAY_S = 86_400.0


class OAuth2RetryPolicy(RetryPolicy):
    """
    Lets permanent errors fail at once and throttled tasks come back when the API wants them; the rest is the task's.

    It cannot add retries: give the task ``retries`` of one or more. Before Airflow 3.3 it is never asked.
    """

    def __repr__(self) -> str:
        return "OAuth2RetryPolicy()"

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,  # noqa: ARG002
        max_tries: int,  # noqa: ARG002
        context: Any = None,
    ) -> RetryDecision:
        """Decide by the error of this package that *exception* is, or was raised from."""
        error = _oauth2_error(exception)
        if isinstance(error, PermanentError):
            return RetryDecision.fail(reason=str(error))
        if error is None or error.retry_after_s is None or _is_left_to_the_task(error, error.retry_after_s, context):
            return RetryDecision.default()
        delay_s = min(error.retry_after_s, MAX_DELAY_S)
        what = type(error).__name__ if error.status_code is None else f"HTTP {error.status_code}"
        return RetryDecision.retry(delay=timedelta(seconds=delay_s), reason=f"{what}: comes back in {delay_s:.0f} s")

    def serialize(self) -> dict[str, Any]:
        """Return nothing: there is nothing to set."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> OAuth2RetryPolicy:  # noqa: ARG003
        """Return the policy."""
        return cls()


DEFAULT_RETRY_POLICY: Any = OAuth2RetryPolicy()


def retry_policy_arguments(chosen: Any) -> dict[str, Any]:
    """
    Return *chosen* as arguments of ``BaseOperator``: none before Airflow 3.3, which does not know the parameter.

    :param chosen: a policy, None for none
    """
    return {} if RetryPolicy is object else {"retry_policy": chosen}


def _is_left_to_the_task(error: OAuth2Error, pause_s: float, context: Any) -> bool:
    """
    Whether the task comes back late enough by its own rule from a pause as short as we wait for ourselves.

    Such a pause was waited for in vain, several times, or is one that we have set: to come back so soon again would
    only use up the task's retries. A quota (429) ends when the server says.
    """
    if error.status_code == 429:
        return False
    of_api = isinstance(error, ApiUnavailableError | ApiRefusedTokenError)
    ours = API_CALL_POLICY if of_api else TOKEN_REQUEST_POLICY
    task = (context or {}).get("task")
    delay = getattr(task, "retry_delay", None)
    return pause_s <= ours.max_retry_after_s and isinstance(delay, timedelta) and pause_s <= delay.total_seconds()


def _oauth2_error(exception: BaseException) -> OAuth2Error | None:
    seen: set[int] = set()
    link: BaseException | None = exception
    while link is not None and id(link) not in seen:
        if isinstance(link, OAuth2Error):
            return link
        seen.add(id(link))
        link = link.__cause__
    return None
