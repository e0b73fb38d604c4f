"""One connection by all the ways in which Airflow holds it: each of them reads other types."""

from __future__ import annotations

import importlib
import json
from typing import Any, cast

import pytest
from airflow.providers.common.compat.sdk import BaseHook

from airflow_oauth_provider.connection import ConnectionFields, ConnectionSettings, read_connection
from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.form import CONN_FIELDS
from tests.support.connections import ANY, certificate_text, key_text, platform
from tests.support.keys import PASSPHRASE
from tests.support.made_up import API_URL, CLIENT_ID, TOKEN_URL, connection_uri, fields

SECRET = "p@ss:word/+ %&=#?é"
BY_SECRET: dict[str, Any] = {
    "base_url": API_URL,
    "scope": "orders:read orders:write",
    "audience": "https://api.example.com/",
    "auth_method": "client_secret_post",
    "basic_encoding": "raw",
    "extra_params": {"tenant": "acme & sons", "version": "2"},
    "secret_params": {"pin": "made-up-pin"},
    "headers": {"X-Api-Version": "3"},
    "secret_headers": {"X-Api-Key": "made-up-key=="},
    "allowed_hosts": "https://files.example.com https://eu.example.com:8443",
    "leeway": 30,
    "timeout": "5,20",
    "verify": "false",
    "proxies": {"https": "http://proxy.example.com:3128"},
    "allow_http": True,
    "test_endpoint": "status?full=1",
    "resource": "https://api.example.com/a?b=c&d=%20 urn:example:b",
    "dpop": True,
    "dpop_algorithm": "EdDSA",
    "issuer": "https://login.example.com/tenant",
    "rar": [{"type": "account_information", "actions": ["list", "read"], "limit": 12.5, "all": False}],
    "revocation_url": "https://login.example.com/revoke?a=b&c=d",
    "grant_type": "client_credentials",
    "default_scheme": "Bearer",
    "type_aliases": "BearerToken, Application Access Token",
    "answer_path": "data.access_token",
    "expires_in_unit": "ms",
    "default_lifetime": 900,
}
BY_KEYS: dict[str, Any] = {
    "base_url_from": "instance_url",
    "auth_method": "private_key_jwt",
    "private_key": key_text(passphrase=PASSPHRASE),
    "private_key_passphrase": PASSPHRASE,
    "certificate": certificate_text(),
    "key_id": "17",
    "signing_algorithm": "ES256",
    "assertion_audience": "issuer",
    "assertion_typ": "JWT",
    "tls_private_key": key_text(1, passphrase="1234"),
    "tls_private_key_passphrase": "1234",
    "tls_certificate": certificate_text(1),
    "grant_type": "jwt_bearer",
    "subject": "jo+x@example.com",
    "assertion_claims": {"scope": "a b", "nested": {"list": [1, 2.5, None, True, "ü"]}},
    "discover": True,
}
BY_THE_PLATFORM: dict[str, Any] = {
    "base_url": API_URL,
    "auth_method": "workload_identity",
    "assertion_env": "CI_TOKEN",
}
# Their contents are read where they lie: tests of keys and of assertions have them.
FILES = {"key_file", "certificate_file", "tls_key_file", "tls_certificate_file", "assertion_file"}
PLATFORM = platform(None, "CI_TOKEN")

EXTRAS = pytest.mark.parametrize("extra", [BY_SECRET, BY_KEYS, BY_THE_PLATFORM], ids=["secret", "keys", "platform"])


def read(connection: Any) -> ConnectionSettings:
    # What needs an allowed server and what such a server does not allow do not go together.
    config = PLATFORM if "assertion_env" in str(connection.extra) else ANY
    return read_connection(cast("ConnectionFields", connection), config)


def expected(extra: dict[str, Any]) -> ConnectionSettings:
    return read(fields(json.dumps(extra), password=SECRET))


def test_every_field_makes_the_journey() -> None:
    assert {*BY_SECRET, *BY_KEYS, *BY_THE_PLATFORM} | FILES == set(CONN_FIELDS)


def classes() -> list[Any]:
    """Return the classes of connections that this Airflow has: the core's and, from 3.0 on, the task SDK's."""
    found = [importlib.import_module("airflow.models.connection").Connection]
    try:
        found.append(importlib.import_module("airflow.sdk").Connection)
    except ImportError:
        return found
    return found


