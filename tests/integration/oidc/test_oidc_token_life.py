"""Tokens of a certified server that are revoked, live for seconds, or cannot be replaced for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from airflow_oauth_provider.exceptions import ApiRefusedTokenError
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from tests.support.processes import wait_until

if TYPE_CHECKING:
    from tests.support.oidc_server import OidcServer

Connect = Callable[..., str]


def test_a_revoked_token_is_replaced_once_and_the_call_succeeds(server: OidcServer, connect: Connect) -> None:
    hook = OAuth2Hook(oauth2_conn_id=connect("revoked_old"))
    hook.request("GET", "orders")
    token = hook.get_token()
    # A 401 renews a token that is older than a tenth of its life.
    old_enough_at = token.issued_at + 0.1 * (token.expires_at - token.issued_at)
    wait_until(lambda: time.time() > old_enough_at)
    assert server.revoke("revoked_old") == 1

    first = hook.request("GET", "orders")
    second = hook.request("GET", "orders")

    assert (first.status_code, second.status_code) == (200, 200)
    assert len(server.token_requests("revoked_old")) == 2
    calls = server.api_calls("revoked_old")
    assert [call["status"] for call in calls] == [200, 401, 200, 200]
    assert calls[0]["token"] == calls[1]["token"] != calls[2]["token"] == calls[3]["token"]


def test_a_fresh_token_that_the_api_refuses_buys_no_other(server: OidcServer, connect: Connect) -> None:
    hook = OAuth2Hook(oauth2_conn_id=connect("revoked_fresh"))
    hook.request("GET", "orders")
    value = hook.get_token().value
    server.revoke("revoked_fresh")

    with pytest.raises(ApiRefusedTokenError, match="audience, scope and roles") as caught:
        hook.request("GET", "orders")

    assert caught.value.status_code == 401
    assert value not in str(caught.value)
    assert len(server.token_requests("revoked_fresh")) == 1
    assert [call["status"] for call in server.api_calls("revoked_fresh")] == [200, 401]


def test_tokens_that_live_five_seconds_serve_twelve_seconds_of_calls(server: OidcServer, connect: Connect) -> None:
    hook = OAuth2Hook(oauth2_conn_id=connect("five_seconds"))
    statuses: list[int] = []
    stalls: list[float] = []
    began = time.monotonic()
    while (at := time.monotonic()) < began + 12 or len(statuses) < 50:
        statuses.append(hook.request("GET", "orders").status_code)
        time.sleep(0.1)  # a steady caller: the pace is the input of this test
        # A token is used to a tenth of its life before its end: where the machine stalls for longer, it may end.
        if (took_s := time.monotonic() - at) > 0.5:
            stalls.append(took_s)

    took_s = time.monotonic() - began
    calls = server.api_calls("five_seconds")
    assert statuses == [200] * len(statuses)
    # The API saw each call once: none came with a token that had ended, unless something stalled on the way.
    assert [call["status"] for call in calls].count(200) == len(statuses)
    assert len(calls) - len(statuses) <= len(stalls)
    # Three tokens are the least that cover twelve seconds; each may be replaced a quarter of its life early.
    tokens, requests = {call["token"] for call in calls}, server.token_requests("five_seconds")
    assert (took_s - sum(stalls)) / 5 <= len(tokens) <= len(requests) <= 1.8 + took_s / (0.75 * 5) + len(stalls)


def test_a_token_that_the_server_ends_up_to_a_second_early_costs_no_failed_call(
    server: OidcServer, connect: Connect
) -> None:
    """The server counts in whole seconds: a token of 5 s that it issues at 12:00:00.8 ends at 12:00:05.0."""
    hook = OAuth2Hook(oauth2_conn_id=connect("rounded"))
    hook.get_conn()
    wait_until(lambda: 0.75 < time.time() % 1 < 0.8, within_s=60)
    token = hook.get_token()
    wait_until(lambda: time.time() > token.issued_at + 4.4, within_s=60)

    response = hook.request("GET", "rounded")

    assert response.status_code == 200
    assert server.api_calls("rounded")[-1]["status"] == 200
    # The call, or the early refresh that it set off, fetched one token, which lives for long; not both of them.
    wait_until(lambda: len(server.token_requests("rounded")) >= 2)
    hook.request("GET", "rounded")
    assert len(server.token_requests("rounded")) == 2


def test_calls_go_on_with_the_stored_token_while_the_token_endpoint_is_down(
    server: OidcServer, connect: Connect
) -> None:
    conn_id = connect("outage")
    OAuth2Hook(oauth2_conn_id=conn_id).request("GET", "orders")

    with server.outage():
        response = OAuth2Hook(oauth2_conn_id=conn_id).request("GET", "orders")

    assert response.status_code == 200
    assert len(server.token_requests("outage")) == 1
