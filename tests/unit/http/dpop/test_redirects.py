"""Proofs on the way through redirects, which a plain session follows by itself."""

from __future__ import annotations

import gc

import pytest
import requests

from airflow_oauth_provider.exceptions import (
    ApiUnavailableError,
    OriginError,
)
from tests.support.bound_tokens import auth_on, session_on
from tests.support.clock import Clock
from tests.support.dpop_api import DpopServer, claims_of, nonce_demand, refusal
from tests.support.servers import Reply
from tests.support.token_sources import Processes

# Redirects ------------------------------------------------------------------------------------------------------------

REDIRECTS = [
    (301, ["POST", "GET"]),
    (302, ["POST", "GET"]),
    (303, ["PUT", "GET"]),
    (307, ["POST", "POST"]),
    (308, ["PUT", "PUT"]),
    (302, ["HEAD", "HEAD"]),
]


@pytest.mark.statement(42)
@pytest.mark.parametrize(("status", "methods"), REDIRECTS)
@pytest.mark.parametrize("plain", [False, True])
def test_a_redirected_request_has_a_proof_for_its_own_method_and_url(
    api: DpopServer, processes: Processes, status: int, methods: list[str], plain: bool
) -> None:
    api.answer_first(Reply(status, b"", {"Location": "to/%C3%A9 b?x=1#y", "DPoP-Nonce": "n"}))
    api.api_nonce = "n"
    body = None if methods[0] == "HEAD" else b"body"
    if plain:
        answer = requests.request(
            methods[0], f"{api.url}/api/from", auth=auth_on(api, processes), allow_redirects=True, data=body
        )
    else:
        answer = session_on(api, processes).call(methods[0], "from", allow_redirects=True, data=body).response

    assert answer.status_code == 200
    assert [seen.method for seen in api.seen] == methods
    assert claims_of(api.proofs[1])["htu"] == f"{api.url}/api/to/%C3%A9%20b"
    assert api.refusals == []


@pytest.mark.statement(42)
@pytest.mark.parametrize("plain", [False, True])
def test_what_was_renewed_on_the_way_goes_on_through_every_redirect(
    api: DpopServer, aged: Processes, plain: bool
) -> None:
    api.api_nonce = "n"
    api.answer_first(
        None,
        refusal('DPoP error="invalid_token"'),
        Reply(302, b"", {"Location": "/api/b"}),
        Reply(302, b"", {"Location": f"{api.url}/api/c"}),
    )
    if plain:
        answer = requests.get(f"{api.url}/api/a", auth=auth_on(api, aged))
    else:
        answer = session_on(api, aged).call("GET", "a").response

    assert answer.status_code == 200
    assert api.sent_tokens == ["token-1"] * 2 + ["token-2"] * 3
    assert [seen.path for seen in api.seen] == ["/api/a"] * 3 + ["/api/b", "/api/c"]
    assert api.refusals == ["use_dpop_nonce"]


@pytest.mark.statement(40)
@pytest.mark.parametrize("path", ["/api/a%2fb", "/api/a[1]", "/api/a%", "/api/b|c?x=[1]", "/api/../api/./b?c=/../d"])
@pytest.mark.parametrize("plain", [True, False])
def test_a_proof_names_the_url_of_a_redirect_as_it_is_sent(
    api: DpopServer, processes: Processes, path: str, plain: bool
) -> None:
    api.answer_first(Reply(302, b"", {"Location": f"{api.url}{path}" if path.startswith("/api/..") else path}))
    if plain:
        answer = requests.get(f"{api.url}/api/a", auth=auth_on(api, processes))
    else:
        answer = session_on(api, processes).call("GET", "a").response
    assert (answer.status_code, api.refusals) == (200, [])


@pytest.mark.statement(44)
def test_each_server_on_the_way_may_ask_for_its_nonce_once(api: DpopServer, processes: Processes) -> None:
    with DpopServer() as other:
        other.tokens, other.bound = api.tokens, api.bound
        api.api_nonce, other.api_nonce = "ours", "theirs"
        api.answer_first(None, Reply(307, b"", {"Location": f"{other.url}/api/b"}))

        answer = session_on(api, processes, allowed_hosts=(other.url,)).call("PUT", "a", data=b"body").response

        assert answer.status_code == 200
        assert (api.nonces, other.nonces) == ([None, "ours"], [None, "theirs"])
        assert [seen.body for seen in other.seen] == [b"body"] * 2


@pytest.mark.statement(44)
def test_a_redirect_gives_the_same_server_no_second_nonce_retry(
    api: DpopServer, processes: Processes, clock: Clock
) -> None:
    clock.skip_sleeps()
    api.answer_first(
        nonce_demand("one"),
        Reply(302, b"", {"Location": "/api/b"}),
        *(nonce_demand(f"n{number}") for number in range(20)),
    )
    with pytest.raises(ApiUnavailableError, match="yet another nonce"):
        session_on(api, processes).call("GET", "a")
    assert [seen.path for seen in api.seen][:4] == ["/api/a", "/api/a", "/api/b", "/api/a"], "the next is an attempt"


@pytest.mark.statement(24)
@pytest.mark.parametrize("status", [302, 307])
def test_neither_token_nor_proof_follows_a_redirect_to_another_origin(
    api: DpopServer, processes: Processes, status: int
) -> None:
    with DpopServer() as foreign:
        foreign.api_reply = lambda _: nonce_demand()
        api.answer_first(*[Reply(status, b"", {"Location": f"{foreign.url}/api/x"})] * 2)

        assert requests.get(f"{api.url}/api/a", auth=auth_on(api, processes)).status_code == 401
        with pytest.raises(OriginError):
            session_on(api, processes).call("GET", "a")

        assert [(seen.headers.get("authorization"), seen.headers.get("dpop")) for seen in foreign.seen] == [
            (None, None)
        ]


@pytest.mark.parametrize("location", ["http://[bad/", "http://127.0.0.1:99999999/", "\udcff", ""])
def test_a_redirect_to_what_is_no_url_is_no_other_error_than_without_proofs(
    api: DpopServer, processes: Processes, location: str
) -> None:
    head = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    raw = head.encode("utf-8", "surrogateescape")
    outcomes = []
    for tokens_of in (processes, Processes()):
        api.answer_first(Reply(raw=raw), Reply(200))
        try:
            requests.get(f"{api.url}/api/a", auth=auth_on(api, tokens_of))
            outcomes.append("followed")
        except (requests.RequestException, ValueError, OriginError) as error:
            outcomes.append(type(error).__name__)
    assert outcomes[0] == outcomes[1]
    gc.collect()


def test_the_next_request_of_a_redirect_that_was_not_followed_has_its_proof(
    api: DpopServer, processes: Processes
) -> None:
    api.answer_first(Reply(303, b"", {"Location": "/api/b"}))
    with requests.Session() as session:
        answer = session.post(f"{api.url}/api/a", auth=auth_on(api, processes), allow_redirects=False)
        assert answer.next is not None
        assert session.send(answer.next).status_code == 200