def from_environment(value: str, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return what a task and what the core make of an environment variable."""
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", value)
    core = importlib.import_module("airflow.models.connection").Connection
    return [BaseHook.get_connection("shop"), core.get_connection_from_secrets("shop")]


@EXTRAS
def test_a_json_environment_variable(extra: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    plain = {"conn_type": "oauth2", "host": TOKEN_URL, "login": CLIENT_ID, "password": SECRET}
    for written in (extra, json.dumps(extra)):
        for connection in from_environment(json.dumps({**plain, "extra": written}), monkeypatch):
            assert read(connection) == expected(extra)


@EXTRAS
def test_a_uri_environment_variable_with_one_parameter_an_extra(
    extra: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for connection in from_environment(connection_uri(extra, SECRET), monkeypatch):
        assert read(connection) == expected(extra)


@EXTRAS
def test_a_uri_environment_variable_with_the_extra_as_one_parameter(
    extra: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for connection in from_environment(connection_uri({"__extra__": json.dumps(extra)}, SECRET), monkeypatch):
        assert read(connection) == expected(extra)


def test_a_uri_with_numbers_in_the_place_of_text(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"base_url": API_URL, "scope": "123", "audience": "true", "timeout": "30", "verify": "1", "leeway": "45"}
    for connection in from_environment(connection_uri(extra), monkeypatch):
        settings = read(connection)
        assert (settings.client.scope, settings.client.audience) == ("123", "true")
        transport = settings.client.transport
        assert (transport.timeout_s, transport.verify, settings.client.leeway_s) == ((30, 30), True, 45)


@pytest.mark.parametrize("number", ["1e5", "1.10", "12345678901234567890.5"])
def test_a_number_that_a_uri_would_change_is_refused_or_kept_as_it_was_written(
    number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for connection in from_environment(connection_uri({"base_url": API_URL, "scope": number}), monkeypatch):
        if json.loads(connection.extra)["scope"] == number:
            assert read(connection).client.scope == number
        else:
            with pytest.raises(SettingsError, match="put it in quotes"):
                read(connection)


@EXTRAS
def test_the_uri_that_airflow_writes_itself_is_read_again(extra: dict[str, Any]) -> None:
    for connection_class in classes():
        written = connection_class(
            conn_id="shop",
            conn_type="oauth2",
            host=TOKEN_URL,
            login=CLIENT_ID,
            password=SECRET,
            extra=json.dumps(extra),
        ).get_uri()
        for reader in classes():
            again = (
                reader(conn_id="shop", uri=written)
                if hasattr(reader, "_parse_from_uri")
                else reader.from_uri(written, conn_id="shop")
            )
            assert read(again) == expected(extra)


@EXTRAS
def test_the_json_that_airflow_writes_itself_is_read_again(extra: dict[str, Any]) -> None:
    for connection_class in classes():
        written = connection_class(
            conn_id="shop",
            conn_type="oauth2",
            host=TOKEN_URL,
            login=CLIENT_ID,
            password=SECRET,
            extra=json.dumps(extra),
        ).as_json()
        for reader in classes():
            assert read(reader.from_json(written, conn_id="shop")) == expected(extra)


def test_the_form_stores_what_was_left_blank_as_null_or_as_an_empty_object() -> None:
    blank: dict[str, Any] = {
        name: {} if "object" in field["schema"]["type"] else None for name, field in CONN_FIELDS.items()
    }
    for connection_class in classes():
        connection = connection_class(
            conn_id="shop", conn_type="oauth2", host=TOKEN_URL, login=CLIENT_ID, password=SECRET, schema="", port=None,
            extra=json.dumps({**blank, "base_url": API_URL}),
        )  # fmt: skip
        assert read(connection) == read(fields(password=SECRET))


@EXTRAS
def test_the_rest_api_s_connection_body_is_read(extra: dict[str, Any]) -> None:
    body = {
        "connection_id": "shop", "conn_type": "oauth2", "host": TOKEN_URL, "login": CLIENT_ID, "password": SECRET,
        "schema": None, "port": None, "extra": json.dumps(extra),
    }  # fmt: skip
    try:
        bodies = importlib.import_module("airflow.api_fastapi.core_api.datamodels.connections")
        members = bodies.ConnectionBody(**body).model_dump(by_alias=True)
    except ImportError:
        schemas = importlib.import_module("airflow.api_connexion.schemas.connection_schema")
        members = schemas.connection_schema.load(body)
    members["conn_id"] = members.pop("connection_id", "shop")
    known = {"conn_id", "conn_type", "host", "login", "password", "schema", "port", "extra"}
    core = importlib.import_module("airflow.models.connection").Connection
    assert read(core(**{name: value for name, value in members.items() if name in known})) == expected(extra)
