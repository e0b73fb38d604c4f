"""What people see of a stored token, and what they can do with it."""

from __future__ import annotations

import json
import time

import pytest

from airflow_oauth_provider.exceptions import InvalidClientError, OAuth2Error, TokenEndpointUnavailableError
from airflow_oauth_provider.tokens.status import TokenStatus
from tests.support.clock import Clock
from tests.support.made_up import client_settings
from tests.support.token_sources import Processes


def members(processes: Processes) -> dict[str, object]:
    return processes.start().status().members(time.time())


def test_nothing_is_known_before_the_first_token_and_looking_makes_no_request() -> None:
    processes = Processes()
    assert members(processes) == {
        "store": "memory://", "store_works": True, "state": "none", "age_s": None, "issued_at": None,
        "expires_at": None, "scope": None, "fingerprint": None, "requests_made": 0, "requests_saved": 0,
        "refusal": None, "refused_at": None, "refused_until": None,
    }  # fmt: skip
    assert processes.endpoint.asked == []


def test_age_end_scope_fingerprint_and_counts_of_the_stored_token_are_told_and_never_its_value(clock: Clock) -> None:
    processes = Processes(lifetime_s=600)
    processes.endpoint.script = [processes.endpoint.token(scope="orders:read")]
    token = processes.start().get()
    for _ in range(3):
        processes.start().get()
    clock.advance(90)
    told = members(processes)
    assert (told["state"], told["scope"], told["fingerprint"]) == ("valid", "orders:read", token.fingerprint)
    assert told["age_s"] == pytest.approx(90, abs=1)
    assert told["expires_at"] == token.expires_at
    assert told["requests_saved"] == 3
    status = processes.start().status()
    assert token.value not in json.dumps(told) + repr(status)
    clock.advance(600)
    assert members(processes)["state"] == "expired"


def test_the_last_refusal_is_told_even_when_it_has_ended(clock: Clock) -> None:
    processes = Processes()
    processes.endpoint.script = [InvalidClientError("invalid_client: wrong secret", error="invalid_client")]
    began = time.time()
    with pytest.raises(InvalidClientError):
        processes.start().get()
    told = members(processes)
    assert (told["state"], told["refusal"]) == ("refused", "invalid_client: wrong secret")
    assert told["refused_at"] == pytest.approx(began, abs=1)
    assert told["refused_until"] == pytest.approx(began + 60, abs=1)
    clock.advance(61)
    assert (members(processes)["state"], members(processes)["refusal"]) == ("none", "invalid_client: wrong secret")


def test_a_store_that_cannot_be_read_is_told_instead_of_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = Processes()
    processes.start().get()

    def fail(name: str) -> None:
        raise OSError("no way to it")

    monkeypatch.setattr(processes.store, "read", fail)
    status = processes.start().status()
    assert isinstance(status, TokenStatus)
    assert (status.works, status.state(time.time())) == (False, "unavailable")


def test_who_forgets_a_token_makes_the_next_process_fetch_one() -> None:
    processes = Processes()
    source = processes.start()
    assert source.get().value == "token-1"
    source.forget()
    assert members(processes)["state"] == "none"
    assert processes.start().get().value == "token-2"
    assert source.get().value == "token-2"


def test_forgetting_ends_a_remembered_refusal() -> None:
    processes = Processes()
    processes.endpoint.script = [TokenEndpointUnavailableError("slow", status_code=429, retry_after_s=1800)]
    with pytest.raises(TokenEndpointUnavailableError):
        processes.start().get()
    processes.start().forget()
    assert processes.start().get().value == "token-1"


def test_one_client_is_forgotten_and_no_other() -> None:
    processes = Processes()
    other = client_settings(scope="other")
    processes.start().get()
    processes.start(other).get()
    processes.start().forget()
    assert processes.start(other).get().value == "token-2"


def test_the_stored_token_is_ended_at_the_server_and_forgotten() -> None:
    processes = Processes()
    processes.start().get()
    assert processes.start().revoke() is True
    assert processes.endpoint.revoked == ["token-1"]
    assert members(processes)["state"] == "none"
    assert processes.start().revoke() is False
    assert processes.endpoint.revoked == ["token-1"]


def test_a_token_that_the_server_does_not_end_stays() -> None:
    processes = Processes()
    processes.start().get()
    processes.endpoint.revocation = TokenEndpointUnavailableError("down")
    with pytest.raises(OAuth2Error, match="down"):
        processes.start().revoke()
    assert processes.start().get().value == "token-1"


def test_a_token_that_has_ended_is_not_sent_to_the_server(clock: Clock) -> None:
    processes = Processes(lifetime_s=60)
    processes.start().get()
    clock.advance(61)
    assert processes.start().revoke() is False
    assert processes.endpoint.revoked == []
