"""What is sent how often, where requests, Python or a redirect would have it sent once too often."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
import requests

from airflow_oauth_provider.exceptions import ApiRefusedError, ApiRefusedTokenError, ApiUnavailableError
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from tests.support import worker
from tests.support.patience import OWN_LIMITS
from tests.support.servers import OAuthServer, Reply, Seen, free_port

if TYPE_CHECKING:
    from tests.support.processes import Nursery

Connection = Callable[..., str]
REFUSED = Reply(401, b"", {"WWW-Authenticate": 'Bearer error="invalid_token"'})


def lines() -> Iterator[bytes]:
    yield b"order one"


def test_what_the_caller_is_handling_is_no_reason_to_repeat_a_post(server: OAuthServer, connect: Connection) -> None:
    """Python takes the caller's refused connection for a cause of ours."""
    hook = OAuth2Hook(oauth2_conn_id=connect())
    server.api_reply = lambda _: Reply(raw=b"")

    try:
        requests.get(f"http://127.0.0.1:{free_port()}/", timeout=30)
    except requests.ConnectionError:
        with pytest.raises(ApiUnavailableError):
            hook.request("POST", "orders", json={"order": 1})

    assert len(server.api_requests) == 1


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_that_keeps_a_spent_body_is_not_followed(
    server: OAuthServer, connect: Connection, status: int
) -> None:
    hook = OAuth2Hook(oauth2_conn_id=connect())
    server.api_reply = lambda seen: (
        Reply(status, b"", {"Location": "/api/end"}) if seen.path == "/api/start" else Reply(200, {"sent": "on"})
    )

    with pytest.raises(ApiRefusedError, match="the body can be read only once"):
        hook.request("POST", "start", data=lines())
    assert [seen.path for seen in server.api_requests] == ["/api/start"]

    assert hook.request("POST", "start", data=b"order one").json() == {"sent": "on"}
    assert server.api_requests[-1].body == b"order one"


@pytest.mark.statement(21)
def test_a_refused_token_is_replaced_even_when_the_call_cannot_be_sent_again(
    server: OAuthServer, connect: Connection
) -> None:
    """A task that uploads streams would otherwise fail at every retry until the token ends."""
    hook = OAuth2Hook(oauth2_conn_id=connect())
    worker.store_old_token()
    old = hook.get_token()
    server.api_reply = lambda _: REFUSED

    with pytest.raises(ApiRefusedTokenError, match="read only once"):
        hook.request("POST", "upload", data=lines())

    assert hook.get_token() != old
    assert len(server.token_requests) == 1


@pytest.mark.statement(21)
def test_a_redirected_call_takes_the_new_token_along(server: OAuthServer, connect: Connection) -> None:
    hook = OAuth2Hook(oauth2_conn_id=connect())
    worker.store_old_token()

    def hops(seen: Seen) -> Reply:
        answer = server.checked(seen)
        hop = int(seen.path[-1])
        return Reply(302, b"", {"Location": f"/api/{hop + 1}"}) if answer.status == 200 and hop < 3 else answer

    server.api_reply = hops

    assert hook.request("GET", "0").json()["path"] == "/api/3"
    assert [seen.path[-1] for seen in server.api_requests] == ["0", "0", "1", "2", "3"]


def test_a_limit_of_redirects_is_none_of_another_call(server: OAuthServer, connect: Connection) -> None:
    hook = OAuth2Hook(oauth2_conn_id=connect())
    server.api_reply = lambda seen: (
        Reply(302, b"", {"Location": "/api/end"}) if seen.path == "/api/start" else Reply(200, b"there")
    )

    with pytest.raises(ApiRefusedError, match="redirected too often"):
        hook.run("start", extra_options={"max_redirects": 0})
    assert hook.run("start", extra_options={"max_redirects": None}).text == "there"
    assert hook.request("GET", "start").text == "there"


def test_a_store_that_hangs_while_it_is_opened_holds_up_nobody(
    nursery: Nursery, server: OAuthServer, environment: Callable[..., dict[str, str]]
) -> None:
    (outcome,) = nursery.run(1, worker.get_token_where_folders_hang, environment() | OWN_LIMITS, seconds=60.0)

    assert outcome.value > 3000
    assert outcome.seconds < 40
    assert len(server.token_requests) == 1
