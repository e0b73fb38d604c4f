"""Proofs in requests to an API that checks them, and the nonces that it wants in them."""

from __future__ import annotations

import itertools

import pytest
import requests

from airflow_oauth_provider.exceptions import (
    ApiRefusedError,
    ApiRefusedTokenError,
    ApiUnavailableError,
)
from airflow_oauth_provider.http.auth import OAuth2Auth
from airflow_oauth_provider.http.origin import OriginGuard
from airflow_oauth_provider.http.session import ApiSession
from tests.support.bound_tokens import auth_on, session_on
from tests.support.clock import Clock
from tests.support.dpop_api import DpopServer, claims_of, header_of, nonce_demand, refusal
from tests.support.servers import Reply
from tests.support.token_sources import Processes, ScriptedEndpoint

# One request, one proof -----------------------------------------------------------------------------------------------


@pytest.mark.statement(41)
@pytest.mark.statement(46)
def test_a_bound_token_goes_with_the_scheme_dpop_and_a_proof_of_its_own(api: DpopServer, processes: Processes) -> None:
    session = session_on(api, processes)

    assert session.call("GET", "orders", params={"page": "1"}).response.status_code == 200
    assert session.call("POST", "orders/a b", json={"a": 1}).response.status_code == 200

    assert [seen.headers["authorization"] for seen in api.seen] == ["DPoP token-1"] * 2
    assert [claims_of(proof)["htu"] for proof in api.proofs] == [f"{api.url}/api/orders", f"{api.url}/api/orders/a%20b"]
    assert [claims_of(proof)["htm"] for proof in api.proofs] == ["GET", "POST"]
    assert api.refusals == []


@pytest.mark.statement(46)
def test_a_token_without_a_key_goes_as_bearer_and_without_a_proof(api: DpopServer) -> None:
    session_on(api, Processes()).get("orders")
    assert [(seen.headers["authorization"], seen.headers.get("dpop")) for seen in api.seen] == [
        ("Bearer token-1", None)
    ]


@pytest.mark.statement(42)
def test_a_prepared_request_that_is_sent_twice_has_two_proofs(api: DpopServer, processes: Processes) -> None:
    session = session_on(api, processes)
    prepared = session.prepare_request(requests.Request("GET", f"{api.url}/api/orders"))
    assert [session.send(prepared).status_code for _ in range(3)] == [200] * 3
    assert len({claims_of(proof)["jti"] for proof in api.proofs}) == 3


@pytest.mark.statement(42)
def test_a_prepared_request_that_was_redirected_has_its_own_proof_when_it_is_sent_again(
    api: DpopServer, processes: Processes
) -> None:
    session = session_on(api, processes)
    prepared = session.prepare_request(requests.Request("GET", f"{api.url}/api/a"))
    for _ in range(2):
        api.answer_first(Reply(302, b"", {"Location": "/api/b"}), Reply(200))
        assert session.send(prepared).status_code == 200
    assert [claims_of(proof)["htu"] for proof in api.proofs] == [f"{api.url}/api/a", f"{api.url}/api/b"] * 2
    assert len({claims_of(proof)["jti"] for proof in api.proofs}) == 4


