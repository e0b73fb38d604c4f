"""Tokens that are bound to a key (RFC 9449), with a certified server and an API that looks at every proof."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import requests
import time_machine

from airflow_oauth_provider.exceptions import ApiUnavailableError, InvalidGrantError, TokenRefusedError
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from tests.support import worker
from tests.support.patience import PATIENT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Nursery
    from tests.support.secure_oidc_server import SecureOidcServer, Watch

Connect = Callable[..., str]

LINKS = {"kind": "link_header"}


@pytest.mark.statement(39, 40, 41, 46)
@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512", "EdDSA", "Ed25519", "PS256"])
def test_a_token_is_bound_to_a_key_and_used_with_proofs_of_it(
    secure: SecureOidcServer, connect_securely: Connect, algorithm: str
) -> None:
    watch = secure.watch("dpop")
    hook = OAuth2Hook(oauth2_conn_id=connect_securely("dpop", dpop_algorithm=algorithm))

    answer = hook.request("GET", "list", params={"since": "2026-11-24", "q": "a b"}).json()

    token = hook.get_token()
    assert token.proof_key is not None
    assert answer["cnf"] == {"jkt": token.proof_key.thumbprint}
    (request,) = watch.token_requests()
    proof = request["proof"]
    assert (proof["header"]["typ"], proof["header"]["alg"]) == ("dpop+jwt", algorithm)
    assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & proof["header"]["jwk"].keys()
    assert (proof["claims"]["htm"], proof["claims"]["htu"]) == ("POST", secure.token_url)
    assert [(call["status"], call["scheme"]) for call in watch.api_calls()] == [(200, "dpop")]


@pytest.mark.statement(42)
def test_each_page_redirect_and_call_has_a_proof_of_its_own(
    secure: SecureOidcServer, connect_securely: Connect
) -> None:
    """The API takes none twice, and none for another URL."""
    watch = secure.watch("dpop")
    hook = OAuth2Hook(oauth2_conn_id=connect_securely("dpop"))

    assert list(hook.records("pages", pagination=LINKS)) == [{"page": 1}, {"page": 2}, {"page": 3}]
    assert hook.request("GET", "moved").status_code == 200
    response = requests.post(
        f"{secure.origin}/api/list", auth=hook.auth, verify=str(secure.authority.bundle), timeout=60
    )
    assert response.status_code == 200

    calls = watch.api_calls()
    assert [call["status"] for call in calls] == [200] * 6
    assert len({call["proof"] for call in calls}) == 6
    assert watch.statuses() == [200]


@pytest.mark.statement(43)
def test_the_token_endpoint_gets_the_nonce_that_it_demands(secure: SecureOidcServer, connect_securely: Connect) -> None:
    watch = secure.watch("dpop_server_nonce")
    hook = OAuth2Hook(oauth2_conn_id=connect_securely("dpop_server_nonce"))

    assert hook.request("GET", "list").status_code == 200
    hook.forget_token()
    assert hook.request("GET", "list").status_code == 200

    # The second token's first proof holds the nonce that is known by then.
    assert [(request["status"], request["error"]) for request in watch.token_requests()] == [
        (400, "use_dpop_nonce"),
        (200, None),
        (200, None),
    ]
    nonces = [request["proof"]["claims"].get("nonce") for request in watch.token_requests()]
    assert nonces[0] is None
    assert nonces[1]
    # The nonces of the authorization server are not those of the API, which wants none here.
    assert [call["nonce"] for call in watch.api_calls()] == [None, None]


@pytest.mark.statement(44, 45, 47)
def test_the_api_gets_the_nonce_that_it_demands_and_each_next_one(
    secure: SecureOidcServer, connect_securely: Connect
) -> None:
    """Each nonce is good for one call; the next one comes with the answer to it."""
    watch = secure.watch("dpop_api_nonce")
    hook = OAuth2Hook(oauth2_conn_id=connect_securely("dpop_api_nonce"))

    for _ in range(3):
        assert hook.request("GET", "list").status_code == 200
    assert len(list(hook.records("pages", pagination=LINKS))) == 3

    calls = watch.api_calls()
    assert [call["status"] for call in calls] == [401, *[200] * 6]
    assert len({call["nonce"] for call in calls}) == 7
    assert [request["proof"]["claims"].get("nonce") for request in watch.token_requests()] == [None]


@pytest.mark.statement(28, 43, 44)
def test_a_key_proves_the_client_and_another_one_the_token_with_nonces_of_both_servers(
    secure: SecureOidcServer, connect_securely: Connect
) -> None:
    """The server takes each assertion once: the request with the nonce needs another one."""
    watch = secure.watch("dpop_key")

    answer = OAuth2Hook(oauth2_conn_id=connect_securely("dpop_key")).request("GET", "list").json()

    assert answer["client_id"] == secure.clients["dpop_key"].client_id
    demanded, granted = watch.token_requests()
    assert (demanded["error"], granted["status"]) == ("use_dpop_nonce", 200)
    assert demanded["assertion"]["claims"]["jti"] != granted["assertion"]["claims"]["jti"]
    assert demanded["proof"]["claims"]["jti"] != granted["proof"]["claims"]["jti"]
    assert demanded["proof"]["header"]["jwk"] == granted["proof"]["header"]["jwk"]
    assert statuses_and_nonces(watch) == [(401, False), (200, True)]


def test_processes_share_a_token_and_its_key(secure: SecureOidcServer, nursery: Nursery, tmp_path: Path) -> None:
    environment = {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW_CONN_SHOP": secure.connection("dpop_fleet"), **PATIENT}
    watch = secure.watch("dpop_fleet")

    outcomes = nursery.run(4, worker.call, environment, calls=2)

    assert [outcome.value for outcome in outcomes] == [[200, 200]] * 4
    assert watch.statuses() == [400, 200]
    assert len({call["token"] for call in watch.api_calls()}) == 1
    with secure.outage():
        (later,) = nursery.run(1, worker.call, environment)
    assert later.value == [200]
    assert watch.statuses() == [400, 200]


def test_a_bound_token_is_worth_nothing_without_its_key(secure: SecureOidcServer, connect_securely: Connect) -> None:
    """Whoever steals it from a log or a proxy cannot call the API, with neither scheme nor with an old proof."""
    hook = OAuth2Hook(oauth2_conn_id=connect_securely("dpop"))
    sent = hook.request("GET", "list").request.headers
    value, proof = hook.get_token().value, sent["DPoP"]

    def refused(**headers: str) -> str:
        stolen = requests.get(
            f"{secure.origin}/api/list", headers=headers, verify=str(secure.authority.bundle), timeout=60
        )
        assert stolen.status_code == 401
        return str(stolen.json()["error_description"])

    assert refused(Authorization=f"Bearer {value}") == "this token does not go with the scheme bearer"
    assert refused(Authorization=f"DPoP {value}") == "0 proofs"
    assert refused(Authorization=f"DPoP {value}", DPoP=proof) == "the proof was used before"


def test_an_algorithm_that_the_server_does_not_take_is_one_error(
    secure: SecureOidcServer, connect_securely: Connect
) -> None:
    watch = secure.watch("dpop")

    with pytest.raises(TokenRefusedError, match="dpop_algorithm") as caught:
        OAuth2Hook(oauth2_conn_id=connect_securely("dpop", dpop_algorithm="RS256")).get_token()

    assert caught.value.error == "invalid_dpop_proof"
    assert watch.statuses() == [400]


def test_a_client_of_bound_tokens_that_sends_no_proof_gets_one_error(
    secure: SecureOidcServer, connect_securely: Connect
) -> None:
    watch = secure.watch("dpop")

    with pytest.raises(InvalidGrantError):
        OAuth2Hook(oauth2_conn_id=connect_securely("dpop", without=("dpop",))).get_token()

    assert watch.statuses() == [400]


def test_a_clock_that_is_off_does_not_matter_to_a_server_of_nonces(
    secure: SecureOidcServer, connect_securely: Connect
) -> None:
    """A proof that is older than five minutes needs a nonce here, which ends the matter."""
    watch, hook = secure.watch("dpop"), OAuth2Hook(oauth2_conn_id=connect_securely("dpop"))

    with time_machine.travel(time.time() - 400):
        token = hook.get_token()

    assert token.proof_key is not None
    assert [request["error"] for request in watch.token_requests()] == ["use_dpop_nonce", None]


def test_a_proof_too_old_for_the_api_is_one_error(secure: SecureOidcServer, connect_securely: Connect) -> None:
    hook = OAuth2Hook(oauth2_conn_id=connect_securely("dpop"))
    hook.get_token()
    watch = secure.watch("dpop")

    with time_machine.travel(time.time() + 90), pytest.raises(ApiUnavailableError, match="clock") as caught:
        hook.request("GET", "list")

    assert (caught.value.error, caught.value.status_code) == ("invalid_dpop_proof", 401)
    assert [call["reason"] for call in watch.api_calls()] == ["iat is not recent"]
    assert watch.statuses() == []


def statuses_and_nonces(watch: Watch) -> list[tuple[int, bool]]:
    return [(call["status"], call["nonce"] is not None) for call in watch.api_calls()]
