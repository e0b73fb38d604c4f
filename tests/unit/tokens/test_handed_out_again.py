"""Servers that hand out the token that there is, with the seconds that are left, until its end."""

from __future__ import annotations

import itertools
import time

import pytest

from airflow_oauth_provider.exceptions import ApiRefusedTokenError
from airflow_oauth_provider.masking import Redactor
from airflow_oauth_provider.oauth2.answer import token_from
from airflow_oauth_provider.oauth2.token import AccessToken
from tests.support.clock import Clock
from tests.support.made_up import client_settings
from tests.support.token_sources import Processes, settle

LIFETIME_S = 3600.0


class OneAtATime:
    """Hands out one token until its end, in whole seconds that are left; at last, none."""

    def __init__(self, processes: Processes) -> None:
        self.later_s = 0.0
        self.asked = processes.endpoint.asked
        self._numbers = itertools.count(1)
        self._value, self.ends_at = "token-0", 0.0
        processes.endpoint.token = self.token  # type: ignore[assignment]

    def token(self) -> AccessToken:
        now = time.time()
        if self.ends_at <= now:
            self._value, self.ends_at = f"token-{next(self._numbers)}", now + LIFETIME_S + self.later_s
            left_s = int(LIFETIME_S)
        else:
            left_s = int(self.ends_at - now)
        members = {"access_token": self._value, "token_type": "Bearer", "expires_in": left_s}
        return token_from(client_settings(), Redactor([]), members, self._value, now=now, proof_key=None)


@pytest.fixture
def processes() -> Processes:
    return Processes()


@pytest.fixture
def server(processes: Processes, clock: Clock) -> OneAtATime:
    clock.skip_sleeps()
    return OneAtATime(processes)


def test_two_requests_a_lifetime_and_no_token_after_its_end(
    processes: Processes, server: OneAtATime, clock: Clock
) -> None:
    sources = [processes.start() for _ in range(3)]
    for _ in range(3 * 360):
        for source in sources:
            assert source.get().expires_at <= server.ends_at
            assert time.time() < server.ends_at
            settle()
        clock.advance(10)
    assert len(server.asked) <= 2 * 3 + 1


@pytest.mark.parametrize("left_s", [0.3, 0.9, 1.4, 40.0])
def test_a_process_that_comes_late_gets_a_token_that_lives(
    processes: Processes, server: OneAtATime, clock: Clock, left_s: float
) -> None:
    processes.start().get()
    clock.advance(LIFETIME_S - left_s)
    for _ in range(5):
        token = processes.start().get()
        assert time.time() < server.ends_at
        assert token.expires_at <= server.ends_at
    assert len(server.asked) <= 4


def test_it_is_as_old_as_it_was_so_an_api_that_refuses_it_is_believed(
    processes: Processes, server: OneAtATime, clock: Clock
) -> None:
    source = processes.start()
    source.get()
    clock.advance(LIFETIME_S - 200)
    source.get()
    settle()
    token = source.get()
    assert token.lifetime_s == LIFETIME_S
    server.ends_at = time.time()  # it was revoked
    assert source.renew(token).value == "token-2"
    with pytest.raises(ApiRefusedTokenError):
        source.renew(source.get())


def test_a_token_that_is_prolonged_begins_anew(processes: Processes, clock: Clock) -> None:
    processes.endpoint.token = lambda: AccessToken(  # type: ignore[method-assign,misc,assignment]
        "the-only-one",
        token_type="Bearer",
        scope=None,
        issued_at=time.time(),
        expires_at=time.time() + LIFETIME_S,
    )
    source = processes.start()
    for _ in range(4 * 12):
        assert source.get().expires_at > time.time()
        settle()
        clock.advance(300)
    assert len(processes.endpoint.asked) <= 7


def test_a_test_of_the_connection_does_not_make_it_younger(
    processes: Processes, server: OneAtATime, clock: Clock
) -> None:
    issued_at = processes.start().get().issued_at
    clock.advance(1000)
    assert processes.start().fetch_new().issued_at == issued_at
    assert processes.start().get().issued_at == issued_at


@pytest.mark.statement(13)
def test_nothing_left_of_a_token_that_nobody_knows_is_not_believed(
    processes: Processes, server: OneAtATime, clock: Clock
) -> None:
    server.ends_at = time.time() + 0.5
    token = processes.start().get()
    assert token.lifetime_s == 300
    assert len(server.asked) == 1


@pytest.mark.parametrize("later_s", [0.7, 1.5, 1.9, 3.0])
def test_a_server_that_counts_from_later_on_brings_no_ended_token_to_life(
    processes: Processes, server: OneAtATime, clock: Clock, later_s: float
) -> None:
    """Its clock, or the way of the first request, made it so."""
    server.later_s = later_s
    source = processes.start()
    first = source.get()
    while time.time() < first.expires_at - 1:
        clock.advance(60 if time.time() < first.expires_at - 400 else 0.9)
        source.get()
        settle()
    for _ in range(40):
        for one in (source, processes.start()):
            assert one.get().expires_at <= server.ends_at + 1
            assert one.get().lifetime_s != 300
        clock.advance(0.2)
    assert source.get().value != first.value


def test_a_server_that_always_says_zero_is_asked_as_if_it_said_nothing(processes: Processes, clock: Clock) -> None:
    clock.skip_sleeps()

    def token() -> AccessToken:
        members = {"access_token": "the-only-one", "token_type": "Bearer", "expires_in": 0}
        return token_from(client_settings(), Redactor([]), members, "the-only-one", now=time.time(), proof_key=None)

    processes.endpoint.token = token  # type: ignore[method-assign,assignment]
    source = processes.start()
    for _ in range(90):
        assert source.get().expires_at > time.time()
        settle()
        assert processes.start().get().expires_at > time.time()
        clock.advance(10)
    assert clock.slept == []
    assert len(processes.endpoint.asked) <= 5
    clock.advance(301)
    assert processes.start().fetch_new().lifetime_s == 300


def test_the_token_that_an_api_refuses_is_handed_out_again_as_old_as_it_was(
    processes: Processes, server: OneAtATime, clock: Clock
) -> None:
    source = processes.start()
    first = source.get()
    clock.advance(1000)
    again = source.renew(first)
    assert (again.value, again.issued_at, again.expires_at) == (first.value, first.issued_at, first.expires_at)
    for _ in range(30):
        with pytest.raises(ApiRefusedTokenError):
            source.renew(again)
        clock.advance(1)
    assert len(server.asked) == 2
