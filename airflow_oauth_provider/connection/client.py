"""The client and what it asks for: the part of a connection that is about tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_oauth_provider.connection import assertions, identity
from airflow_oauth_provider.connection.answer import read_answer_dialect
from airflow_oauth_provider.connection.choice import choice
from airflow_oauth_provider.connection.key_pairs import read_keys
from airflow_oauth_provider.connection.parameters import read_authorization_details, read_parameters, read_resources
from airflow_oauth_provider.connection.server import TOKEN_URL, read_server
from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.oauth2.settings import (
    DPOP_OFF,
    DPOP_PREFERRED,
    DPOP_REQUIRED,
    TOKEN_EXCHANGE,
    ClientSettings,
)
from airflow_oauth_provider.oauth2.token_request import parameter_in_url

if TYPE_CHECKING:
    from airflow_oauth_provider.config import ProviderConfig
    from airflow_oauth_provider.connection.values import ConnectionFields
    from airflow_oauth_provider.extra import Extra
    from airflow_oauth_provider.oauth2.settings import Transport

DEFAULT_LEEWAY_S, MAX_LEEWAY_S = 60, 3600
DEFAULT_DPOP_ALGORITHM = "ES256"


def read_client(
    connection: ConnectionFields, extra: Extra, config: ProviderConfig, transport: Transport
) -> ClientSettings:
    """
    Return the client's settings.

    :param transport: gets the certificate that is shown in the TLS handshake
    :raises SettingsError: something is missing, cannot be right, cannot work together, or is not allowed
    """
    grant = identity.read_grant(extra)
    method = identity.read_auth_method(extra, connection.password, grant)
    server = read_server(connection.host, extra, config, method, allow_http=transport.allow_http)
    client_id = identity.read_client_id(connection.login, extra, method, grant)
    secret = identity.read_client_secret(connection.password, extra, method, grant)
    keys = read_keys(extra, config, method, grant)
    if keys.shown is not None and server.token_endpoint.lower().startswith("http:"):
        shown = "certificate" if keys.signing is None else "tls_certificate"
        raise SettingsError(f"{TOKEN_URL} is http, and with auth_method {method} {shown} is for the TLS handshake.")
    extra_params, secret_params = read_parameters(extra, grant)
    source = assertions.read_source(
        extra, config, method, grant, has_key=keys.signing is not None, secret_params=dict(secret_params)
    )
    subject, claims = assertions.read_grant_claims(extra, grant, has_key=keys.signing is not None)
    settings = ClientSettings(
        token_endpoint=server.token_endpoint,
        client_id=client_id,
        client_secret=secret,
        auth_method=method,
        basic_encoding=identity.read_basic_encoding(extra, method, client_id),
        signing_key=keys.signing,
        key_id=keys.key_id,
        signing_algorithm=keys.algorithm,
        assertion_audience=assertions.read_audience(extra, issuer_is_known=server.issuer is not None),
        assertion_typ=extra.text("assertion_typ") or assertions.DEFAULT_TYP,
        assertion_claims=claims,
        assertion_source=source,
        grant=grant,
        subject=subject,
        issuer=server.issuer,
        discover=server.discover,
        scope=" ".join(extra.words("scope")) or None,
        audience=_audience(extra, grant),
        resources=read_resources(extra),
        authorization_details=read_authorization_details(extra),
        dpop=_dpop(extra),
        dpop_algorithm=choice(extra, "dpop_algorithm") or DEFAULT_DPOP_ALGORITHM,
        extra_params=extra_params,
        secret_params=secret_params,
        answer=read_answer_dialect(extra),
        revocation_endpoint=server.revocation_endpoint,
        leeway_s=extra.integer("leeway", DEFAULT_LEEWAY_S, maximum=MAX_LEEWAY_S),
        transport=replace(transport, client_certificate=keys.shown),
    )
    if name := parameter_in_url(settings):
        raise SettingsError(
            f"{TOKEN_URL} has {name} in its query, and the request has it, too: leave it out there. "
            "A field of the form or extra_params says what it is."
        )
    return settings


def _audience(extra: Extra, grant: str) -> str | None:
    """Return the audience; several, blank-separated, are allowed in a token exchange alone (RFC 8693 §2.1)."""
    return " ".join(extra.words("audience")) or None if grant == TOKEN_EXCHANGE else extra.text("audience")


def _dpop(extra: Extra) -> str:
    text = extra.text("dpop")
    if text is not None and text.lower() == DPOP_PREFERRED:
        return DPOP_PREFERRED
    try:
        return DPOP_REQUIRED if extra.flag("dpop") else DPOP_OFF
    except SettingsError:
        raise SettingsError(f"dpop: {(text or '')[:60]!r} is none of true, preferred, false.") from None
