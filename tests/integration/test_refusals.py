"""Servers that refuse, throttle or hang, and what many processes then do to them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import slow
from tests.support import worker
from tests.support.servers import OAuthServer, Reply, Seen

if TYPE_CHECKING:
    from tests.support.processes import Nursery

Environment = Callable[..., dict[str, str]]

INVALID_CLIENT = Reply(401, {"error": "invalid_client"}, {"WWW-Authenticate": "Basic"})
WRONG_SECRET = "a wrong made-up secret of more than 32 characters"


def refuse_the_wrong_secret(server: OAuthServer) -> None:
    server.token_reply = lambda seen: INVALID_CLIENT if seen.basic()[1] == WRONG_SECRET else server.issue()


@pytest.mark.statement(55)
def test_a_wrong_secret_in_forty_processes_is_at_most_three_token_requests(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    refuse_the_wrong_secret(server)

    outcomes = nursery.run(40, worker.call, environment(password=WRONG_SECRET))

    assert {outcome.error for outcome in outcomes} == {"InvalidClientError"}
    assert all(outcome.facts["permanent"] and outcome.facts["status_code"] == 401 for outcome in outcomes)
    assert all("Check Client ID and Client secret" in outcome.message for outcome in outcomes)
    assert not any(WRONG_SECRET in outcome.message for outcome in outcomes)
    assert len(server.token_requests) <= 3
    remembered = [outcome.message for outcome in outcomes if "Remembered since" in outcome.message]
    assert len(remembered) == 40 - len(server.token_requests)
    assert all("airflow-oauth2 forget end it" in message and "UTC" in message for message in remembered)


@pytest.mark.statement(55)
def test_a_corrected_secret_works_at_once(nursery: Nursery, server: OAuthServer, environment: Environment) -> None:
    refuse_the_wrong_secret(server)
    nursery.run(2, worker.call, environment(password=WRONG_SECRET))

    outcomes = nursery.run(4, worker.call, environment())

    assert [outcome.value for outcome in outcomes] == [[200]] * 4
    assert len(server.token_requests) == 2


@pytest.mark.statement(55)
def test_a_refused_credential_is_not_tried_with_another_scope_either(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    refuse_the_wrong_secret(server)

    for scope in ("read", "write"):
        (outcome,) = nursery.run(1, worker.get_token, environment(password=WRONG_SECRET, scope=scope))
        assert outcome.error == "InvalidClientError"

    assert len(server.token_requests) == 1


@pytest.mark.parametrize("code", ["invalid_scope", "invalid_target"])
def test_a_refused_request_is_remembered_for_just_that_request(
    nursery: Nursery, server: OAuthServer, environment: Environment, code: str
) -> None:
    def refuse_admin(seen: Seen) -> Reply:
        return Reply(400, {"error": code}) if ("scope", "admin") in seen.form else server.issue()

    server.token_reply = refuse_admin
    first, second = (nursery.run(1, worker.get_token, environment(scope="admin"))[0] for _ in range(2))
    (other,) = nursery.run(1, worker.get_token, environment(scope="read"))

    assert (
        first.error
        == second.error
        == {"invalid_scope": "InvalidScopeError", "invalid_target": "InvalidTargetError"}[code]
    )
    assert "Remembered since" not in first.message
    assert "Remembered since" in second.message
    assert other.error is None
    assert len(server.token_requests) == 2


def test_a_hanging_server_costs_forty_processes_one_time_out_each_and_no_queue(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    def hang(_: Seen) -> Reply:
        server.stopping.wait(60)
        return Reply(500)

    server.token_reply = hang
    # Remembered for as long as a process may be held up that waits for it.
    outcomes = nursery.run(40, worker.get_token, environment(timeout="1,2"), failure_s=60.0)

    assert {outcome.error for outcome in outcomes} == {"TokenEndpointUnavailableError"}
    assert not any(outcome.facts["permanent"] for outcome in outcomes)
    # One fetch of three attempts, at most 1 + 2 s each, and back-offs of at most 1 and 2 s between them; no second one.
    assert max(outcome.seconds for outcome in outcomes) < 2 * (3 * 3 + 3)
    assert len(server.token_requests) == 3


@pytest.mark.statement(54)
def test_calls_go_on_with_a_living_token_while_the_token_endpoint_hangs(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    """The token is in its mandatory window, but lives on for long."""
    server.tokens["made-up-old-token"] = time.time() + 1000
    patient = environment(leeway=3600)
    nursery.run(1, worker.store_token, patient, value="made-up-old-token", lifetime_s=36_000.0, left_s=1000.0)

    def hang(_: Seen) -> Reply:
        server.stopping.wait(60)
        return Reply(500)

    server.token_reply = hang
    outcomes = nursery.run(8, worker.call, patient, calls=3)

    assert [outcome.value for outcome in outcomes] == [[200] * 3] * 8
    assert max(outcome.seconds for outcome in outcomes) < 40, "five for the first one, and not until the server is back"
    assert len(server.token_requests) <= 3


@pytest.mark.statement(54)
def test_a_server_that_takes_longer_than_those_wait_who_have_a_token_fails_nobody(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    """The token ends while the server is asked for the next one, with more processes to come."""
    server.tokens["made-up-old-token"] = time.time() + 5.5
    nursery.run(1, worker.store_token, environment(), value="made-up-old-token", lifetime_s=60.0, left_s=5.5)
    server.token_reply = slow(server, 7)

    outcomes = nursery.run(6, worker.call_for, environment(), seconds=9.0, pause_s=0.2)
    outcomes += nursery.run(6, worker.call, environment())

    assert [outcome.error for outcome in outcomes] == [None] * 12
    assert len(server.token_requests) <= 3


@pytest.mark.statement(21)
def test_an_api_that_refuses_every_token_is_at_most_three_token_requests_of_forty_processes(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    server.api_reply = lambda _: Reply(401, b"", {"WWW-Authenticate": 'Bearer error="invalid_token"'})

    outcomes = nursery.run(40, worker.call, environment())

    assert {outcome.error for outcome in outcomes} == {"ApiRefusedTokenError"}
    assert all("check audience, scope and roles" in outcome.message for outcome in outcomes)
    assert all(0 < outcome.facts["retry_after_s"] <= 60 for outcome in outcomes)
    assert len(server.token_requests) <= 3
    assert len(server.api_requests) <= 80


@pytest.mark.statement(21)
def test_an_api_that_refuses_old_and_new_tokens_is_at_most_three_token_requests_of_forty_processes(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    server.api_reply = lambda _: Reply(401)
    nursery.run(1, worker.store_old_token, environment())

    outcomes = nursery.run(40, worker.call, environment(), calls=1)

    assert {outcome.error for outcome in outcomes} == {"ApiRefusedTokenError"}
    assert len(server.token_requests) <= 3
    assert len(server.api_requests) <= 40 * 4


@pytest.mark.statement(21)
def test_a_revoked_token_is_replaced_exactly_once_by_forty_processes(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    """The token was issued ten minutes ago, and the API knows nothing of it any more."""
    nursery.run(1, worker.store_old_token, environment())

    outcomes = nursery.run(40, worker.call, environment(), calls=2)

    assert [outcome.value for outcome in outcomes] == [[200, 200]] * 40
    assert len(server.token_requests) == 1


@pytest.mark.statement(55)
@pytest.mark.parametrize("status", [429, 503])
def test_a_long_retry_after_is_an_error_at_once_and_binds_other_processes(
    nursery: Nursery, server: OAuthServer, environment: Environment, status: int
) -> None:
    server.token_reply = lambda _: Reply(status, b"", {"Retry-After": "120"})

    (first,) = nursery.run(1, worker.get_token, environment())
    others = nursery.run(8, worker.get_token, environment(scope="write"))

    assert first.error == "TokenEndpointUnavailableError"
    assert first.facts["retry_after_s"] == 120
    assert first.seconds < 60
    assert {outcome.error for outcome in others} == {"TokenEndpointUnavailableError"}
    assert all(90 < outcome.facts["retry_after_s"] <= 120 for outcome in others)
    assert all(outcome.facts["status_code"] == status for outcome in others)
    assert len(server.token_requests) == 1


def test_a_short_retry_after_is_waited_for(nursery: Nursery, server: OAuthServer, environment: Environment) -> None:
    def throttle_first(_: Seen) -> Reply:
        return Reply(429, b"", {"Retry-After": "2"}) if len(server.token_requests) == 1 else server.issue()

    server.token_reply = throttle_first
    outcomes = nursery.run(4, worker.get_token, environment())

    assert len({outcome.value for outcome in outcomes}) == 1
    first, second = (seen.at for seen in server.token_requests)
    assert 1.9 < second - first < 25


def test_the_button_test_ignores_and_ends_a_remembered_refusal(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    """The server's administrator has allowed the client in the meantime."""
    server.token_reply = lambda _: INVALID_CLIENT
    (refused,) = nursery.run(1, worker.get_token, environment())
    server.token_reply = None
    (remembered,) = nursery.run(1, worker.get_token, environment())
    (pressed,) = nursery.run(1, worker.press_test, environment(test_endpoint="me"))
    after = nursery.run(4, worker.call, environment())

    assert (refused.error, remembered.error) == ("InvalidClientError", "InvalidClientError")
    worked, message = pressed.value
    assert worked, message
    assert message.startswith("Got a token that lives 3600 s, scope 'read', by client_secret_basic.")
    assert [outcome.value for outcome in after] == [[200]] * 4
    assert len(server.token_requests) == 2


def test_the_token_of_the_button_test_replaces_the_stored_one(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    """Some servers allow one token at a time: each new one ends the one before."""

    def one_at_a_time(_: Seen) -> Reply:
        server.revoke_all()
        return server.issue()

    server.token_reply = one_at_a_time
    nursery.run(1, worker.get_token, environment())
    nursery.run(1, worker.press_test, environment())
    outcomes = nursery.run(4, worker.call, environment())

    assert [outcome.value for outcome in outcomes] == [[200]] * 4
    assert len(server.token_requests) == 2


def test_the_button_test_says_what_to_change_when_the_secret_is_wrong(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    refuse_the_wrong_secret(server)

    (pressed,) = nursery.run(1, worker.press_test, environment(password=WRONG_SECRET))

    worked, message = pressed.value
    assert not worked
    assert message.startswith(
        "invalid_client: the server refused the client id or secret (client_secret_basic). "
        "Check Client ID and Client secret, or choose client_secret_post."
    )
    assert "\n" not in message
    assert WRONG_SECRET not in message
