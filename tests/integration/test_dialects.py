"""Servers whose answers deviate, each made to work by the fields of a connection, over real sockets."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from airflow_oauth_provider.exceptions import OAuth2Error, OriginError, PermanentError, UnusableTokenError
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from tests.support import worker
from tests.support.servers import OAuthServer, Reply, Seen, Server

if TYPE_CHECKING:
    from tests.support.processes import Nursery

Connection = Callable[..., str]
Environment = Callable[..., dict[str, str]]
Answer = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True)
class Dialect:
    """
    A way to answer, and the fields that make it work.

    :param answer: from the members of RFC 6749 §5.1 to what the server sends
    :param works_without: the answer is a right one for every client, only read otherwise
    """

    name: str
    answer: Answer
    fields: dict[str, Any]
    lifetime_s: float = 3600
    asks: dict[str, str] = field(default_factory=dict)
    works_without: bool = False


def without(*names: str, **members: Any) -> Answer:
    return lambda good: {**{name: value for name, value in good.items() if name not in names}, **members}


DIALECTS = [
    Dialect("the members in an object", lambda good: {"data": good}, {"answer_path": "data"}),
    Dialect("the token in an object", lambda good: {"data": good}, {"answer_path": "data.access_token"}),
    Dialect(
        "the token by another name",
        lambda good: {"result": {"jwt": good["access_token"], "expires_in": "1800"}, "ok": True},
        {"answer_path": "result.jwt", "default_scheme": "Bearer"},
        lifetime_s=1800,
    ),
    Dialect("no token_type", without("token_type"), {"default_scheme": "Bearer"}),
    Dialect(
        "an odd token_type",
        without(token_type="Application Access Token"),
        {"type_aliases": "BearerToken, Application Access Token"},
    ),
    Dialect(
        "milliseconds", without(expires_in=1_800_000), {"expires_in_unit": "ms"}, lifetime_s=1800, works_without=True
    ),
    Dialect(
        "milliseconds as text",
        without(expires_in="1800000"),
        {"expires_in_unit": "ms"},
        lifetime_s=1800,
        works_without=True,
    ),
    Dialect("no expires_in", without("expires_in"), {"default_lifetime": 900}, lifetime_s=900, works_without=True),
    Dialect(
        "a grant type of its own",
        lambda good: good,
        {"extra_params": {"grant_type": "account_credentials", "account_id": "made-up"}},
        asks={"grant_type": "account_credentials", "account_id": "made-up", "scope": "read"},
        works_without=True,
    ),
    Dialect(
        "two resources and authorization details",
        lambda good: good,
        {"resource": "https://a.example/x urn:b", "rar": [{"type": "payment"}]},
        asks={"resource": "urn:b", "authorization_details": '[{"type": "payment"}]'},
        works_without=True,
    ),
]


def answering(server: OAuthServer, answer: Answer) -> None:
    """Let *server* answer with what *answer* makes of a good answer."""

    def reply(_: Seen) -> Reply:
        good = server.issue().body
        assert isinstance(good, dict)
        return Reply(200, answer(good))

    server.token_reply = reply


@pytest.mark.statement(10)
@pytest.mark.statement(13)
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_fields_of_the_connection_make_a_dialect_work(
    server: OAuthServer, connect: Connection, dialect: Dialect
) -> None:
    answering(server, dialect.answer)
    hook = OAuth2Hook(oauth2_conn_id=connect(**dialect.fields))

    assert hook.request("GET", "orders").status_code == 200
    token = hook.get_token()
    assert token.lifetime_s == pytest.approx(dialect.lifetime_s)
    assert server.api_requests[0].headers["authorization"] == f"Bearer {token.value}"
    (asked,) = server.token_requests
    sent = {name: json.loads(value) if name == "authorization_details" else value for name, value in asked.form}
    wanted = {n: json.loads(v) if n == "authorization_details" else v for n, v in dialect.asks.items()}
    assert {**sent, **wanted} == sent


@pytest.mark.statement(11)
@pytest.mark.parametrize("dialect", [d for d in DIALECTS if not d.works_without], ids=lambda dialect: dialect.name)
def test_without_these_fields_it_is_one_clear_error(server: OAuthServer, connect: Connection, dialect: Dialect) -> None:
    answering(server, dialect.answer)
    with pytest.raises(OAuth2Error) as caught:
        OAuth2Hook(oauth2_conn_id=connect()).get_token()
    assert type(caught.value).__name__ in ("UnusableTokenError", "TokenResponseError")
    assert not [token for token in server.tokens if token in str(caught.value)]


# The base URL of an answer --------------------------------------------------------------------------------------------


def instance(server: OAuthServer, url: Any) -> None:
    """Let the answers of *server* name *url* as Salesforce does."""
    server.token_reply = lambda _: server.issue(instance_url=url)


@pytest.fixture
def hook(connect: Connection) -> OAuth2Hook:
    return OAuth2Hook(oauth2_conn_id=connect(base_url="", base_url_from="instance_url"))


def test_calls_and_pulls_go_where_the_answer_says(server: OAuthServer, hook: OAuth2Hook) -> None:
    instance(server, f"{server.url}/api/v1/")
    server.api_reply = lambda seen: Reply(200, [{"id": 1}]) if server.checked(seen).status == 200 else Reply(403)

    assert hook.request("GET", "/orders").status_code == 200
    assert list(hook.records("items")) == [{"id": 1}]
    assert [seen.path for seen in server.api_requests] == ["/api/v1/orders", "/api/v1/items"]
    assert hook.get_token().base_url == f"{server.url}/api/v1/"


def test_processes_share_the_base_url_with_the_token(
    nursery: Nursery, server: OAuthServer, environment: Environment
) -> None:
    instance(server, f"{server.url}/api/v1")
    surroundings = environment(base_url_from="instance_url")
    connection = json.loads(surroundings["AIRFLOW_CONN_SHOP"])
    del connection["extra"]["base_url"]
    surroundings["AIRFLOW_CONN_SHOP"] = json.dumps(connection)

    outcomes = [nursery.run(1, worker.call, surroundings)[0] for _ in range(2)]

    assert [outcome.value for outcome in outcomes] == [[200], [200]], outcomes
    assert [seen.path for seen in server.api_requests] == ["/api/v1/orders"] * 2
    assert len(server.token_requests) == 1


@pytest.mark.statement(24)
def test_no_token_goes_to_a_base_url_that_the_platform_does_not_allow(
    server: OAuthServer, hook: OAuth2Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__OAUTH2__ALLOWED_API_ORIGINS", server.url)
    with Server(lambda _: Reply(200)) as hostile:
        instance(server, f"{hostile.url}/api")
        with pytest.raises(PermanentError, match="not among \\[oauth2\\] allowed_api_origins") as caught:
            hook.request("GET", "orders")
        assert hostile.connections == 0
    assert hook.get_token().value not in str(caught.value)


@pytest.mark.statement(24)
@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com",
        "//api.example.com",
        "api.example.com",
        "https://user:made-up-word@api.example.com",
        "https://api.example.com\\@evil.example",
        "https://api.example.com/?key=made-up-word",
        "https://api.example.com/\r\nX-Evil: 1",
        "file:///etc/passwd",
        "",
        None,
        7,
        ["https://api.example.com"],
    ],
)
def test_a_hostile_base_url_is_one_clear_error(server: OAuthServer, hook: OAuth2Hook, url: Any) -> None:
    instance(server, url)
    with pytest.raises((UnusableTokenError, OriginError)) as caught:
        hook.request("GET", "orders")
    text = str(caught.value)
    assert text.isprintable()
    assert "made-up-word" not in text
    assert not [token for token in server.tokens if token in text]
    assert server.api_requests == []


@pytest.mark.statement(24)
def test_the_token_stays_at_the_base_url_of_the_answer(server: OAuthServer, hook: OAuth2Hook) -> None:
    instance(server, f"{server.url}/api")
    with Server(lambda _: Reply(200)) as elsewhere:
        with pytest.raises(OriginError, match="add it to allowed_hosts"):
            hook.request("GET", f"{elsewhere.url}/orders")
        assert elsewhere.connections == 0
