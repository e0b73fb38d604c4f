"""A token that nears its end is refreshed before anybody has to wait for it."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import InvalidClientError, OAuth2Error, TokenEndpointUnavailableError
from airflow_oauth_provider.oauth2.token import AccessToken
from airflow_oauth_provider.tokens.refusals import Refusal, Scope
from airflow_oauth_provider.tokens.source import TokenSource
from tests.support.clock import Clock
from tests.support.token_sources import Processes, settle


def due(clock: Clock, processes: Processes, number: int = 1) -> list[TokenSource]:
    """Return sources whose common token is in its advisory window."""
    sources = [processes.start() for _ in range(number)]
    for source in sources:
        source.get()
    clock.advance(3600 - 300)
    return sources


def test_the_present_token_is_given_out_while_the_next_one_is_fetched(clock: Clock) -> None:
    processes = Processes()
    (source,) = due(clock, processes)
    assert source.get().value == "token-1"
    settle()
    assert source.get().value == "token-2"
    assert processes.start().get().value == "token-2"
    assert processes.endpoint.asked[1] == 5


def test_the_caller_does_not_wait_for_a_slow_server(clock: Clock) -> None:
    processes = Processes()
    (source,) = due(clock, processes)
    go_on = threading.Event()

    def slow() -> AccessToken:
        assert go_on.wait(30)
        return processes.endpoint.token()

    processes.endpoint.script = [slow]
    for _ in range(5):
        assert source.get().value == "token-1"
    go_on.set()
    settle()
    assert source.get().value == "token-2"
    assert len(processes.endpoint.asked) == 2


def test_one_process_refreshes_and_everybody_else_goes_on(clock: Clock) -> None:
    processes = Processes()
    sources = due(clock, processes, 10)
    for source in sources:
        assert source.get().value in ("token-1", "token-2")
        settle()
    assert {source.get().value for source in sources} == {"token-2"}
    assert len(processes.endpoint.asked) == 2


def test_a_process_that_does_not_get_the_lease_at_once_goes_on(clock: Clock) -> None:
    processes = Processes()
    (source,) = due(clock, processes)
    assert processes.entries().try_lease() is not None
    assert source.get().value == "token-1"
    settle()
    assert len(processes.endpoint.asked) == 1


@pytest.mark.statement(54)
@pytest.mark.parametrize(
    ("failure", "pause_s"), [(TokenEndpointUnavailableError("down"), 31), (InvalidClientError("no"), 61)]
)
def test_a_failed_early_refresh_is_one_log_line_and_a_pause_and_harms_nobody(
    clock: Clock, caplog: pytest.LogCaptureFixture, failure: OAuth2Error, pause_s: float
) -> None:
    processes = Processes()
    sources = due(clock, processes, 5)
    processes.endpoint.script = [failure]
    for _ in range(5):
        for source in [*sources, processes.start()]:
            assert source.get().value == "token-1"
            settle()
    assert len(processes.endpoint.asked) == 2
    assert len([r for r in caplog.records if "early refresh of a token failed" in r.getMessage()]) == 1
    clock.advance(pause_s - 15)
    sources[0].get()
    settle()
    assert len(processes.endpoint.asked) == 2
    clock.advance(20)
    sources[0].get()
    settle()
    assert sources[0].get().value == "token-2"


@pytest.mark.statement(55)
def test_a_pause_that_the_server_asked_of_an_early_refresh_is_kept_by_all(clock: Clock) -> None:
    processes = Processes()
    sources = due(clock, processes, 2)
    processes.endpoint.script = [TokenEndpointUnavailableError("slow down", status_code=429, retry_after_s=300)]
    sources[0].get()
    settle()
    clock.advance(200)
    for source in (*sources, processes.start()):
        assert source.get().value == "token-1"
        settle()
    assert len(processes.endpoint.asked) == 2


def test_a_remembered_refusal_stops_the_early_refresh(clock: Clock) -> None:
    processes = Processes()
    (source,) = due(clock, processes)
    slow = TokenEndpointUnavailableError("slow", status_code=429, retry_after_s=100)
    processes.entries().write_refusal(Scope.CLIENT, Refusal.of(slow, None, clock.time()))
    assert source.get().value == "token-1"
    settle()
    assert len(processes.endpoint.asked) == 1
    clock.advance(101)
    source.get()
    settle()
    assert source.get().value == "token-2"


# The thread ends as it would with its process; pytest would make a warning of that.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_task_that_was_killed_half_way_leaves_a_pause_behind(clock: Clock) -> None:
    def killed() -> AccessToken:
        raise SystemExit

    processes = Processes()
    first, second = due(clock, processes, 2)
    processes.endpoint.script = [killed]
    first.get()
    settle()
    for _ in range(5):
        for source in (first, second, processes.start()):
            assert source.get().value == "token-1"
            settle()
        clock.advance(38)
    assert len(processes.endpoint.asked) == 2, "what became of it nobody knows: no second one is risked"
    clock.advance(60)
    assert second.get().value == "token-2", "in the mandatory window"
    settle()


def test_a_token_that_is_far_from_its_end_is_left_alone(clock: Clock) -> None:
    processes = Processes()
    source = processes.start()
    source.get()
    clock.advance(3600 - 1201)
    source.get()
    settle()
    assert len(processes.endpoint.asked) == 1


def test_python_that_shuts_down_and_starts_no_thread_does_not_fail_the_call(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = Processes()
    (source,) = due(clock, processes)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert source.get().value == "token-1"


def test_who_comes_second_looks_once_and_takes_no_lease(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    processes = Processes()
    first, second = due(clock, processes, 2)
    first.get()
    settle()
    asked: list[str] = []
    for operation in ("read", "write", "try_lease"):
        real = getattr(processes.store, operation)

        def noted(*args: Any, _real: Any = real, _operation: str = operation, **kwargs: Any) -> Any:
            asked.append(_operation)
            return _real(*args, **kwargs)

        monkeypatch.setattr(processes.store, operation, noted)
    assert second.get().value == "token-1"
    settle()
    assert second.get().value == "token-2"
    assert asked == ["read"]


def test_a_task_that_ends_half_way_keeps_nobody_waiting_for_long(clock: Clock) -> None:
    processes = Processes(lifetime_s=20)
    source = processes.start()
    source.get()
    clock.advance(17.3)  # wherever in the advisory window this process begins to look
    began, go_on = threading.Event(), threading.Event()

    def slow() -> AccessToken:
        began.set()
        assert go_on.wait(30)
        return processes.endpoint.token()

    processes.endpoint.script = [slow]
    source.get()
    assert began.wait(30)
    assert processes.entries().try_lease() is None
    clock.advance(10.1)
    lease = processes.entries().try_lease()
    assert lease is not None
    processes.entries().release(lease)
    go_on.set()
    settle()


def test_nobody_takes_the_lease_again_and_again_to_look_at_a_pause(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = Processes()
    first, second = due(clock, processes, 2)
    processes.endpoint.script = [TokenEndpointUnavailableError("down")]
    first.get()
    settle()
    leases: list[str] = []
    real = processes.store.try_lease

    def noted(name: str, lasts_s: float) -> Any:
        leases.append(name)
        return real(name, lasts_s)

    monkeypatch.setattr(processes.store, "try_lease", noted)
    for _ in range(4):
        second.get()
        settle()
        clock.advance(6)
    assert len(leases) == 1
