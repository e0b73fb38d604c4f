"""What the policy decides, and who has it."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_oauth_provider import retry_policy
from airflow_oauth_provider.exceptions import (
    ApiRefusedError,
    ApiRefusedTokenError,
    ApiUnavailableError,
    InvalidClientError,
    OAuth2Error,
    ResponseFormatError,
    TokenEndpointUnavailableError,
)
from airflow_oauth_provider.operators.http import OAuth2HttpOperator
from airflow_oauth_provider.retry_policy import OAuth2RetryPolicy
from airflow_oauth_provider.transfers.object_storage import OAuth2HttpToObjectStorageOperator
from airflow_oauth_provider.transfers.sql import OAuth2HttpToSqlOperator

try:
    from airflow.sdk import DAG, ExceptionRetryPolicy, RetryAction, RetryDecision
except ImportError:
    KNOWN = False
else:
    KNOWN = True

from_3_3 = pytest.mark.skipif(not KNOWN, reason="not applicable: this Airflow has no retry policies")
before_3_3 = pytest.mark.skipif(KNOWN, reason="not applicable: this Airflow has retry policies")

OPERATORS: dict[type[Any], dict[str, Any]] = {
    OAuth2HttpOperator: {},
    OAuth2HttpToObjectStorageOperator: {"destination": "file:///made-up/"},
    OAuth2HttpToSqlOperator: {"destination_conn_id": "made_up", "table": "made_up", "columns": ["id"]},
}


def task(operator: type[Any], **arguments: Any) -> Any:
    return operator(task_id="made_up", **OPERATORS[operator], **arguments)


def decision(error: BaseException, *, own_delay_s: float = 300.0) -> RetryDecision:
    """Return what becomes of a task that comes back after *own_delay_s* when nobody says otherwise."""
    context = {"task": SimpleNamespace(retry_delay=timedelta(seconds=own_delay_s))}
    return OAuth2RetryPolicy().evaluate(error, try_number=1, max_tries=3, context=context)


def delay_s(error: BaseException, *, own_delay_s: float = 300.0) -> float | None:
    """Return after how many seconds the task comes back, None for its own rule."""
    decided = decision(error, own_delay_s=own_delay_s)
    if decided.action is RetryAction.DEFAULT:
        return None
    assert decided.action is RetryAction.RETRY
    assert decided.retry_delay is not None
    return decided.retry_delay.total_seconds()


def wrapped(error: BaseException, *, explicitly: bool) -> BaseException:
    """Return what a task raises that catches *error* and raises something of its own."""
    try:
        try:
            raise error
        except OAuth2Error as caught:
            if explicitly:
                raise ValueError("no orders today") from caught
            raise ValueError("the fallback failed, too")  # noqa: B904
    except ValueError as raised:
        return raised


# What it decides ------------------------------------------------------------------------------------------------------


@from_3_3
@pytest.mark.parametrize("status", [429, 503, 502, 403])
def test_a_task_comes_back_when_the_api_has_said_it_may(status: int) -> None:
    assert delay_s(ApiUnavailableError("later", status_code=status, retry_after_s=120.0)) == 120


@from_3_3
@pytest.mark.parametrize("own_delay_s", [0.0, 300.0, 86_400.0])
@pytest.mark.parametrize(("status", "named_s"), [(429, 61.0), (429, 2.0), (503, 61.0)])
def test_a_named_time_beats_the_tasks_own_delay(own_delay_s: float, status: int, named_s: float) -> None:
    error = ApiUnavailableError("later", status_code=status, retry_after_s=named_s)
    assert delay_s(error, own_delay_s=own_delay_s) == named_s


@from_3_3
def test_a_pause_that_was_waited_for_in_vain_is_left_to_a_task_that_comes_back_later_by_itself() -> None:
    error = ApiUnavailableError("later", status_code=503, retry_after_s=2.0)
    assert delay_s(error) is None
    assert delay_s(error, own_delay_s=1.0) == 2


@from_3_3
def test_a_token_endpoint_that_is_down_does_not_use_up_the_retries_within_a_minute() -> None:
    down = TokenEndpointUnavailableError("down", status_code=503, retry_after_s=5.0)
    assert delay_s(down) is None
    # The failure is remembered until then: a try before that would meet it again.
    assert delay_s(down, own_delay_s=0.0) == 5


@from_3_3
def test_a_throttled_token_endpoint_is_asked_again_when_its_refusal_ends() -> None:
    assert delay_s(TokenEndpointUnavailableError("quota", status_code=429, retry_after_s=60.0)) == 60


@from_3_3
def test_a_refused_fresh_token_is_tried_again_when_it_may_be_renewed() -> None:
    refused = ApiRefusedTokenError("refused", status_code=401, retry_after_s=40.0)
    assert delay_s(refused, own_delay_s=1.0) == 40
    assert delay_s(refused) is None


@from_3_3
def test_nobody_is_kept_away_for_more_than_a_day() -> None:
    assert delay_s(ApiUnavailableError("later", status_code=429, retry_after_s=1e9)) == 86_400


@from_3_3
@pytest.mark.parametrize("error", [ApiRefusedError("no", status_code=404), InvalidClientError("wrong secret")])
def test_a_permanent_error_fails_the_task_even_when_its_author_has_wrapped_it(error: OAuth2Error) -> None:
    for raised in (error, wrapped(error, explicitly=True)):
        decided = decision(raised)
        assert decided.action is RetryAction.FAIL
        assert decided.reason == str(error)


@from_3_3
def test_a_wrapped_error_still_says_when_to_come_back() -> None:
    error = ApiUnavailableError("later", status_code=429, retry_after_s=90.0)
    assert delay_s(wrapped(error, explicitly=True)) == 90


@from_3_3
def test_an_error_that_was_handled_decides_nothing() -> None:
    assert delay_s(wrapped(ApiRefusedError("no such order", status_code=404), explicitly=False)) is None


@from_3_3
def test_a_chain_of_causes_without_an_end_decides_nothing() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert delay_s(first) is None


@from_3_3
@pytest.mark.parametrize(
    "error", [ValueError("a bug"), ApiUnavailableError("502", status_code=502), ResponseFormatError("not JSON")]
)
def test_everything_else_is_left_to_the_task(error: Exception) -> None:
    assert delay_s(error) is None


@from_3_3
def test_it_decides_without_a_context_too() -> None:
    decided = OAuth2RetryPolicy().evaluate(ApiUnavailableError("later", status_code=429, retry_after_s=5.0), 1, 3)
    assert decided.retry_delay == timedelta(seconds=5)


# Who has it -----------------------------------------------------------------------------------------------------------


@from_3_3
@pytest.mark.parametrize("operator", OPERATORS)
def test_every_operator_has_it_by_default(operator: type[Any]) -> None:
    assert isinstance(task(operator).retry_policy, OAuth2RetryPolicy)
    assert task(operator).retries == 0


@from_3_3
@pytest.mark.parametrize("operator", OPERATORS)
def test_what_the_task_says_beats_default_args_and_they_beat_our_default(operator: type[Any]) -> None:
    mine, theirs = ExceptionRetryPolicy(rules=[]), ExceptionRetryPolicy(rules=[])

    assert task(operator, retry_policy=mine, default_args={"retry_policy": theirs}).retry_policy is mine
    assert task(operator, retry_policy=None, default_args={"retry_policy": theirs}).retry_policy is None
    assert task(operator, default_args={"retry_policy": theirs}).retry_policy is theirs
    assert task(operator, default_args={"retry_policy": None}).retry_policy is None


@from_3_3
def test_mapped_tasks_have_it_like_others() -> None:
    theirs = ExceptionRetryPolicy(rules=[])

    def of_mapped(default_args: dict[str, Any], **arguments: Any) -> Any:
        with DAG("made_up", schedule=None, default_args=default_args):
            mapped = OAuth2HttpOperator.partial(task_id="made_up", **arguments).expand(endpoint=["a", "b"])
        return mapped.unmap({"endpoint": "a"}).retry_policy

    assert isinstance(of_mapped({}), OAuth2RetryPolicy)
    assert of_mapped({}, retry_policy=None) is None
    assert of_mapped({"retry_policy": theirs}) is theirs
    assert isinstance(of_mapped({"retry_policy": theirs}, retry_policy=OAuth2RetryPolicy()), OAuth2RetryPolicy)


@from_3_3
def test_a_dag_is_serialized_the_same_each_time() -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    def serialized() -> Any:
        with DAG("made_up", schedule=None) as dag:
            OAuth2HttpOperator(task_id="plain")
            OAuth2HttpOperator(task_id="off", retry_policy=None)
            OAuth2HttpOperator.partial(task_id="mapped", retry_policy=OAuth2RetryPolicy()).expand(endpoint=["a"])
        return DagSerialization.to_dict(dag)["dag"]["tasks"]

    plain, off, mapped = (found["__var"] for found in serialized())
    assert plain["has_retry_policy"] is True
    assert off["has_retry_policy"] is False
    assert mapped["partial_kwargs"]["has_retry_policy"] is True
    assert serialized() == serialized()


@from_3_3
def test_it_survives_its_own_serialization() -> None:
    assert isinstance(OAuth2RetryPolicy.deserialize(OAuth2RetryPolicy().serialize()), OAuth2RetryPolicy)


@before_3_3
@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize(
    "arguments",
    [{}, {"retry_policy": None}, {"retry_policy": OAuth2RetryPolicy()}, {"default_args": {"retry_policy": None}}],
)
def test_an_airflow_that_knows_no_policies_is_given_none(operator: type[Any], arguments: dict[str, Any]) -> None:
    assert not hasattr(task(operator, **arguments), "retry_policy")
    assert retry_policy.retry_policy_arguments(OAuth2RetryPolicy()) == {}