@pytest.mark.statement(42)
@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_library_that_sends_a_failed_request_again_sends_a_new_proof(
    api: DpopServer, processes: Processes, status: int
) -> None:
    """dlt does: it repeats ``session.send`` with the request as it is."""
    with requests.Session() as session:
        request = session.prepare_request(requests.Request("GET", f"{api.url}/api/a", auth=auth_on(api, processes)))
        api.answer_first(Reply(status), Reply(status), None)
        answers = [session.send(request) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [status, status, 200]
    assert len({claims_of(proof)["jti"] for proof in api.proofs}) == 3
    assert [answer.request.headers["DPoP"] for answer in answers] == api.proofs, "each answer names what was sent"


@pytest.mark.statement(44)
def test_the_nonce_that_was_just_asked_for_counts_whatever_another_thread_has_heard_since(
    api: DpopServer, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = session_on(api, processes)
    monkeypatch.setattr(session.auth.source.api_nonces, "of", lambda _: "of-an-older-answer")
    api.api_nonce = "the-newest"
    assert session.call("GET", "orders").response.status_code == 200
    assert api.nonces == ["of-an-older-answer", "the-newest"]


@pytest.mark.statement(42)
def test_every_request_retry_renewal_and_redirect_has_a_new_proof(
    api: DpopServer, aged: Processes, clock: Clock
) -> None:
    clock.skip_sleeps()
    api.answer_first(
        Reply(503),
        refusal('DPoP error="invalid_token"'),
        nonce_demand(),
        Reply(307, b"", {"Location": "/api/moved?x=1#y"}),
    )

    answer = session_on(api, aged).call("PUT", "orders", data=b"body").response

    assert answer.status_code == 200
    assert api.sent_tokens == ["token-1"] * 2 + ["token-2"] * 3
    assert [seen.body for seen in api.seen] == [b"body"] * 5
    claims = [claims_of(proof) for proof in api.proofs]
    assert len({claim["jti"] for claim in claims}) == 5
    assert [claim["htu"].removeprefix(api.url) for claim in claims] == ["/api/orders"] * 4 + ["/api/moved"]
    assert api.nonces == [None, None, None, "n", "n"]


@pytest.mark.statement(42)
def test_a_renewed_token_is_proved_by_its_own_key(api: DpopServer, aged: Processes) -> None:
    api.answer_first(refusal('DPoP error="invalid_token"'))

    session_on(api, aged).call("GET", "orders")

    one, other = (header_of(proof)["jwk"] for proof in api.proofs)
    assert one != other
    assert api.refusals == []


@pytest.mark.statement(46)
def test_a_bearer_token_that_follows_on_a_bound_one_goes_without_a_proof(api: DpopServer, aged: Processes) -> None:
    aged.endpoint.script = [ScriptedEndpoint.token(aged.endpoint)]
    api.answer_first(refusal('DPoP error="invalid_token"'), Reply(200))

    session_on(api, aged).call("GET", "orders")

    assert [seen.headers["authorization"] for seen in api.seen] == ["DPoP token-1", "Bearer token-2"]
    assert "dpop" not in api.seen[1].headers


# Nonces ---------------------------------------------------------------------------------------------------------------


@pytest.mark.statement(44)
def test_a_demand_for_a_nonce_is_met_once_and_remembered(api: DpopServer, processes: Processes) -> None:
    api.api_nonce = "first"
    source = processes.start()
    auth = OAuth2Auth(source, OriginGuard(api.url))

    assert requests.get(f"{api.url}/api/a", auth=auth).status_code == 200
    assert requests.get(f"{api.url}/api/b", auth=OAuth2Auth(source, OriginGuard(api.url))).status_code == 200

    assert api.nonces == [None, "first", "first"]
    assert api.refusals == ["use_dpop_nonce"]
    assert len(processes.endpoint.asked) == 1


@pytest.mark.statement(44)
@pytest.mark.parametrize(
    "challenge",
    [
        'DPoP error="use_dpop_nonce", error_description="Resource server requires nonce in DPoP proof"',
        'dpop ERROR="use_dpop_nonce"',
        "DPOP error=use_dpop_nonce",
        'Bearer realm="a, b", error="invalid_token", DPoP algs="ES256", error="use_dpop_nonce"',
        'Bearer, DPoP error="use_dpop_nonce", Basic realm="x"',
    ],
)
def test_a_demand_is_understood_however_it_is_written(api: DpopServer, processes: Processes, challenge: str) -> None:
    api.answer_first(nonce_demand("n", challenge))
    assert session_on(api, processes).call("GET", "orders").response.status_code == 200
    assert api.nonces == [None, "n"]
    assert api.sent_tokens == ["token-1"] * 2


@pytest.mark.statement(45)
def test_a_nonce_in_an_answer_of_any_status_is_adopted(api: DpopServer, processes: Processes, clock: Clock) -> None:
    clock.skip_sleeps()
    statuses = (200, 404, 503, 201)
    api.answer_first(*(Reply(status, b"", {"dpop-nonce": f"after-{status}"}) for status in statuses))
    session = session_on(api, processes)

    for path in "abc":
        session.get(path)

    assert api.nonces == [None, "after-200", "after-404", "after-503"]
    session.get("d")
    assert api.nonces[4] == "after-201"


@pytest.mark.statement(45)
def test_an_api_that_takes_each_nonce_once_costs_one_request_more_in_all(api: DpopServer, processes: Processes) -> None:
    api.nonce_per_answer, api.api_nonce = True, "nonce-0"
    session = session_on(api, processes)

    assert [session.get(f"{number}").status_code for number in range(20)] == [200] * 20

    assert len(api.seen) == 21


@pytest.mark.statement(44)
def test_nonces_are_kept_by_origin(api: DpopServer, processes: Processes) -> None:
    with DpopServer() as other:
        other.tokens, other.bound = api.tokens, api.bound
        api.api_nonce, other.api_nonce = "ours", "theirs"
        session = session_on(api, processes, allowed_hosts=(other.url,))

        for _ in range(2):
            assert session.get("a").status_code == 200
            assert session.get(f"{other.url}/api/b").status_code == 200

        assert api.nonces == [None, "ours", "ours"]
        assert other.nonces == [None, "theirs", "theirs"]


@pytest.mark.statement(44)
def test_an_api_that_asks_for_another_nonce_each_time_gets_two_sends_an_attempt(
    api: DpopServer, processes: Processes, clock: Clock
) -> None:
    clock.skip_sleeps()
    numbers = itertools.count()
    api.api_reply = lambda _: nonce_demand(f"n{next(numbers)}")

    with pytest.raises(ApiUnavailableError, match="yet another nonce") as caught:
        session_on(api, processes).call("GET", "orders")

    assert api.nonces == [None, *(f"n{number}" for number in range(9))]
    assert caught.value.error == "use_dpop_nonce"
    assert len(processes.endpoint.asked) == 1


@pytest.mark.statement(44)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_nonce_that_other_threads_have_used_up_is_no_failure(
    api: DpopServer, processes: Processes, clock: Clock, method: str
) -> None:
    clock.skip_sleeps()
    api.answer_first(nonce_demand("one"), nonce_demand("two"), nonce_demand("three"), Reply(200))
    assert session_on(api, processes).call(method, "orders").attempts == 2
    assert api.nonces == [None, "one", "two", "three"]


@pytest.mark.statement(44)
@pytest.mark.parametrize("headers", [{}, {"DPoP-Nonce": "two words"}])
def test_a_demand_that_names_no_nonce_is_an_error_at_once(
    api: DpopServer, processes: Processes, headers: dict[str, str]
) -> None:
    api.answer_first(refusal('DPoP error="use_dpop_nonce"', **headers))
    with pytest.raises(ApiRefusedError, match="names none"):
        session_on(api, processes).call("GET", "orders")
    assert len(api.seen) == 1


@pytest.mark.statement(44)
def test_there_are_never_more_than_four_sends(api: DpopServer, aged: Processes, clock: Clock) -> None:
    behind = aged.start()
    behind.get()
    aged.start().fetch_new()
    clock.advance(100)
    demands = itertools.cycle([nonce_demand("n"), *[refusal('DPoP error="invalid_token"')] * 3])
    api.api_reply = lambda _: next(demands)
    session = ApiSession(session_on(api, aged)._settings, behind)

    with pytest.raises(ApiRefusedTokenError, match="refuses a fresh token"):
        session.call("GET", "orders")

    assert api.sent_tokens == ["token-1", "token-1", "token-2", "token-3"]
    assert len(aged.endpoint.asked) == 3


@pytest.mark.statement(44)
def test_a_prepared_request_that_is_sent_again_may_be_asked_for_a_nonce_again(
    api: DpopServer, processes: Processes
) -> None:
    with requests.Session() as session:
        request = session.prepare_request(requests.Request("GET", f"{api.url}/api/a", auth=auth_on(api, processes)))
        for nonce in ("one", "two"):
            api.answer_first(nonce_demand(nonce), Reply(200))
            assert session.send(request).status_code == 200
    assert len(api.seen) == 4
