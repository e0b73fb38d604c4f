"""What the Test button of the connection form says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from tests.support.clock import Clock
from tests.support.made_up import CLIENT_ID, SECRET
from tests.support.servers import OAuthServer, Reply, free_port


@pytest.fixture
def server() -> Iterator[OAuthServer]:
    with OAuthServer() as running:
        yield running


def press(
    server: OAuthServer, monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any] | None = None, **fields: Any
) -> tuple[bool, str]:
    known = {"conn_type": "oauth2", "host": f"{server.url}/token", "login": CLIENT_ID, "password": SECRET}
    members = {"base_url": f"{server.url}/api/v1", **(extra or {})}
    monkeypatch.setenv("AIRFLOW_CONN_TESTED", json.dumps({**known, "extra": members, **fields}))
    worked, said = OAuth2Hook("tested").test_connection()
    assert "\n" not in said
    assert SECRET not in said
    assert not any(token in said for token in server.tokens)
    return worked, said


def test_it_says_in_one_line_what_came(server: OAuthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.token_reply = lambda _: server.issue(scope="orders:read")
    worked, said = press(
        server, monkeypatch, {"scope": "orders:read orders:write", "auth_method": "client_secret_post"}
    )
    assert worked
    assert said == (
        "Got a token that lives 3600 s, scope 'orders:read', by client_secret_post. "
        "The server did not grant 'orders:write'."
    )
    assert server.api_requests == []


def test_it_says_in_one_line_what_came_when_all_was_granted(
    server: OAuthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert press(server, monkeypatch, {"scope": "a b"}) == (
        True,
        "Got a token that lives 3600 s, scope 'a b', by client_secret_basic.",
    )


def test_it_says_when_no_scope_was_named(server: OAuthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert press(server, monkeypatch)[1] == "Got a token that lives 3600 s, no scope named, by client_secret_basic."


def test_it_fetches_a_new_token_and_never_a_stored_one(server: OAuthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    press(server, monkeypatch)
    press(server, monkeypatch)
    assert len(server.token_requests) == 2
    newest = list(server.tokens)[-1]
    assert OAuth2Hook("tested").get_token().value == newest


def test_it_calls_the_test_endpoint(server: OAuthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    worked, said = press(server, monkeypatch, {"test_endpoint": "status"})
    assert worked
    assert said.endswith("The test endpoint answered 200.")
    assert [(seen.method, seen.path) for seen in server.api_requests] == [("GET", "/api/v1/status")]


@pytest.mark.parametrize("status", [404, 403, 500, 503])
def test_a_test_endpoint_that_refuses_is_a_failure_after_one_try(
    server: OAuthServer, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    server.api_reply = lambda seen: Reply(status, f"no, {seen.headers['authorization']}")
    worked, said = press(server, monkeypatch, {"test_endpoint": "status"})
    assert not worked
    assert f"/api/v1/status answered {status}" in said
    assert len(server.api_requests) == 1


def test_a_refused_client_is_told_what_to_change(server: OAuthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.token_reply = lambda _: Reply(401, {"error": "invalid_client", "error_description": f"wrong: {SECRET}"})
    worked, said = press(server, monkeypatch)
    assert not worked
    assert said.startswith(
        "invalid_client: the server refused the client id or secret (client_secret_basic). "
        "Check Client ID and Client secret, or choose client_secret_post."
    )


def test_a_remembered_refusal_does_not_keep_it_from_asking(
    server: OAuthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.token_reply = lambda _: Reply(401, {"error": "invalid_client"})
    press(server, monkeypatch)
    press(server, monkeypatch)
    assert len(server.token_requests) == 2
    server.token_reply = None
    assert press(server, monkeypatch)[0]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"host": "login.example.com"}, "bare host"),
        ({"host": None}, "Token URL"),
        ({"password": "***"}, "masked value was copied"),
        ({"login": ""}, "Client ID"),
        ({"port": 443}, "Port is set"),
    ],
)
def test_a_wrong_field_is_named(
    server: OAuthServer, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], said: str
) -> None:
    worked, text = press(server, monkeypatch, **fields)
    assert not worked
    assert said in text
    assert server.seen == []


def test_a_server_that_is_not_there_is_named(server: OAuthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    host = f"http://127.0.0.1:{free_port()}/token"
    worked, said = press(server, monkeypatch, host=host)
    assert not worked
    assert f"{host} could not be asked: connection refused" in said


def test_an_unforeseen_error_is_named_by_its_class_alone(server: OAuthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: OAuth2Hook) -> str:
        raise LookupError(SECRET)

    monkeypatch.setattr(OAuth2Hook, "_test", fail)
    worked, said = press(server, monkeypatch)
    assert not worked
    assert "LookupError" in said


def test_a_missing_connection_is_a_failure_and_no_exception() -> None:
    worked, said = OAuth2Hook("there-is-no-such-connection").test_connection()
    assert not worked
    assert said


def test_it_takes_one_try_at_the_token_endpoint(
    server: OAuthServer, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    clock.skip_sleeps()
    server.token_reply = lambda _: Reply(503, "down")
    assert not press(server, monkeypatch)[0]
    assert len(server.token_requests) == 1
