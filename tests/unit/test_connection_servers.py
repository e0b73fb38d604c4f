"""Where a connection leads: token endpoint or issuer, revocation, API, further hosts."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_oauth_provider.config import ProviderConfig
from airflow_oauth_provider.exceptions import SettingsError
from tests.support.connections import read
from tests.support.keys import everything_in
from tests.support.made_up import TOKEN_URL

ISSUER = "https://login.example.com/tenant"


@pytest.mark.statement(2)
@pytest.mark.parametrize("query", ["client_secret=x", "CLIENT_ID=x", "a=1&password=x", "client_secret="])
def test_credentials_in_the_query_of_the_token_url_are_refused(query: str) -> None:
    with pytest.raises(SettingsError, match="credentials in its query"):
        read(host=f"{TOKEN_URL}?{query}")


@pytest.mark.statement(6)
@pytest.mark.parametrize(
    "loopback", ["http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080", "http://127.9.9.9"]
)
def test_plain_http_goes_to_loopback(loopback: str) -> None:
    settings = read({"base_url": f"{loopback}/v1", "allowed_hosts": loopback}, host=f"{loopback}/token")
    assert settings.client.token_endpoint == f"{loopback}/token"
    assert settings.api.base_url == f"{loopback}/v1"


@pytest.mark.statement(6)
@pytest.mark.statement(23)
@pytest.mark.parametrize(
    "host", ["login.example.com", "192.168.1.5", "localhost.example.com", "127.0.0.1.nip.io", "0.0.0.0"]
)
def test_plain_http_to_another_machine_needs_allow_http(host: str) -> None:
    with pytest.raises(SettingsError, match=r"Token URL.*plain http"):
        read(host=f"http://{host}/token")
    with pytest.raises(SettingsError, match=r"base URL.*plain http"):
        read({"base_url": f"http://{host}/v1"})
    allowed = read({"allow_http": True, "base_url": f"http://{host}/v1", "allowed_hosts": f"http://{host}:81"})
    assert allowed.api.base_url == f"http://{host}/v1"


@pytest.mark.parametrize("url", ["https://app:made-up-password@host:99999/", "https://app:made-up-password@[/"])
def test_a_password_in_a_url_that_cannot_be_read_is_carried_along_by_no_error(url: str) -> None:
    with pytest.raises(SettingsError, match="Token URL") as caught:
        read(host=url)
    assert "made-up-password" not in everything_in(caught.value)


def test_on_this_machine_nobody_is_on_the_way_to_an_allowed_server() -> None:
    config = ProviderConfig(allowed_token_endpoints=("https://localhost:8443",))
    local = {"verify": False, "base_url": "https://127.0.0.1:8444/v1"}
    assert read(local, config, host="https://localhost:8443/token").client.transport.verify is False
    with pytest.raises(SettingsError, match="verify is false"):
        read({**local, "base_url": "https://api.example.com"}, config, host="https://localhost:8443/token")
    with pytest.raises(SettingsError, match="verify is false"):
        read({**local, "base_url": None, "base_url_from": "url"}, config, host="https://localhost:8443/token")
    assert read({**local, "allowed_hosts": "localhost:8445"}, config, host="https://localhost:8443/token")
    both = ProviderConfig(allowed_token_endpoints=("https://localhost:8443", "https://login.example.com"))
    revoking = {**local, "revocation_url": "https://login.example.com/revoke"}
    with pytest.raises(SettingsError, match="verify is false"):
        read(revoking, both, host="https://localhost:8443/token")


@pytest.mark.statement(5)
@pytest.mark.parametrize(
    ("query", "extra", "name"),
    [
        ("grant_type=account_credentials&account_id=1", {}, "grant_type"),
        ("scope=read", {"scope": "read"}, "scope"),
        ("tenant=1", {"extra_params": {"tenant": "1"}}, "tenant"),
    ],
)
def test_a_parameter_does_not_stand_in_the_token_url_and_in_the_request(
    query: str, extra: dict[str, Any], name: str
) -> None:
    with pytest.raises(SettingsError, match=f"Token URL .* has {name} in its query, .* extra_params"):
        read(extra, host=f"{TOKEN_URL}?{query}")
    assert read(host=f"{TOKEN_URL}?api-version=2&scope=").client.token_endpoint.endswith("?api-version=2&scope=")
    several = {"resource": "https://a.example"}
    assert read(several, host=f"{TOKEN_URL}?resource=https://b.example").client.resources == ("https://a.example",)


def test_a_token_url_that_is_not_listed_is_refused_whatever_the_connection_says() -> None:
    config = ProviderConfig(allowed_token_endpoints=("https://login.example.com",))
    assert read(config=config).client.token_endpoint == TOKEN_URL
    for host in (
        "https://evil.example/token",
        "https://login.example.com:8443/token",
        "https://login.example.com./token",
        "https://login.example.com.evil.example/token",
        "http://localhost/token",
    ):
        with pytest.raises(SettingsError, match="allowed_token_endpoints"):
            read(config=config, host=host)


def test_tokens_are_revoked_at_the_server_that_issues_them_and_at_those_that_are_listed() -> None:
    own, other = "https://login.example.com/revoke", "https://revoke.example.com/"
    assert read().client.revocation_endpoint is None
    assert read({"revocation_url": own}).client.revocation_endpoint == own
    for elsewhere in (other, "https://login.example.com:8443/revoke", "https://evil.example/login.example.com"):
        with pytest.raises(SettingsError, match="another origin than Token URL"):
            read({"revocation_url": elsewhere})
    listed = ProviderConfig(allowed_token_endpoints=("https://login.example.com", "https://revoke.example.com"))
    assert read({"revocation_url": other}, listed).client.revocation_endpoint == other
    with pytest.raises(SettingsError, match=r"revocation_url: .* is not among"):
        read({"revocation_url": "https://evil.example/"}, listed)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("login.example.com", "a bare host"),
        ("http://login.example.com/revoke", "plain http"),
        ("https://login.example.com/revoke?client_secret=made-up", "credentials in its query"),
        ("https://login.example.com/revoke#x", "a fragment"),
        ("https://login.example.com/revoke#", "a fragment"),
    ],
)
def test_a_revocation_url_that_cannot_be_right_is_refused(url: str, why: str) -> None:
    with pytest.raises(SettingsError, match=f"revocation_url.*{why}"):
        read({"revocation_url": url})


def test_an_api_or_a_further_host_that_is_not_listed_is_refused() -> None:
    config = ProviderConfig(allowed_api_origins=("api.example.com", "https://files.example.com"))
    assert read({"allowed_hosts": "files.example.com"}, config).api.allowed_hosts == ("files.example.com",)
    with pytest.raises(SettingsError, match="allowed_api_origins"):
        read({"base_url": "https://evil.example/v1"}, config)
    with pytest.raises(SettingsError, match="allowed_api_origins"):
        read({"allowed_hosts": "evil.example"}, config)


def test_a_listed_origin_that_is_none_is_an_error_that_names_the_option() -> None:
    with pytest.raises(SettingsError, match="allowed_token_endpoints"):
        read(config=ProviderConfig(allowed_token_endpoints=("https://*.example.com",)))


# Discovery ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", [True, "true", "1"])
def test_with_discover_the_field_host_is_the_issuer_and_there_is_no_token_endpoint_yet(flag: Any) -> None:
    client = read({"discover": flag}, host=f" {ISSUER} ").client
    assert (client.discover, client.issuer, client.token_endpoint) == (True, ISSUER, "")
    assert client.server == ISSUER
    assert read({"discover": flag, "issuer": ISSUER}, host=ISSUER).client == client


def test_without_discover_the_issuer_is_only_a_name() -> None:
    client = read({"issuer": ISSUER}).client
    assert (client.discover, client.issuer, client.token_endpoint) == (False, ISSUER, TOKEN_URL)
    assert read({"discover": False}).client.issuer is None


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("login.example.com", "bare host"),
        (f"{ISSUER}?tenant=1", "a query"),
        (f"{ISSUER}#x", "a fragment"),
        (f"{ISSUER}#", "a fragment"),
        (f"{ISSUER}/.well-known/openid-configuration", "the address of its metadata"),
        ("http://login.example.com", "plain http"),
        (None, "is missing"),
    ],
)
def test_an_issuer_that_cannot_be_discovered_is_refused(host: str | None, why: str) -> None:
    with pytest.raises(SettingsError, match=rf"Token URL.*{why}"):
        read({"discover": True}, host=host)


def test_an_issuer_on_this_machine_may_be_plain_http_and_another_with_allow_http() -> None:
    assert read({"discover": True}, host="http://127.0.0.1:8080").client.issuer == "http://127.0.0.1:8080"
    elsewhere = "http://login.example.com"
    client = read({"discover": True, "allow_http": True}, host=elsewhere).client
    assert (client.issuer, client.transport.allow_http) == (elsewhere, True)


def test_two_issuers_are_one_too_many() -> None:
    with pytest.raises(SettingsError, match=r"issuer is set.*with discover leave it empty"):
        read({"discover": True, "issuer": "https://other.example.com"}, host=ISSUER)


@pytest.mark.parametrize(
    ("issuer", "why"),
    [("login.example.com", "not a URL"), (f"{ISSUER}?a=1", "a query"), (f"{ISSUER}#x", "a fragment")],
)
def test_an_issuer_that_cannot_be_one_is_refused(issuer: str, why: str) -> None:
    with pytest.raises(SettingsError, match=f"issuer.*{why}"):
        read({"issuer": issuer})


def test_an_issuer_that_is_not_listed_is_not_even_asked_for_its_metadata() -> None:
    listed = ProviderConfig(allowed_token_endpoints=("https://login.example.com",))
    assert read({"discover": True}, listed, host=ISSUER).client.issuer == ISSUER
    with pytest.raises(SettingsError, match="allowed_token_endpoints"):
        read({"discover": True}, listed, host="https://evil.example")


def test_with_discover_tokens_are_revoked_at_the_issuers_origin_or_where_it_is_listed() -> None:
    own, other = "https://login.example.com/revoke", "https://revoke.example.com/"
    assert read({"discover": True, "revocation_url": own}, host=ISSUER).client.revocation_endpoint == own
    with pytest.raises(SettingsError, match="another origin than Token URL"):
        read({"discover": True, "revocation_url": other}, host=ISSUER)


# The API's base URL from the answer ---------------------------------------------------------------------------------


def test_the_base_url_comes_from_the_connection_or_from_the_answer() -> None:
    config = ProviderConfig(allowed_api_origins=("https://eu1.example.com",))
    settings = read({"base_url": None, "base_url_from": "instance_url"}, config)
    assert (settings.api.base_url, settings.client.answer.base_url_member) == ("", "instance_url")
    assert settings.api.allowed_api_origins == ("https://eu1.example.com",)
    assert read().client.answer.base_url_member is None


@pytest.mark.parametrize(
    ("extra", "why"),
    [
        ({"base_url": None}, r"base_url.* is missing, and so is base_url_from"),
        ({"base_url_from": "instance_url"}, "base_url.* and base_url_from are both set"),
        ({"base_url": None, "base_url_from": "https://api.example.com"}, "base_url_from: .* is not the name"),
    ],
)
def test_one_base_url_is_needed_and_two_are_too_many(extra: dict[str, Any], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        read(extra)
