from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.form import CONN_FIELDS
from airflow_oauth_provider.oauth2.settings import AnswerDialect, Transport
from tests.support.connections import certificate_text, key_text, read
from tests.support.made_up import API_URL, CLIENT_ID, SECRET, TOKEN_URL


def test_a_minimal_connection_gets_the_documented_defaults() -> None:
    settings = read()
    client, api = settings.client, settings.api
    assert (client.token_endpoint, client.client_id, client.client_secret) == (TOKEN_URL, CLIENT_ID, SECRET)
    assert (client.auth_method, client.basic_encoding) == ("client_secret_basic", "rfc6749")
    assert (client.scope, client.audience, client.extra_params, client.secret_params) == (None, None, (), ())
    assert (client.grant, client.issuer, client.discover, client.dpop) == ("client_credentials", None, False, "")
    assert (client.resources, client.authorization_details, client.assertion_source) == ((), None, None)
    assert (client.signing_key, client.assertion_typ) == (None, "client-authentication+jwt")
    assert client.answer == AnswerDialect(default_lifetime_s=300)
    assert client.leeway_s == 60
    assert client.transport == Transport(connect_timeout_s=10, read_timeout_s=60, verify=True, proxies=None)
    assert (api.base_url, api.headers, api.secret_headers, api.allowed_hosts) == (API_URL, (), (), ())
    assert api.allow_http is False
    assert settings.test_endpoint is None


def test_the_extra_that_the_form_leaves_behind_with_all_keys_null_is_a_minimal_connection() -> None:
    form: dict[str, Any] = {
        name: {} if "object" in field["schema"]["type"] else None for name, field in CONN_FIELDS.items()
    }
    assert read({**form, "base_url": API_URL}) == read()
    assert read(dict.fromkeys(CONN_FIELDS, "") | {"base_url": API_URL}) == read()


