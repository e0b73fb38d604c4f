"""Base URLs that come with the token."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_oauth_provider.exceptions import ApiUnavailableError, OriginError, PermanentError, SettingsError
from airflow_oauth_provider.http.base import ApiBase
from airflow_oauth_provider.tokens.source import TokenSource
from tests.support.made_up import access_token, api_settings, client_settings
from tests.support.servers import Reply
from tests.support.sessions import UNAUTHORIZED, Api, session_at
from tests.support.token_sources import Processes

NAMED = "https://acme.my.example.com/v1"


def source_of(base_url: str | None) -> TokenSource:
    """Return a source whose tokens name this base URL."""
    processes = Processes()
    processes.endpoint.script = [access_token(base_url=base_url)]
    return processes.start()


def base_of(named: str | None, **settings: Any) -> ApiBase:
    return ApiBase(api_settings(base_url="", **settings), source_of(named))


def test_endpoints_are_below_the_base_url_that_the_token_names() -> None:
    base = base_of(f"{NAMED}/")
    assert base.url_for("/orders") == f"{NAMED}/orders"
    assert base.url_for(None) == f"{NAMED}/"
    assert base.url_for("https://elsewhere.example/x") == "https://elsewhere.example/x"


@pytest.mark.statement(24)
def test_the_token_may_go_to_that_origin_and_to_allowed_hosts_alone() -> None:
    base = base_of(NAMED, allowed_hosts=("files.example.com",))
    base.check(f"{NAMED}/orders")
    base.check("https://acme.my.example.com/elsewhere")
    base.check("https://files.example.com/1")
    for url in ("https://my.example.com/", "https://acme.my.example.com.evil.example/", "http://acme.my.example.com/"):
        with pytest.raises(OriginError, match="nothing was sent there"):
            base.check(url)


@pytest.mark.statement(24)
def test_each_token_may_go_to_the_base_url_that_it_names_itself() -> None:
    base, older = base_of(NAMED), access_token("made-up-older", base_url="https://older.my.example.com")
    base.check("https://older.my.example.com/orders", older)
    with pytest.raises(OriginError):
        base.check(f"{NAMED}/orders", older)


@pytest.mark.statement(24)
def test_the_base_url_of_the_connection_beats_what_a_token_names() -> None:
    base = ApiBase(api_settings(), source_of("https://evil.example"))
    assert base.url_for("orders") == "https://api.example.com/v1/orders"
    with pytest.raises(OriginError):
        base.check("https://evil.example/", access_token(base_url="https://evil.example"))


@pytest.mark.statement(24)
@pytest.mark.parametrize(
    "named",
    [
        "http://acme.my.example.com",
        "https://user@acme.my.example.com",
        "https://acme.my.example.com\\@evil.example",
        "ftp://acme.my.example.com",
        "acme.my.example.com",
        "https://",
        "",
        None,
    ],
)
def test_a_base_url_that_a_connection_could_not_name_is_refused(named: str | None) -> None:
    base = base_of(named)
    for use in (lambda: base.url_for("orders"), lambda: base.check(f"{NAMED}/orders")):
        with pytest.raises(PermanentError, match=r"base URL|base_url"):
            use()


def test_plain_http_to_another_machine_is_let_through_only_with_allow_http() -> None:
    assert base_of("http://acme.example.com", allow_http=True).url_for("x") == "http://acme.example.com/x"


@pytest.mark.statement(24)
def test_a_base_url_on_this_machine_is_no_business_of_a_server_elsewhere() -> None:
    local = "http://127.0.0.1:8080"
    with pytest.raises(OriginError, match=r"on this machine .*allowed_api_origins"):
        base_of(local).url_for("x")
    assert base_of(local, allowed_api_origins=(local,)).url_for("x") == f"{local}/x"
    processes = Processes()
    processes.endpoint.script = [access_token(base_url=local)]
    source = processes.start(client_settings(token_endpoint="http://localhost:8081/token"))
    assert ApiBase(api_settings(base_url=""), source).url_for("x") == f"{local}/x"


@pytest.mark.statement(24)
def test_a_base_url_outside_the_allowed_origins_is_refused() -> None:
    allowed = ("https://acme.my.example.com",)
    assert base_of(NAMED, allowed_api_origins=allowed).url_for("x") == f"{NAMED}/x"
    with pytest.raises(SettingsError, match=r"https://evil.example is not among \[oauth2\] allowed_api_origins"):
        base_of("https://evil.example", allowed_api_origins=allowed).url_for("x")


def test_a_url_can_be_described_without_a_token() -> None:
    processes = Processes()
    base = ApiBase(api_settings(base_url=""), processes.start())
    assert (base.describe("orders"), base.describe(NAMED)) == ("/orders", NAMED)
    assert processes.endpoint.asked == []


@pytest.mark.statement(24)
def test_a_token_with_another_base_url_never_goes_where_the_refused_one_went() -> None:
    with Api(UNAUTHORIZED) as old, Api() as new:
        processes = Processes()
        # The first token is old enough to be renewed.
        processes.endpoint.script = [
            access_token("made-up-old", age_s=120, base_url=old.url),
            access_token("made-up-new", base_url=new.url),
        ]
        session = session_at("", processes, allowed_api_origins=(old.url, new.url))
        with pytest.raises(ApiUnavailableError, match="another base URL"):
            session.call("GET", "orders")
        assert session.call("GET", "orders").response.json() == {"ok": True}
    assert (old.tokens, new.tokens) == (["made-up-old"], ["made-up-new"])


@pytest.mark.statement(24)
def test_a_redirect_keeps_to_the_base_url_of_the_token() -> None:
    with Api() as foreign, Api(Reply(302, b"", {"Location": f"{foreign.url}/x"})) as api:
        processes = Processes()
        processes.endpoint.script = [access_token("made-up-token-with-a-base", base_url=api.url)]
        with pytest.raises(OriginError, match="redirects, which was not followed"):
            session_at("", processes, allowed_api_origins=(api.url,)).call("GET", "orders")
        assert foreign.seen == []
