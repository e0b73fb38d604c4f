"""The token endpoint of a certified server takes what the package sends, and its refusals become clear errors."""

from __future__ import annotations

import base64
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest

from airflow_oauth_provider.exceptions import InvalidClientError, InvalidScopeError, PermanentError
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook

if TYPE_CHECKING:
    from tests.support.oidc_server import OidcServer

Connect = Callable[..., str]


@pytest.mark.parametrize(
    "name", ["basic", "post", "punctuated_basic", "punctuated_post", "base64_basic", "base64_post"]
)
def test_each_way_of_sending_each_secret_gets_a_token_and_the_protected_answer(
    server: OidcServer, connect: Connect, name: str
) -> None:
    client = server.clients[name]
    before = len(server.token_requests(name))
    hook = OAuth2Hook(oauth2_conn_id=connect(name))

    answer = hook.request("GET", "orders").json()

    assert answer == {"client_id": client.client_id, "scope": client.scope, "orders": [{"id": 1}, {"id": 2}]}
    assert server.token_requests(name)[before:] == [{"status": 200, "error": None, "sent_as": client.auth_method}]


def test_the_token_says_what_the_server_granted(server: OidcServer, connect: Connect) -> None:
    """The server leaves out a scope that it does not know (RFC 6749 §3.3)."""
    token = OAuth2Hook(oauth2_conn_id=connect("scopes", scope="orders:read profile:unheard-of")).get_token()

    assert token.scope == "orders:read"
    assert token.token_type == "Bearer"
    assert token.expires_at - token.issued_at == pytest.approx(server.clients["scopes"].lifetime_s, abs=2)


def test_two_scopes_of_one_client_are_two_tokens(server: OidcServer, connect: Connect) -> None:
    reader = OAuth2Hook(oauth2_conn_id=connect("scopes", scope="orders:read"))
    writer = OAuth2Hook(oauth2_conn_id=connect("scopes", scope="orders:read orders:write"))

    assert reader.get_token().scope == "orders:read"
    assert writer.request("GET", "orders/write").json()["scope"] == "orders:read orders:write"
    assert reader.get_token().value != writer.get_token().value


def test_a_scope_that_the_client_may_not_have_is_one_permanent_error(server: OidcServer, connect: Connect) -> None:
    hook = OAuth2Hook(oauth2_conn_id=connect("punctuated_basic", scope="orders:write"))
    before = len(server.token_requests("punctuated_basic"))

    with pytest.raises(InvalidScopeError, match="orders:write") as caught:
        hook.request("GET", "orders")

    assert isinstance(caught.value, PermanentError)
    assert caught.value.error == "invalid_scope"
    assert caught.value.status_code == 400
    assert len(server.token_requests("punctuated_basic")) == before + 1


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_a_wrong_secret_is_one_permanent_error_without_the_secret(
    server: OidcServer, connect: Connect, method: str
) -> None:
    client_id = server.clients["refused"].client_id
    wrong = f"made-up wrong+secret/for&{method}=%"
    conn_id = connect("refused", secret=wrong, auth_method=method)
    before = len(server.token_requests("refused"))

    with pytest.raises(InvalidClientError) as caught:
        OAuth2Hook(oauth2_conn_id=conn_id).request("GET", "orders")
    with pytest.raises(InvalidClientError):
        OAuth2Hook(oauth2_conn_id=conn_id).request("GET", "orders")

    assert isinstance(caught.value, PermanentError)
    assert caught.value.error == "invalid_client"
    assert caught.value.status_code == 401
    assert "Client ID and Client secret" in str(caught.value)
    assert method in str(caught.value)
    # Neither repeated by itself nor asked again by the second hook: the refusal is remembered.
    assert server.token_requests("refused")[before:] == [{"status": 401, "error": "invalid_client", "sent_as": method}]
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    pair = f"{quote(client_id, safe='')}:{quote(wrong, safe='')}"
    for form in (wrong, quote(wrong, safe=""), quote_plus(wrong), base64.b64encode(pair.encode()).decode()):
        assert form not in shown
    assert server.api_calls("refused") == []


def test_the_right_secret_works_at_once_after_a_wrong_one(server: OidcServer, connect: Connect) -> None:
    with pytest.raises(InvalidClientError):
        OAuth2Hook(oauth2_conn_id=connect("mistyped", secret="made-up-secret-with-a-slip-31415926")).get_token()

    response = OAuth2Hook(oauth2_conn_id=connect("mistyped")).request("GET", "orders")

    assert response.json()["client_id"] == server.clients["mistyped"].client_id
    assert [request["status"] for request in server.token_requests("mistyped")] == [401, 200]