def test_every_extra_reaches_its_setting() -> None:
    settings = read(
        {
            "scope": "orders:read  Orders:write",
            "audience": "https://api.example.com",
            "auth_method": "client_secret_post",
            "basic_encoding": "raw",
            "extra_params": {"tenant": "acme", "grant_type": "urn:vendor:dialect"},
            "secret_params": {"pin": "made-up-pin"},
            "headers": {"X-Api-Version": 3},
            "secret_headers": {"X-Api-Key": "made-up-key"},
            "allowed_hosts": ["files.example.com", "https://eu.example.com:8443"],
            "leeway": "30",
            "timeout": "5,20",
            "verify": "false",
            "proxies": {"https": "http://user:made-up-proxy-pass@proxy.example.com:3128"},
            "allow_http": "true",
            "test_endpoint": "status",
        }
    )
    client, api = settings.client, settings.api
    assert client.scope == "orders:read Orders:write"
    assert client.audience == "https://api.example.com"
    assert (client.auth_method, client.basic_encoding) == ("client_secret_post", "raw")
    assert client.grant_type == "urn:vendor:dialect"
    assert client.secret_params == (("pin", "made-up-pin"),)
    assert client.leeway_s == 30
    assert (client.transport.timeout_s, client.transport.verify) == ((5, 20), False)
    assert dict(client.transport.proxies or ()) == {"https": "http://user:made-up-proxy-pass@proxy.example.com:3128"}
    assert api.transport == client.transport
    assert api.headers == (("X-Api-Version", "3"),)
    assert api.secret_headers == (("X-Api-Key", "made-up-key"),)
    assert api.allowed_hosts == ("files.example.com", "https://eu.example.com:8443")
    assert api.allow_http is True
    assert settings.test_endpoint == "status"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"host": None}, r"Token URL \(the field host\) is missing"),
        ({"host": "login.example.com"}, "bare host"),
        ({"host": "login.example.com/oauth2/token"}, "bare host"),
        ({"host": "ftp://login.example.com/token"}, "Token URL"),
        ({"host": "https://"}, "Token URL"),
        ({"host": "https://user:pw@login.example.com/token"}, "Token URL"),
        ({"host": "https://evil.example\\@login.example.com/token"}, "Token URL"),
        ({"host": "https://login.example.com/token#top"}, "fragment"),
        ({"login": None}, r"Client ID \(the field login\) is missing"),
        ({"login": "  "}, "Client ID"),
        ({"password": ""}, r"Client secret \(the field password\) is missing"),
        ({"password": "***"}, "masked value was copied"),
        ({"schema": "https"}, "Schema is set.*Token URL"),
        ({"port": 443}, "Port is set.*Token URL"),
    ],
)
def test_a_standard_field_that_cannot_be_right_is_an_error_that_names_it(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        read(**changes)


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"base_url": None}, "base_url"),
        ({"base_url": "api.example.com"}, "base_url"),
        ({"base_url": "https://api.example.com/v1?key=1"}, "has a query"),
        ({"base_url": "https://api.example.com/v1?"}, "has a query"),
        ({"base_url": "https://api.example.com/v1#"}, "has a fragment"),
        ({"base_url": "https://api.example.com/v1#x"}, "fragment"),
        ({"auth_method": "digest"}, "auth_method.*client_secret_basic, client_secret_post.*none"),
        ({"grant_type": "password"}, "grant_type.*client_credentials, jwt_bearer, token_exchange"),
        ({"basic_encoding": "latin-1"}, "basic_encoding"),
        ({"leeway": "soon"}, "leeway"),
        ({"timeout": "1,2,3"}, "timeout"),
        ({"timeout": "0"}, "timeout"),
        ({"timeout": "nan"}, "timeout"),
        ({"timeout": "inf"}, "timeout"),
        ({"timeout": "fast"}, "timeout"),
        ({"timeout": True}, "timeout"),
        ({"verify": "/no/such/bundle.pem"}, "verify"),
        ({"proxies": {"https": "proxy.example.com"}}, "proxies"),
        ({"proxies": {"ftp": "http://proxy.example.com"}}, "proxies"),
        ({"proxies": {"https": "ftp://proxy.example.com"}}, "proxies"),
        ({"proxies": {"https": "http:///proxy.example.com"}}, "proxies"),
        ({"allowed_hosts": "*.example.com"}, "allowed_hosts"),
        ({"allowed_hosts": "https://api*.example.com"}, "no wildcards"),
        ({"allowed_hosts": "https://files.example.com/path"}, "more than an origin"),
        ({"allowed_hosts": "http://files.example.com"}, "plain http"),
        ({"headers": {"X Y": "1"}}, "name of a header"),
        ({"headers": {"X-A": "1\r\nX-B: 2"}}, "characters"),
        ({"headers": {"X-A": "snow ☃"}}, "characters"),
        ({"headers": {"X-A": "1"}, "secret_headers": {"x-a": "2"}}, "choose one"),
        ({"headers": {"X-A": "1", "x-a": "2"}}, "headers: x-a stands there twice"),
        ({"secret_headers": {"Content-Length": "1"}}, "makes it itself"),
        ({"headers": {"transfer-encoding": "chunked"}}, "makes it itself"),
        ({"extra_params": {"a": "1"}, "secret_params": {"a": "2"}}, "choose one"),
        ({"extra_params": {"scope": "a"}}, "field of its own"),
        ({"extra_params": {"authorization_details": "[]"}}, "field of its own, rar"),
        ({"extra_params": {"resource": "a"}, "resource": "https://a.example"}, "resource.*choose one"),
        ({"secret_params": {"grant_type": "a"}}, "no secret"),
        ({"extra_params": {"password": "made-up-pw"}}, "secret_params"),
        ({"made_up": 1}, "unknown key"),
    ],
)
def test_an_extra_that_cannot_be_right_is_an_error_that_names_it(extra: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        read(extra)


@pytest.mark.statement(3)
@pytest.mark.parametrize("field", ["extra_params", "secret_params"])
@pytest.mark.parametrize(
    "name", ["client_id", "client_secret", "client_assertion", "client_assertion_type", "Client_Id"]
)
def test_credentials_among_the_parameters_are_refused(field: str, name: str) -> None:
    with pytest.raises(SettingsError, match=name) as caught:
        read({field: {name: "made-up-credential"}})
    assert "made-up-credential" not in str(caught.value)


@pytest.mark.parametrize("field", ["headers", "secret_headers"])
@pytest.mark.parametrize("name", ["Authorization", "authorization", "Host", "DPoP", "Cookie", "Proxy-Authorization"])
def test_headers_that_the_provider_makes_itself_are_refused(field: str, name: str) -> None:
    with pytest.raises(SettingsError, match=name) as caught:
        read({field: {name: "made-up-value"}})
    assert "made-up-value" not in str(caught.value)


@pytest.mark.parametrize(
    ("timeout", "seconds"), [("30", (30, 30)), (30, (30, 30)), (7.5, (7.5, 7.5)), ("2, 9", (2, 9))]
)
def test_a_timeout_is_one_number_or_two(timeout: Any, seconds: tuple[float, float]) -> None:
    assert read({"timeout": timeout}).client.transport.timeout_s == seconds


@pytest.mark.parametrize(("verify", "meant"), [(True, True), (False, False), ("True", True), ("0", False), (1, True)])
def test_verify_may_be_written_in_several_ways(verify: Any, meant: bool) -> None:
    assert read({"verify": verify}).client.transport.verify is meant


def test_verify_beats_the_ca_bundle_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environments, ours = tmp_path / "environment.pem", tmp_path / "ours.pem"
    environments.touch()
    ours.touch()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(environments))
    assert read().api.transport.verify == str(environments)
    assert read({"verify": str(ours)}).api.transport.verify == str(ours)
    assert read({"verify": "true"}).api.transport.verify is True
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    assert read().api.transport.verify is True


