from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import tenacity

from airflow_oauth_provider.exceptions import (
    ApiRefusedError,
    ApiUnavailableError,
    InvalidClientError,
    OriginError,
    SettingsError,
)
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from tests.support.clock import Clock
from tests.support.made_up import CLIENT_ID, SECRET
from tests.support.servers import OAuthServer, Reply

Connect = Callable[..., OAuth2Hook]


@pytest.fixture
def server() -> Iterator[OAuthServer]:
    with OAuthServer() as running:
        yield running


@pytest.fixture
def connect(server: OAuthServer, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Return what makes a connection named *shop* and its hook."""

    def make(extra: dict[str, Any] | None = None, *, fields: dict[str, Any] | None = None, **kwargs: Any) -> OAuth2Hook:
        members = {"base_url": f"{server.url}/api/v1", **(extra or {})}
        known = {"conn_type": "oauth2", "host": f"{server.url}/token", "login": CLIENT_ID, "password": SECRET}
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({**known, "extra": members, **(fields or {})}))
        return OAuth2Hook("shop", **kwargs)

    return make


def test_the_default_connection_is_oauth2_default() -> None:
    assert OAuth2Hook().oauth2_conn_id == "oauth2_default"
    assert OAuth2Hook(oauth2_conn_id="shop").oauth2_conn_id == "shop"
    assert (OAuth2Hook.conn_name_attr, OAuth2Hook.conn_type, OAuth2Hook.hook_name) == (
        "oauth2_conn_id", "oauth2", "OAuth 2.0 API",
    )  # fmt: skip


def test_making_a_hook_reads_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OAuth2Hook, "get_connection", None)
    hook = OAuth2Hook("there-is-no-such-connection")
    with pytest.raises(TypeError):
        hook.get_token()


def test_the_connection_is_read_once_a_hook(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = connect()
    reads: list[str] = []
    get = OAuth2Hook.get_connection

    def counted(_: type[OAuth2Hook], name: str) -> Any:
        reads.append(name)
        return get(name)

    monkeypatch.setattr(OAuth2Hook, "get_connection", classmethod(counted))
    for page in range(3):
        hook.request("GET", f"orders/{page}")
        hook.get_token()
    assert reads == ["shop"]


def test_the_token_has_value_type_scope_and_expiry(connect: Connect, server: OAuthServer, clock: Clock) -> None:
    token = connect({"scope": "a b"}).get_token()
    assert token.value in server.tokens
    assert (token.token_type, token.scope) == ("Bearer", "a b")
    assert token.expires_at == pytest.approx(clock.time() + 3600)


@pytest.mark.statement(50)
def test_hooks_share_token_and_connections(connect: Connect, server: OAuthServer) -> None:
    connect()
    for _ in range(5):
        OAuth2Hook("shop").request("GET", "orders")
    assert len(server.token_requests) == 1
    assert server.connections == 2


@pytest.mark.statement(1)
def test_the_server_gets_basic_credentials_and_the_form(connect: Connect, server: OAuthServer) -> None:
    connect({"scope": "a", "extra_params": {"tenant": "acme"}}).get_token()
    (request,) = server.token_requests
    assert request.method == "POST"
    assert request.basic() == (CLIENT_ID, SECRET)
    assert request.form == [("grant_type", "client_credentials"), ("scope", "a"), ("tenant", "acme")]
    assert request.query == []


def test_a_request_returns_a_checked_response(connect: Connect, server: OAuthServer) -> None:
    hook = connect({"headers": {"X-Version": "3"}})
    response = hook.request("GET", "/orders", params={"page": 2}, headers={"X-Mine": "1"})
    assert isinstance(response, requests.Response)
    assert response.json() == {"path": "/api/v1/orders", "query": {"page": "2"}}
    (seen,) = server.api_requests
    assert (seen.headers["x-version"], seen.headers["x-mine"]) == ("3", "1")
    server.api_reply = lambda _: Reply(404, "nothing")
    with pytest.raises(ApiRefusedError, match="404"):
        hook.request("GET", "orders")
    assert hook.request("GET", "orders", check=False).status_code == 404


def test_auth_is_for_any_library_that_is_based_on_requests(connect: Connect, server: OAuthServer) -> None:
    hook = connect()
    assert requests.get(f"{server.url}/api/x", auth=hook.auth).status_code == 200
    assert isinstance(hook.auth, requests.auth.AuthBase)
    with pytest.raises(OriginError):
        requests.get("https://evil.example/", auth=hook.auth)


def test_get_conn_is_a_session_that_knows_the_api(connect: Connect) -> None:
    session = connect().get_conn()
    assert isinstance(session, requests.Session)
    assert session.get("orders").json()["path"] == "/api/v1/orders"


def test_auth_type_is_an_error_unless_none() -> None:
    with pytest.raises(SettingsError, match="auth_type"):
        OAuth2Hook("shop", auth_type=requests.auth.HTTPBasicAuth)  # type: ignore[arg-type]


def test_run_sends_data_as_the_query_of_a_get_as_http_hook_does(connect: Connect, server: OAuthServer) -> None:
    connect().run("orders", data={"page": "2"}, headers={"X-Mine": "1"})
    (seen,) = server.api_requests
    assert (seen.method, seen.query, seen.body, seen.headers["x-mine"]) == ("GET", [("page", "2")], b"", "1")


@pytest.mark.parametrize("method", ["POST", "put", "PATCH", "DELETE"])
def test_run_sends_data_as_the_body_otherwise(connect: Connect, server: OAuthServer, method: str) -> None:
    connect(method=method).run("orders", data="body")
    (seen,) = server.api_requests
    assert (seen.method, seen.query, seen.body) == (method.upper(), [], b"body")


def test_run_sends_no_data_with_head_and_takes_the_arguments_of_requests(connect: Connect, server: OAuthServer) -> None:
    connect(method="HEAD").run("orders", data={"a": "b"})
    connect(method="POST").run("orders", json={"a": 1})
    head, post = server.api_requests
    assert (head.method, head.query, head.body) == ("HEAD", [], b"")
    assert json.loads(post.body) == {"a": 1}


@pytest.mark.parametrize("endpoint", [None, ""])
def test_run_without_an_endpoint_calls_the_base_url(
    connect: Connect, server: OAuthServer, endpoint: str | None
) -> None:
    connect().run(endpoint)
    assert server.api_requests[0].path == "/api/v1"


def test_run_checks_the_response_unless_told_not_to(connect: Connect, server: OAuthServer) -> None:
    hook = connect()
    server.api_reply = lambda _: Reply(404)
    with pytest.raises(ApiRefusedError):
        hook.run("orders")
    assert hook.run("orders", extra_options={"check_response": False}).status_code == 404


def test_run_takes_the_options_of_http_hook(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    send = requests.Session.send

    def watched(self: requests.Session, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        sent.append(kwargs)
        return send(self, request, **kwargs)

    monkeypatch.setattr(requests.Session, "send", watched)
    options: dict[str, Any] = {"timeout": 77, "verify": False, "cert": None, "proxies": {}, "stream": True}
    options["allow_redirects"] = False
    connect().run("orders", extra_options=options).close()
    assert {name: sent[-1][name] for name in ("timeout", "verify", "stream", "allow_redirects")} == {
        "timeout": 77, "verify": False, "stream": True, "allow_redirects": False,
    }  # fmt: skip


def test_run_limits_redirects_for_this_call_alone(connect: Connect, server: OAuthServer) -> None:
    def two_redirects(seen: Any) -> Reply:
        step = int(dict(seen.query).get("step", "0"))
        return Reply(302, b"", {"Location": f"{seen.path}?step={step + 1}"}) if step < 2 else Reply(200, "there")

    hook = connect()
    server.api_reply = two_redirects
    with pytest.raises(ApiRefusedError, match="redirected too often"):
        hook.run("orders", extra_options={"max_redirects": 1})
    assert hook.run("orders", extra_options={"max_redirects": 2}).text == "there"
    with pytest.raises(ApiRefusedError, match="redirected too often"):
        hook.run("orders", extra_options={"max_redirects": 1})
    assert hook.request("GET", "orders").text == "there"


def test_run_refuses_an_option_that_it_does_not_know(connect: Connect, server: OAuthServer) -> None:
    with pytest.raises(SettingsError, match="'made_up' is none of"):
        connect().run("orders", extra_options={"made_up": 1})
    assert server.seen == []


def test_run_with_advanced_retry_repeats_as_told_and_not_as_we_would(
    connect: Connect, server: OAuthServer, clock: Clock
) -> None:
    clock.skip_sleeps()
    server.api_reply = lambda _: Reply(503)
    mine = {"stop": tenacity.stop_after_attempt(2), "wait": tenacity.wait_none()}
    with pytest.raises(ApiUnavailableError):
        connect().run_with_advanced_retry(mine, "orders", data={"a": "b"}, headers={"X-Mine": "1"})
    assert [(seen.query, seen.headers["x-mine"]) for seen in server.api_requests] == [([("a", "b")], "1")] * 2


def test_run_with_advanced_retry_keeps_the_renewal_on_401(connect: Connect, server: OAuthServer, clock: Clock) -> None:
    hook = connect()
    hook.run("orders")
    server.revoke_all()
    clock.advance(61)
    once = {"stop": tenacity.stop_after_attempt(1)}
    assert hook.run_with_advanced_retry(once, "orders").status_code == 200
    assert len(server.token_requests) == 2


@pytest.mark.parametrize("nothing", [{}, None])
def test_empty_retry_args_mean_our_own_policy(
    connect: Connect, server: OAuthServer, clock: Clock, nothing: Any
) -> None:
    clock.skip_sleeps()
    server.api_reply = lambda _: Reply(503)
    with pytest.raises(ApiUnavailableError):
        connect().run_with_advanced_retry(nothing, "orders")
    assert len(server.api_requests) == 5


def test_the_connection_itself_makes_the_hook_as_stock_http_operator_asks_it_to(connect: Connect) -> None:
    connect()
    connection: Any = OAuth2Hook.get_connection("shop")
    hook = connection.get_hook(
        hook_params={
            "method": "POST", "auth_type": None, "tcp_keep_alive": True, "tcp_keep_alive_idle": 60,
            "tcp_keep_alive_count": 5, "tcp_keep_alive_interval": 7,
        }
    )  # fmt: skip
    assert isinstance(hook, OAuth2Hook)
    assert (hook.oauth2_conn_id, hook.method) == ("shop", "POST")
    assert hook.run("orders", data="x").status_code == 200


def test_an_error_in_the_connection_names_it_and_no_secret(connect: Connect) -> None:
    with pytest.raises(SettingsError, match=r"Connection 'shop': .*unknown key 'base_ulr'") as caught:
        connect({"base_ulr": "x", "secret_headers": {"X-Api-Key": "made-up-key"}}).get_token()
    assert "made-up-key" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_token_endpoint_outside_of_the_platforms_list_gets_nothing(
    connect: Connect, server: OAuthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__OAUTH2__ALLOWED_TOKEN_ENDPOINTS", "https://login.example.com")
    hook = connect()
    with pytest.raises(SettingsError, match="allowed_token_endpoints"):
        hook.get_token()
    assert hook.test_connection()[0] is False
    assert server.connections == 0


def test_an_unusable_store_is_a_settings_error(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__OAUTH2__TOKEN_STORE", "made-up://x")
    with pytest.raises(SettingsError, match="token_store"):
        connect().get_token()


def test_a_wrong_secret_is_a_permanent_error(connect: Connect, server: OAuthServer) -> None:
    server.token_reply = lambda _: Reply(401, {"error": "invalid_client"})
    with pytest.raises(InvalidClientError, match="Check Client ID and Client secret"):
        connect().request("GET", "orders")
    assert server.api_requests == []


def test_no_secret_or_token_stands_in_the_repr_of_hook_session_and_auth(connect: Connect) -> None:
    hook = connect({"secret_headers": {"X-Api-Key": "made-up-key"}})
    token = hook.get_token()
    hook.request("GET", "orders")
    for shown in (repr(hook), str(hook), repr(hook.get_conn()), repr(hook.auth), repr(vars(hook))):
        for secret in (token.value, SECRET, "made-up-key"):
            assert secret not in shown


def test_a_text_for_a_log_is_redacted(connect: Connect) -> None:
    hook = connect()
    value = hook.get_token().value
    hook.request("GET", "orders")
    assert hook.redact(f"a {value}\n{SECRET} b", 100) == "a ***\\n*** b"
