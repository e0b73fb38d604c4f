"""One connection by all the ways in which Airflow holds it: each of them reads other types."""

from __future__ import annotations

import importlib
import json
from typing import Any, cast

import pytest
from airflow.providers.common.compat.sdk import BaseHook

from airflow_oauth_provider.config import ProviderConfig
from airflow_oauth_provider.connection import ConnectionFields, ConnectionSettings, read_connection
from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.get_provider_info import CONN_FIELDS
from tests.support.made_up import API_URL, CLIENT_ID, TOKEN_URL, connection_uri, fields

SECRET = "p@ss:word/+ %&=#?é"
EXTRA: dict[str, Any] = {
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
}


def read(connection: Any) -> ConnectionSettings:
    return read_connection(cast("ConnectionFields", connection), ProviderConfig())


EXPECTED = read(fields(EXTRA, password=SECRET))


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


def test_a_json_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = {"conn_type": "oauth2", "host": TOKEN_URL, "login": CLIENT_ID, "password": SECRET}
    for extra in (EXTRA, json.dumps(EXTRA)):
        for connection in from_environment(json.dumps({**plain, "extra": extra}), monkeypatch):
            assert read(connection) == EXPECTED


def test_a_uri_environment_variable_with_one_parameter_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for connection in from_environment(connection_uri(EXTRA, SECRET), monkeypatch):
        assert read(connection) == EXPECTED


def test_a_uri_environment_variable_with_the_extra_as_one_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    for connection in from_environment(connection_uri({"__extra__": json.dumps(EXTRA)}, SECRET), monkeypatch):
        assert read(connection) == EXPECTED


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


def test_the_uri_that_airflow_writes_itself_is_read_again() -> None:
    for connection_class in classes():
        written = connection_class(
            conn_id="shop",
            conn_type="oauth2",
            host=TOKEN_URL,
            login=CLIENT_ID,
            password=SECRET,
            extra=json.dumps(EXTRA),
        ).get_uri()
        for reader in classes():
            again = (
                reader(conn_id="shop", uri=written)
                if hasattr(reader, "_parse_from_uri")
                else reader.from_uri(written, conn_id="shop")
            )
            assert read(again) == EXPECTED


def test_the_json_that_airflow_writes_itself_is_read_again() -> None:
    for connection_class in classes():
        written = connection_class(
            conn_id="shop",
            conn_type="oauth2",
            host=TOKEN_URL,
            login=CLIENT_ID,
            password=SECRET,
            extra=json.dumps(EXTRA),
        ).as_json()
        for reader in classes():
            assert read(reader.from_json(written, conn_id="shop")) == EXPECTED


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


def test_the_rest_api_s_connection_body_is_read() -> None:
    body = {
        "connection_id": "shop", "conn_type": "oauth2", "host": TOKEN_URL, "login": CLIENT_ID, "password": SECRET,
        "schema": None, "port": None, "extra": json.dumps(EXTRA),
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
    assert read(core(**{name: value for name, value in members.items() if name in known})) == EXPECTED
