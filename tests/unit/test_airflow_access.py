"""Airflow 3.0 and 3.1, whose tasks may ask their supervisor from one thread alone."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import ModuleType

import pytest

from airflow_oauth_provider import airflow_access, masking
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.tokens.stores.opening import open_store
from tests.support.clock import Clock
from tests.support.servers import OAuthServer
from tests.support.token_sources import Processes, settle

TASK_RUNNER = "airflow.sdk.execution_time.task_runner"


class Comms:
    """The channel to the supervisor as 3.1 has it: without a lock."""

    def send(self, _: object) -> None:
        assert threading.current_thread() is threading.main_thread()


class LockedComms(Comms):
    """The channel of 3.2 and later."""

    def __init__(self) -> None:
        self._thread_lock = threading.Lock()


def in_a_task(monkeypatch: pytest.MonkeyPatch, comms: Comms) -> None:
    module = ModuleType(TASK_RUNNER)
    module.SUPERVISOR_COMMS = comms  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, TASK_RUNNER, module)


def in_a_thread(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_threads_may_ask_where_there_is_a_lock_and_where_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert airflow_access.threads_may_ask()
    in_a_task(monkeypatch, LockedComms())
    assert airflow_access.threads_may_ask()
    in_a_task(monkeypatch, Comms())
    assert not airflow_access.threads_may_ask()


def test_what_a_thread_has_to_mask_is_told_by_the_main_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr("airflow.providers.common.compat.sdk.mask_secret", told.append)
    in_a_task(monkeypatch, Comms())
    in_a_thread(lambda: masking.mask_in_airflow(["made-up-token-of-a-thread"]))
    assert told == []
    masking.mask_in_airflow()
    assert "made-up-token-of-a-thread" in str(told)
    masking.mask_in_airflow()
    assert len(told) == 1


def test_a_call_tells_what_a_thread_has_fetched_before(monkeypatch: pytest.MonkeyPatch, server: OAuthServer) -> None:
    told: list[object] = []
    hook = OAuth2Hook("shop")
    monkeypatch.setattr("airflow.providers.common.compat.sdk.mask_secret", told.append)
    # Read before: a connection of the environment, but Airflow would look for the supervisor's.
    assert hook._settings.client.client_secret
    in_a_task(monkeypatch, Comms())
    in_a_thread(hook.get_token)
    token = hook.get_token()
    assert token.value in str(told)
    assert len(server.token_requests) == 1


def test_no_second_thread_refreshes_a_token_ahead_of_its_end(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    in_a_task(monkeypatch, Comms())
    processes = Processes(lifetime_s=3600)
    source = processes.start()
    source.get()
    clock.advance(3600 - 100)
    assert source.get().value == "token-1"
    settle()
    assert len(processes.endpoint.asked) == 1
    clock.advance(50)
    assert source.get().value == "token-2"


def test_variables_share_nothing_there_and_say_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object, caplog: pytest.LogCaptureFixture
) -> None:
    in_a_task(monkeypatch, Comms())
    store = open_store("variable://", prefix="", airflow_home=tmp_path)  # type: ignore[arg-type]
    assert store.try_lease("made-up") is None
    assert not store.available
    assert "from Airflow 3.2 on" in caplog.text
