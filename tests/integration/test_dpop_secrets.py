"""Neither a proof nor the key behind it stands in a log, an error or a repr, whatever servers echo."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator

import pytest
import requests

from airflow_oauth_provider.exceptions import OAuth2Error
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from tests.integration.test_no_secrets import provoke, shown
from tests.support.dpop_api import DpopServer
from tests.support.raw import RawServer, found_in, reset
from tests.support.servers import Reply

Connection = Callable[..., str]


@pytest.fixture
def server() -> Iterator[DpopServer]:
    with DpopServer() as running:
        yield running


def wanted_absent(server: DpopServer, hook: OAuth2Hook) -> list[str]:
    """Return all that may not be seen: the key, and of each proof and token what is not known to everybody."""
    key = hook.get_token().proof_key
    assert key is not None
    proofs = [part for proof in server.proofs for part in (proof, *proof.split(".")[1:])]
    return [key.private_jwk()["d"], key.private_key, *key.private_key.splitlines()[1:-1], *server.tokens, *proofs]


ECHOES: dict[str, Callable[[str], Reply]] = {
    "body": lambda proof: Reply(400, f"you sent {proof}", {"Content-Type": "text/plain"}),
    "JSON": lambda proof: Reply(422, {"sent": proof}),
    "behind blanks": lambda proof: Reply(400, " " * (4096 - len(proof) // 2) + proof, {"Content-Type": "text/plain"}),
    "challenge": lambda proof: Reply(401, b"", {"WWW-Authenticate": f'DPoP error="{proof}"'}),
    "request id": lambda proof: Reply(400, b"", {"X-Request-Id": proof}),
    "location": lambda proof: Reply(302, b"", {"Location": f"https://evil.example/{proof}?{proof}"}),
    "status": lambda proof: Reply(raw=f"HTTP/1.1 400 {proof}\r\nContent-Length: 0\r\n\r\n".encode()),
    "no HTTP": lambda proof: Reply(raw=f"{proof}\r\n\r\n".encode()),
    "of the retry": lambda proof: Reply(500, proof, {"Content-Type": "text/plain"}),
}


@pytest.mark.parametrize("place", sorted(ECHOES))
def test_what_an_api_echoes_of_a_proof_is_hidden(
    server: DpopServer, connect: Connection, everything: pytest.LogCaptureFixture, place: str
) -> None:
    hook = OAuth2Hook(oauth2_conn_id=connect(dpop=True))
    server.api_reply = lambda seen: ECHOES[place](seen.headers["dpop"])

    error = provoke(lambda: hook.request("POST", "orders", json={}))

    assert found_in("\n".join([shown(error), everything.text]), wanted_absent(server, hook)) == []


@pytest.mark.parametrize("status", [400, 503])
def test_what_a_token_endpoint_echoes_of_a_proof_is_hidden(
    server: DpopServer, connect: Connection, everything: pytest.LogCaptureFixture, status: int
) -> None:
    server.token_reply = lambda seen: Reply(
        status, {"error": "invalid_dpop_proof", "error_description": f"got {seen.headers['dpop']}"}
    )
    hook = OAuth2Hook(oauth2_conn_id=connect(dpop=True))

    error = provoke(hook.get_token)

    signatures = [proof.split(".")[2] for proof in server.proofs]
    assert found_in(shown(error) + everything.text, [*server.proofs, *signatures]) == []


def test_a_day_of_everything_logs_neither_proof_nor_key(
    server: DpopServer, connect: Connection, everything: pytest.LogCaptureFixture
) -> None:
    """With all that is left on at debug level, but what the standard library prints when it is told to print all."""
    assert http.client.HTTPConnection.debuglevel == 0
    server.token_nonce, server.api_nonce = "t", "a"
    hook = OAuth2Hook(oauth2_conn_id=connect(dpop=True))
    server.answer_first(None, Reply(302, b"", {"Location": "/api/b"}), Reply(503), None)
    said = []

    said += [repr(hook.request("GET", "orders")), repr(hook.get_token()), repr(hook.auth)]
    said += [repr(hook.get_token().proof_key), hook.test_connection()[1], repr(hook._source), repr(hook.get_conn())]
    with RawServer(reset) as broken:
        gone = f"http://127.0.0.1:{broken.port}"
        other = OAuth2Hook(oauth2_conn_id=connect(dpop=True, allowed_hosts=gone))
        said.append(shown(provoke(lambda: other.request("POST", f"{gone}/orders", json={}))))
    with pytest.raises((OAuth2Error, requests.RequestException)) as caught:
        requests.get("https://evil.example/", auth=hook.auth, timeout=5)
    said.append(repr(caught.value))

    assert found_in("\n".join([*said, everything.text]), wanted_absent(server, hook)) == []
