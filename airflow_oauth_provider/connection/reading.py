"""A connection → its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_oauth_provider.connection.api import read_api
from airflow_oauth_provider.connection.client import read_client
from airflow_oauth_provider.connection.identity import CLIENT_ID, CLIENT_SECRET
from airflow_oauth_provider.connection.server import TOKEN_URL
from airflow_oauth_provider.connection.transport import check_way, read_transport
from airflow_oauth_provider.connection.values import ConnectionSettings
from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.extra import Extra, refuse_half_characters
from airflow_oauth_provider.form import CONN_FIELDS, SECRET_FIELDS

if TYPE_CHECKING:
    from airflow_oauth_provider.config import ProviderConfig
    from airflow_oauth_provider.connection.values import ConnectionFields


def read_connection(connection: ConnectionFields, config: ProviderConfig) -> ConnectionSettings:
    """
    Return what *connection* says.

    :raises SettingsError: a field is missing, unknown, cannot be right or has no use, or is not allowed by *config*
    """
    for field, value in (("Schema", connection.schema), ("Port", connection.port)):
        if value:
            raise SettingsError(
                f"{field} is set: scheme, port and path belong into Token URL (the field host), written in full."
            )
    for field, value in (
        (TOKEN_URL, connection.host),
        (CLIENT_ID, connection.login),
        (CLIENT_SECRET, connection.password),
    ):
        refuse_half_characters(value, field)
    extra = Extra(connection.extra, CONN_FIELDS, SECRET_FIELDS)
    client = read_client(connection, extra, config, read_transport(extra))
    # An API that binds tokens to a certificate wants to see it, too (RFC 8705 §3).
    api = read_api(extra, config, client.transport)
    endpoints = (client.server, client.revocation_endpoint or client.server)
    check_way(client.transport, config, (*endpoints, api.base_url, *api.allowed_hosts))
    return ConnectionSettings(client, api, extra.text("test_endpoint"))
