"""Threads and processes that wait for each other, and for how long."""

from __future__ import annotations

import os
import threading
import time

import pytest

from airflow_oauth_provider.exceptions import OAuth2Error, TokenEndpointUnavailableError
from airflow_oauth_provider.oauth2.token import AccessToken
from airflow_oauth_provider.tokens import source as source_module
from tests.support.clock import Clock
from tests.support.token_sources import Processes


def test_a_thread_whose_token_still_lives_does_not_wait_for_another_thread_for_long(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "PATIENCE_S", 0.05)
    processes = Processes()
    source = processes.start()
    source.get()
    clock.advance(3600 - 30)
    with source._fetching:
        assert source.get().value == "token-1"
    assert len(processes.endpoint.asked) == 1


def test_a_thread_without_a_token_goes_on_alone_when_another_thread_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "LEASE_S", 0.05)
    processes = Processes()
    source = processes.start()
    with source._fetching:
        assert source.get().value == "token-1"


def test_threads_whose_token_ends_while_they_wait_make_one_request_without_a_store(clock: Clock) -> None:
    processes, go_on = Processes(lifetime_s=40), threading.Event()
    source = processes.start()
    source.get()
    processes.guarded._skipped_until = float("inf")
    clock.advance(38.4)  # in the mandatory window; patience ends a second before the token

    def slow() -> AccessToken:
        go_on.wait(30)
        return processes.endpoint.token()

    processes.endpoint.script = [slow]
    got: list[str] = []
    threads = [threading.Thread(target=lambda: got.append(source.get().value)) for _ in range(20)]
    for thread in threads:
        thread.start()
    clock.advance(2)
    time.sleep(1)
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert (len(got), len(processes.endpoint.asked)) == (20, 2)


def test_two_tests_of_a_connection_at_once_leave_one_of_their_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = Processes()
    source, other = processes.start(), processes.start()

    def meanwhile() -> AccessToken:
        mine = processes.endpoint.token()
        other.fetch_new()
        return mine

    processes.endpoint.script = [meanwhile]
    assert source.fetch_new().value == "token-1"
    assert processes.start().get().value == "token-1"


def test_a_test_that_always_loses_the_race_still_has_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = Processes()
    source = processes.start()
    monkeypatch.setattr(type(processes.guarded), "write", lambda *_, **__: False)
    assert source.fetch_new().value == "token-1"
    assert source.get().value == "token-1"


def test_a_loser_whose_winner_left_nothing_usable_keeps_its_own_token(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = Processes()
    monkeypatch.setattr(type(processes.guarded), "write", lambda *_, **__: False)
    assert processes.start().get().value == "token-1"


def test_a_process_that_finds_the_refresh_already_done_takes_it(clock: Clock) -> None:
    processes = Processes()
    slow, quick = processes.start(), processes.start()
    slow.get()
    quick.get()
    clock.advance(3600 - 300)
    quick.fetch_new()
    held = slow._shelf.held
    assert held is not None
    slow._early.run(held)
    assert slow.get().value == "token-2"
    assert len(processes.endpoint.asked) == 2


def test_a_forked_child_is_not_locked_by_a_thread_of_its_parent() -> None:
    processes = Processes()
    source = processes.start()
    holding, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with source._fetching:
            holding.set()
            go_on.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    assert holding.wait(30)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, source.get().value.encode())
        except OAuth2Error as error:
            os.write(writing, str(error).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    go_on.set()
    thread.join()
    with open(reading) as pipe:
        assert pipe.read() == "token-1"


def test_a_process_whose_own_token_has_ended_goes_on_with_the_stored_one_while_the_server_is_down(
    clock: Clock,
) -> None:
    processes = Processes()
    warm = processes.start()
    warm.get()
    clock.advance(3600 - 30)
    # Another process was given one that ends later, but not much.
    stored = processes.endpoint.token(lifetime_s=3600, issued_at=time.time() - 3540, expires_at=time.time() + 60)
    assert processes.entries().write_token(stored, expected=1)
    clock.advance(30)
    processes.endpoint.script = [TokenEndpointUnavailableError("down")] * 9
    assert warm.get().value == processes.start().get().value == stored.value
