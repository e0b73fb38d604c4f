"""What an API's 401 does: the token that was refused is replaced once, or nothing is dropped."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from airflow_oauth_provider.exceptions import ApiRefusedError, ApiRefusedTokenError
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from tests.integration.conftest import first_then_good
from tests.support import worker
from tests.support.servers import OAuthServer, Reply

if TYPE_CHECKING:
    from tests.support.processes import Nursery

Connection = Callable[..., str]
Environment = Callable[..., dict[str, str]]
BEARER = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


@pytest.mark.statement(21)
@pytest.mark.parametrize(
    "header",
    [
        None,
        'Bearer error="invalid_token"',
        'bearer ERROR="invalid_token"',
        "Bearer",
        'Basic realm="x", Bearer realm="y"',
        'Negotiate, Bearer error="invalid_token", Basic realm="a,b"',
    ],
)
def test_a_refused_token_is_replaced_and_the_call_repeated_once(
    server: OAuthServer, connect: Connection, header: str | None
) -> None:
    hook = OAuth2Hook(oauth2_conn_id=connect())
    worker.store_old_token()
    refusal = Reply(401, b"", {} if header is None else {"WWW-Authenticate": header})
    server.api_reply = first_then_good(server, refusal)

    answer = hook.request("POST", "orders", json={"order": 1})

    assert answer.status_code == 200
    assert [seen.body for seen in server.api_requests] == [b'{"order": 1}'] * 2
    assert len(server.token_requests) == 1


@pytest.mark.statement(22)
@pytest.mark.parametrize(
    "reply",
    [
        Reply(401, b"", {"WWW-Authenticate": 'Basic realm="x"'}),
        Reply(401, b"", {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}),
        Reply(401, b"", {"WWW-Authenticate": 'Bearer error="invalid_request"'}),
        Reply(403, b"", {"WWW-Authenticate": 'Bearer error="insufficient_scope", scope="write"'}),
    ],
)
def test_a_refusal_that_is_not_about_the_token_drops_nothing(
    server: OAuthServer, connect: Connection, reply: Reply
) -> None:
    hook = OAuth2Hook(oauth2_conn_id=connect())
    worker.store_old_token()
    value = hook.get_token().value
    server.api_reply = lambda _: reply

    with pytest.raises(ApiRefusedError):
        hook.request("GET", "orders")

    assert hook.get_token().value == value
    assert (len(server.token_requests), len(server.api_requests)) == (0, 1)


@pytest.mark.statement(21)
def test_a_body_that_can_be_read_once_is_not_sent_again_and_the_error_says_so(
    server: OAuthServer, connect: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    hook = OAuth2Hook(oauth2_conn_id=connect())
    worker.store_old_token()

    with pytest.raises(ApiRefusedTokenError) as caught:
        hook.request("PUT", "orders", data=iter([b"one", b"two"]))

    assert len(server.api_requests) == 1
    assert "read only once" in str(caught.value) + caplog.text


@pytest.mark.statement(21)
def test_a_file_is_sent_again_from_where_it_stood(server: OAuthServer, connect: Connection) -> None:
    hook = OAuth2Hook(oauth2_conn_id=connect())
    worker.store_old_token()
    server.api_reply = first_then_good(server, Reply(401, b"", BEARER), Reply(503))
    body = io.BytesIO(b"skipped|sent")
    body.seek(8)

    assert hook.request("PUT", "orders", data=body).status_code == 200

    assert [seen.body for seen in server.api_requests] == [b"sent"] * 3


@pytest.mark.statement(21)
def test_threads_of_one_process_replace_a_revoked_token_once(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    nursery.run(1, worker.store_old_token, environment())

    (outcome,) = nursery.run(1, worker.threads, environment(), number=16, endpoint="orders")

    assert outcome.value == ["200"] * 16
    assert len(server.token_requests) == 1
