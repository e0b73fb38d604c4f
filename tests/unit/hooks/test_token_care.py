"""What people do with a connection's token, by way of its hook."""

from __future__ import annotations

import json
import time

import pytest

from airflow_oauth_provider.exceptions import SettingsError, TokenRefusedError
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.tokens import registry
from tests.support.made_up import SECRET, connection_json
from tests.support.servers import OAuthServer, Reply


def new_process() -> OAuth2Hook:
    """Return a hook whose process has nothing in its memory."""
    registry._sources.clear()
    registry._stores.clear()
    return OAuth2Hook("shop")


def test_looking_asks_no_server_and_tells_what_lies_in_the_store(server: OAuthServer) -> None:
    assert new_process().token_status().state(time.time()) == "none"
    assert server.seen == []
    token = new_process().get_token()
    new_process().get_token()
    status = new_process().token_status()
    assert status.state(time.time()) == "valid"
    assert (status.counts.made, status.counts.saved) == (1, 1)
    told = json.dumps(status.members(time.time()))
    assert token.fingerprint in told
    assert token.value not in told
    assert len(server.token_requests) == 1


def test_every_request_counts_those_that_fail_too(server: OAuthServer) -> None:
    server.token_reply = lambda _: Reply(400, {"error": "invalid_scope"})
    with pytest.raises(TokenRefusedError):
        new_process().get_token()
    status = new_process().token_status()
    assert (status.counts.made, status.state(time.time())) == (1, "refused")


def test_what_is_forgotten_is_fetched_anew_by_the_next_process(server: OAuthServer) -> None:
    first = new_process().get_token()
    new_process().forget_token()
    assert new_process().token_status().state(time.time()) == "none"
    assert new_process().get_token().value != first.value
    assert len(server.token_requests) == 2


@pytest.mark.statement(48)
def test_a_revoked_token_opens_nothing_any_more(server: OAuthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"base_url": f"{server.url}/api", "revocation_url": f"{server.url}/revoke"}
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", connection_json(extra, host=f"{server.url}/token"))
    assert new_process().revoke_token() is False
    token = new_process().get_token()
    assert new_process().revoke_token() is True
    assert token.value not in server.tokens
    assert new_process().token_status().state(time.time()) == "none"


def test_without_a_revocation_url_the_stored_token_stays_and_the_error_names_the_connection(
    server: OAuthServer,
) -> None:
    new_process().get_token()
    with pytest.raises(SettingsError, match="revocation_url"):
        new_process().revoke_token()
    assert new_process().token_status().state(time.time()) == "valid"
    assert len(server.tokens) == 1


def test_tenants_with_a_prefix_of_their_own_share_nothing(server: OAuthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def of_tenant(name: str) -> OAuth2Hook:
        monkeypatch.setenv("AIRFLOW__OAUTH2__TOKEN_STORE_PREFIX", name)
        return new_process()

    first = of_tenant("red-").get_token()
    assert of_tenant("blue-").token_status().state(time.time()) == "none"
    assert of_tenant("blue-").get_token().value != first.value
    of_tenant("blue-").forget_token()
    assert of_tenant("red-").get_token().value == first.value
    assert len(server.token_requests) == 2


@pytest.mark.parametrize("prefix", ["../", "a b", "x" * 51, "é"])
def test_a_prefix_that_cannot_be_part_of_a_name_is_refused_before_any_request(
    server: OAuthServer, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    monkeypatch.setenv("AIRFLOW__OAUTH2__TOKEN_STORE_PREFIX", prefix)
    with pytest.raises(SettingsError, match="token_store_prefix"):
        new_process().get_token()
    assert server.seen == []


def test_the_password_of_a_redis_that_is_not_there_is_shown_nowhere(
    server: OAuthServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW__OAUTH2__TOKEN_STORE", "redis://user:made-up-redis-word@127.0.0.1:1/0")
    caplog.set_level("DEBUG")
    hook = new_process()
    assert hook.get_token().value in server.tokens
    shown = caplog.text + repr(hook.token_status())
    assert "redis://127.0.0.1:1/0 does not work" in caplog.text
    assert "made-up-redis-word" not in shown
    assert SECRET not in shown
