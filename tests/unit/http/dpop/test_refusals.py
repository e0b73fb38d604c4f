"""What becomes of a request whose token or proof the API refuses, and what the error shows of it."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import (
    ApiRefusedError,
    ApiUnavailableError,
)
from airflow_oauth_provider.oauth2.dpop import ProofKey
from tests.support.bound_tokens import session_on
from tests.support.clock import Clock
from tests.support.dpop_api import DpopServer, claims_of, nonce_demand, refusal
from tests.support.servers import Reply
from tests.support.token_sources import Processes

# Refusals -------------------------------------------------------------------------------------------------------------


@pytest.mark.statement(47)
@pytest.mark.parametrize(
    "challenge",
    [
        'DPoP error="invalid_token", algs="ES256"',
        'dpop error="invalid_token"',
        'DPoP algs="ES256"',
        'Bearer realm="x", DPoP algs="ES256", error="invalid_token"',
        'Bearer realm="x", error="insufficient_scope", dpop error=invalid_token',
    ],
)
def test_invalid_token_is_an_ended_token_and_not_a_missing_nonce(
    api: DpopServer, aged: Processes, challenge: str
) -> None:
    api.answer_first(nonce_demand("n", challenge))
    assert session_on(api, aged).call("GET", "orders").response.status_code == 200
    assert api.sent_tokens == ["token-1", "token-2"]
    assert api.nonces == [None, "n"]


@pytest.mark.statement(47)
@pytest.mark.parametrize(
    "challenge",
    [
        'DPoP error="invalid_dpop_proof"',
        'Bearer error="invalid_token"',
        'DPoP error="insufficient_scope", Bearer error="invalid_token"',
        'Basic realm="x"',
    ],
)
def test_what_is_not_about_the_token_drops_nothing(api: DpopServer, aged: Processes, challenge: str) -> None:
    api.answer_first(nonce_demand("n", challenge))
    session = session_on(api, aged)

    with pytest.raises(ApiRefusedError):
        session.call("GET", "orders")

    assert session.auth.source.get().value == "token-1"
    assert (len(api.seen), len(aged.endpoint.asked)) == (1, 1)


@pytest.mark.statement(44)
@pytest.mark.parametrize("answer", [nonce_demand(), refusal('DPoP error="invalid_token"')])
def test_a_file_is_sent_again_from_where_it_stood(api: DpopServer, aged: Processes, answer: Reply) -> None:
    file = io.BytesIO(b"skipped body")
    file.seek(8)
    api.answer_first(answer)
    assert session_on(api, aged).call("POST", "orders", data=file).response.status_code == 200
    assert [seen.body for seen in api.seen] == [b"body", b"body"]


@pytest.mark.statement(44)
def test_an_upload_of_files_is_sent_again(api: DpopServer, processes: Processes) -> None:
    api.answer_first(nonce_demand())
    session_on(api, processes).call("POST", "orders", files={"file": ("a.csv", io.BytesIO(b"one,two"))})
    assert len(api.seen) == 2
    assert api.seen[0].body == api.seen[1].body
    assert b"one,two" in api.seen[1].body


@pytest.mark.statement(44)
def test_a_body_that_can_be_sent_once_is_not_sent_again_but_the_next_one_has_the_nonce(
    api: DpopServer, processes: Processes, caplog: pytest.LogCaptureFixture
) -> None:
    session = session_on(api, processes)
    api.api_nonce = "n"

    with pytest.raises(ApiUnavailableError, match="body can be read only once"):
        session.call("POST", "orders", data=iter([b"body"]))
    assert len(api.seen) == 1
    assert "read only once" in caplog.text

    assert session.call("POST", "orders", data=iter([b"body"])).response.status_code == 200
    assert len(api.seen) == 2


# What errors show -----------------------------------------------------------------------------------------------------


def test_a_proof_that_the_api_echoes_is_hidden(api: DpopServer, processes: Processes) -> None:
    api.api_reply = lambda seen: Reply(400, f"you sent {seen.headers['dpop']}.", {"Content-Type": "text/plain"})
    session = session_on(api, processes)

    with pytest.raises(ApiRefusedError) as caught:
        session.call("GET", "orders")

    assert "you sent ***." in str(caught.value)
    assert not any(part in str(caught.value) for part in api.proofs[0].split("."))


def test_the_proofs_of_an_answer_are_hidden_however_many_were_sent_since(api: DpopServer, processes: Processes) -> None:
    api.answer_first(nonce_demand())
    session = session_on(api, processes)
    answer = session.get("a")
    for _ in range(20):
        session.get("b")

    hidden = session.redactor(answer)

    assert hidden(" ".join(api.proofs[:2])) == "*** ***"
    assert len(session.auth.sent_proofs()) == 8


def test_a_request_costs_one_signature(api: DpopServer, processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    prove = ProofKey.proof

    def counted(self: ProofKey, *args: Any, **kwargs: Any) -> str:
        made.append(prove(self, *args, **kwargs))
        return made[-1]

    monkeypatch.setattr(ProofKey, "proof", counted)
    session = session_on(api, processes)
    for _ in range(3):
        session.get("a")
    assert made == api.proofs


def test_proofs_bear_the_time_of_their_request(api: DpopServer, processes: Processes, clock: Clock) -> None:
    clock.advance(1000)
    session_on(api, processes).get("a")
    assert claims_of(api.proofs[0])["iat"] == pytest.approx(time.time(), abs=30)
