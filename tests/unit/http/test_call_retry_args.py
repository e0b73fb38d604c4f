"""What a caller's own arguments for tenacity change about a call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import tenacity

from airflow_oauth_provider.exceptions import (
    ApiUnavailableError,
    OAuth2Error,
    SettingsError,
)
from airflow_oauth_provider.http.pace import Stopped
from airflow_oauth_provider.operators.http import OAuth2HttpOperator
from airflow_oauth_provider.transfers.object_storage import OAuth2HttpToObjectStorageOperator
from tests.support.clock import Clock
from tests.support.servers import Reply, free_port
from tests.support.sessions import UNAUTHORIZED, Api, session_at, session_on
from tests.support.token_sources import Processes


class TimeOut(BaseException):
    """As Airflow's own for ``execution_timeout``, which is none of Exception's."""


def always(_: Any) -> bool:
    return True


@pytest.fixture(autouse=True)
def _no_waiting(clock: Clock) -> None:
    clock.skip_sleeps()


def test_retry_args_replace_our_own_policy(clock: Clock) -> None:
    mine = {"stop": tenacity.stop_after_attempt(2), "wait": tenacity.wait_fixed(3), "sleep": clock.sleep}
    with Api(*[Reply(503)] * 9) as api:
        with pytest.raises(ApiUnavailableError):
            session_on(api).call("GET", "x", retry_args=mine)
        assert len(api.seen) == 2
    assert clock.slept == [3]


def test_retry_args_may_choose_by_our_errors(clock: Clock) -> None:
    mine = {
        "stop": tenacity.stop_after_attempt(3),
        "retry": tenacity.retry_if_exception(lambda error: getattr(error, "status_code", None) == 404),
    }
    with Api(Reply(404)) as api:
        assert session_on(api).call("GET", "x", retry_args=mine).attempts == 2
    with Api(Reply(503)) as api:
        with pytest.raises(ApiUnavailableError):
            session_on(api).call("GET", "x", retry_args=mine)
        assert len(api.seen) == 1


def test_retry_args_keep_the_renewal_after_a_401(clock: Clock) -> None:
    processes = Processes()
    processes.start().get()
    clock.advance(100)
    with Api(UNAUTHORIZED) as api:
        session_on(api, processes).call("GET", "x", retry_args={"stop": tenacity.stop_after_attempt(1)})
        assert api.tokens == ["token-1", "token-2"]


def test_retry_args_without_a_choice_of_their_own_repeat_all_that_a_repetition_can_change() -> None:
    mine = {"stop": tenacity.stop_after_attempt(3)}
    elsewhere = Reply(302, b"", {"Location": "https://evil.example/"})
    for reply, attempts in ((Reply(503), 3), (elsewhere, 1)):
        with Api(*[reply] * 9) as api:
            with pytest.raises(OAuth2Error):
                session_on(api).call("GET", "x", retry_args=mine)
            assert len(api.seen) == attempts


def test_retry_args_that_tenacity_does_not_take_are_our_error() -> None:
    with Api() as api:
        with pytest.raises(SettingsError, match="retry_args"):
            session_on(api).call("GET", "x", retry_args={"made_up": 1})
        assert api.seen == []


def test_empty_retry_args_do_not_repeat_for_ever() -> None:
    with Api(*[Reply(503)] * 40) as api:
        with pytest.raises(ApiUnavailableError):
            session_on(api).call("GET", "x", retry_args={})
        assert len(api.seen) <= 5


def test_a_body_that_can_be_read_once_is_not_repeated_by_retry_args_either(clock: Clock) -> None:
    def lines() -> Iterator[bytes]:
        yield b"a line"

    mine = {"stop": tenacity.stop_after_attempt(4), "wait": tenacity.wait_fixed(3), "sleep": clock.sleep}
    with pytest.raises(ApiUnavailableError):
        session_at(f"http://127.0.0.1:{free_port()}").call("PUT", "x", data=lines(), retry_args=mine)
    assert clock.slept == []


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit, TimeOut, Stopped, MemoryError])
@pytest.mark.parametrize("mine", [{}, {"retry": tenacity.retry_if_exception(lambda _: True)}, {"retry": always}])
def test_what_ends_a_task_ends_a_call_whatever_retry_args_say(
    monkeypatch: pytest.MonkeyPatch, raised: type[BaseException], mine: dict[str, Any]
) -> None:
    sent: list[Any] = []

    def ends(*request: Any, **_: Any) -> Any:
        sent.append(request)
        raise raised("the end")

    monkeypatch.setattr(requests.Session, "send", ends)
    with Api() as api, pytest.raises(raised, match="the end"):
        session_on(api).call("GET", "x", retry_args={"stop": tenacity.stop_after_attempt(3), **mine})
    assert len(sent) == 1


@pytest.mark.parametrize(
    ("mine", "said"),
    [
        ({"stop": 3}, "stop is 3, which cannot be called"),
        ({"wait": 1.5, "stop": tenacity.stop_after_attempt(2)}, "wait is 1.5"),
        ({"retry": True}, "retry is True"),
        ({"before_sleep": "log"}, "before_sleep is 'log'"),
        ({"retry_error_callback": lambda _: None}, "retry_error_callback cannot stand for an answer"),
        (["stop"], "retry_args is a list"),
    ],
)
def test_retry_args_that_cannot_be_right_fail_before_anything_is_sent(mine: Any, said: str) -> None:
    with Api() as api:
        with pytest.raises(SettingsError, match=said):
            session_on(api).call("GET", "x", retry_args=mine)
        assert not api.seen
    with pytest.raises(SettingsError, match=said):
        OAuth2HttpOperator(task_id="orders", retry_args=mine)
    with pytest.raises(SettingsError, match=said):
        OAuth2HttpToObjectStorageOperator(task_id="orders", destination="/lake/", retry_args=mine)


def test_none_among_retry_args_is_tenacitys_own_default() -> None:
    mine = {"stop": tenacity.stop_after_attempt(2), "retry": None, "before": None}
    with Api(Reply(503)) as api:
        assert session_on(api).call("GET", "x", retry_args=mine).attempts == 2
