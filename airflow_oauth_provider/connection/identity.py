"""Who the client is, and by which method it says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_oauth_provider.connection import entra
from airflow_oauth_provider.connection.choice import choice
from airflow_oauth_provider.connection.key_pairs import PLAIN
from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.extra import refuse_masked_value, refuse_private_key
from airflow_oauth_provider.oauth2.settings import (
    BASIC_RAW,
    BASIC_RFC6749,
    CLIENT_CREDENTIALS,
    CLIENT_SECRET_BASIC,
    JWT_BEARER,
    NONE,
    SECRET_METHODS,
    TOKEN_EXCHANGE,
    WORKLOAD_IDENTITY,
)

if TYPE_CHECKING:
    from airflow_oauth_provider.extra import Extra

CLIENT_ID, CLIENT_SECRET = "Client ID (the field login)", "Client secret (the field password)"

_GRANTS = {
    "client_credentials": CLIENT_CREDENTIALS,
    "jwt_bearer": JWT_BEARER,
    "token_exchange": TOKEN_EXCHANGE,
}


def read_grant(extra: Extra) -> str:
    """Return the grant type as it is named on the wire."""
    return _GRANTS[choice(extra, "grant_type") or "client_credentials"]


def read_auth_method(extra: Extra, password: str | None, grant: str) -> str:
    """Return the method; without one, a client that has no secret to send needs none for a JWT bearer grant."""
    default = NONE if grant == JWT_BEARER and not _written(password) else CLIENT_SECRET_BASIC
    return choice(extra, "auth_method") or default


def read_client_id(login: str | None, extra: Extra, method: str, grant: str) -> str:
    """
    Return the client's id; empty where none is sent.

    :raises SettingsError: it is missing
    """
    refuse_private_key(login, CLIENT_ID)
    if client_id := _written(login):
        return client_id
    if method == WORKLOAD_IDENTITY:
        if client_id := entra.said(entra.CLIENT_ID):
            return client_id
        raise SettingsError(f"{CLIENT_ID} is missing, and {entra.CLIENT_ID} is not in the environment of this machine.")
    if method == NONE and (grant == TOKEN_EXCHANGE or (grant == JWT_BEARER and not PLAIN.key_is_set(extra))):
        return ""
    raise SettingsError(f"{CLIENT_ID} is missing.")


def read_client_secret(password: str | None, extra: Extra, method: str, grant: str) -> str:
    """
    Return the client's secret; empty where the method sends none: the form keeps what was there before a change.

    :raises SettingsError: it is missing
    """
    if method not in SECRET_METHODS:
        return ""
    refuse_masked_value(password, CLIENT_SECRET)
    refuse_private_key(password, CLIENT_SECRET)
    if not _written(password):
        raise SettingsError(f"{CLIENT_SECRET} is missing: auth_method {method} needs it.{_instead(extra, grant)}")
    return password or ""


def read_basic_encoding(extra: Extra, method: str, client_id: str) -> str:
    """
    Return how id and secret are encoded.

    :raises SettingsError: the id cannot be sent so
    """
    encoding = choice(extra, "basic_encoding") or BASIC_RFC6749
    if method == CLIENT_SECRET_BASIC and encoding == BASIC_RAW and ":" in client_id:
        raise SettingsError("basic_encoding raw: the Client ID has a colon, which ends it in a header (RFC 7617).")
    return encoding


def _instead(extra: Extra, grant: str) -> str:
    if grant == JWT_BEARER:
        return " Choose none where the grant's assertion is enough."
    if PLAIN.key_is_set(extra):
        return " There is a key: choose private_key_jwt, or tls_client_auth where there is a certificate."
    if extra.has("assertion_file") or extra.has("assertion_env"):
        return " There is an assertion of the platform: choose workload_identity."
    return ""


def _written(text: str | None) -> str:
    return (text or "").strip()