def test_no_secret_stands_in_the_repr_of_the_settings() -> None:
    secrets = {"secret_params": {"pin": "made-up-pin"}, "secret_headers": {"X-Api-Key": "made-up-key"}}
    proxies = {"https": "http://user:made-up-proxy-pass@proxy.example.com:3128"}
    key = {"private_key": key_text(), "certificate": certificate_text()}
    settings = read({**secrets, **key, "proxies": proxies})
    shown = f"{settings!r} {settings} {settings.client!r} {settings.api!r} {settings.client.transport!r}"
    for secret in (SECRET, "made-up-pin", "made-up-key", "made-up-proxy-pass", key_text()):
        assert secret not in shown
        assert secret in settings.secrets()
    assert "PRIVATE KEY" not in shown
    assert CLIENT_ID in shown


def test_a_client_id_with_a_colon_cannot_be_sent_raw() -> None:
    with pytest.raises(SettingsError, match="colon"):
        read({"basic_encoding": "raw"}, login="urn:app")
    assert read(login="urn:app").client.client_id == "urn:app"
    assert read({"basic_encoding": "raw", "auth_method": "client_secret_post"}, login="urn:app").client


def test_settings_cannot_be_changed() -> None:
    settings = read()
    with pytest.raises(AttributeError):
        settings.client.client_secret = "another"  # type: ignore[misc]
    assert settings == read()
    assert hash(settings.client) == hash(read().client)


@pytest.mark.parametrize(
    ("extra", "changes"),
    [
        ({}, {"login": "made-up\ud800"}),
        ({}, {"password": "made-up secret of a test \udfff"}),
        ({}, {"host": "https://login.example.com/\ud800"}),
        ({"scope": "\ud800"}, {}),
        ({"extra_params": {"tenant": "\ud800"}}, {}),
        ({"extra_params": {"\ud800": "acme"}}, {}),
        ({"secret_params": '{"pin": "made-up \\ud800"}'}, {}),
        ({"\ud800": "x"}, {}),
    ],
)
def test_half_a_character_is_an_error_of_its_field_and_shows_nothing(
    extra: dict[str, Any], changes: dict[str, Any]
) -> None:
    with pytest.raises(SettingsError, match=r"half a character|unknown key") as refused:
        read(extra, **changes)
    assert str(refused.value).isascii()
    assert "made-up" not in str(refused.value)
    assert refused.value.__context__ is None
