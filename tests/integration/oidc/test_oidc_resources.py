"""Two APIs of one certified server: tokens for one resource are not taken by the other (RFC 8707, RFC 9396)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from airflow_oauth_provider.exceptions import ApiRefusedTokenError, InvalidTargetError, TokenRefusedError
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook

if TYPE_CHECKING:
    from tests.support.secure_oidc_server import SecureOidcServer

Connect = Callable[..., str]


@pytest.mark.statement(35, 51)
def test_two_resources_in_turn_are_two_tokens(secure: SecureOidcServer, connect_securely: Connect) -> None:
    """The one's are JWTs that the API verifies by itself, the other's are opaque and introspected."""
    watch = secure.watch("resources")
    orders, billing = (secure.resource(name) for name in ("orders", "billing"))
    hooks = [
        OAuth2Hook(oauth2_conn_id=connect_securely("resources", resource=uri, base_url=uri))
        for uri in (orders, billing)
    ]

    audiences = [hook.request("GET", "list").json()["aud"] for hook in (*hooks, *hooks)]

    assert audiences == [orders, billing, orders, billing]
    assert [request["resource"] for request in watch.token_requests()] == [orders, billing]
    assert [hook.get_token().value.count(".") for hook in hooks] == [2, 0]


@pytest.mark.parametrize(("asked", "called"), [("orders", "billing"), ("billing", "orders"), ("orders", "api")])
def test_a_token_for_another_resource_is_one_error(
    secure: SecureOidcServer, connect_securely: Connect, asked: str, called: str
) -> None:
    watch = secure.watch("resources")
    conn_id = connect_securely("resources", resource=secure.resource(asked), base_url=f"{secure.origin}/{called}")

    with pytest.raises(ApiRefusedTokenError, match="audience") as caught:
        OAuth2Hook(oauth2_conn_id=conn_id).request("GET", "list")

    assert caught.value.error == "invalid_token"
    assert watch.statuses() == [200]
    assert len(watch.api_calls()) == 1


@pytest.mark.statement(35)
def test_an_unknown_resource_is_one_permanent_error_that_names_it(
    secure: SecureOidcServer, connect_securely: Connect
) -> None:
    watch, unknown = secure.watch("resources"), f"{secure.origin}/kitchen"
    conn_id = connect_securely("resources", resource=unknown)

    for _ in range(2):
        with pytest.raises(InvalidTargetError, match=unknown) as caught:
            OAuth2Hook(oauth2_conn_id=conn_id).get_token()

    assert "Check Audience and resource" in str(caught.value)
    assert watch.statuses() == [400]


@pytest.mark.statement(35)
def test_several_resources_at_once_are_sent_each_by_itself(secure: SecureOidcServer, connect_securely: Connect) -> None:
    """This server wants a token for each; that it says so shows that both arrived."""
    watch = secure.watch("resources")
    both = [secure.resource(name) for name in ("orders", "billing")]

    with pytest.raises(InvalidTargetError, match="single resource indicator"):
        OAuth2Hook(oauth2_conn_id=connect_securely("resources", resource=" ".join(both))).get_token()

    assert [request["resource"] for request in watch.token_requests()] == [both]


@pytest.mark.statement(35)
def test_authorization_details_come_back_with_the_introspected_token(
    secure: SecureOidcServer, connect_securely: Connect
) -> None:
    details = [{"type": "stock", "actions": ["count"], "locations": [secure.resource("billing")]}]
    uri = secure.resource("billing")
    conn_id = connect_securely("resources", resource=uri, base_url=uri, rar=details)

    assert OAuth2Hook(oauth2_conn_id=conn_id).request("GET", "list").json()["details"] == details


def test_authorization_details_that_the_server_does_not_know_are_one_error(
    secure: SecureOidcServer, connect_securely: Connect
) -> None:
    watch = secure.watch("resources")
    rar = json.dumps([{"type": "kitchen"}])
    conn_id = connect_securely("resources", resource=secure.resource("orders"), rar=rar)

    with pytest.raises(TokenRefusedError, match="rar") as caught:
        OAuth2Hook(oauth2_conn_id=conn_id).get_token()

    assert caught.value.error == "invalid_authorization_details"
    assert watch.statuses() == [400]
