"""The API: where it is, and what else may see its tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_oauth_provider.connection.parameters import read_headers
from airflow_oauth_provider.connection.urls import checked_url
from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.http.settings import ApiSettings
from airflow_oauth_provider.origin import parse_origin, refuse_unlisted

if TYPE_CHECKING:
    from airflow_oauth_provider.config import ProviderConfig
    from airflow_oauth_provider.extra import Extra
    from airflow_oauth_provider.oauth2.settings import Transport

_OPTION = "allowed_api_origins"


def read_api(extra: Extra, config: ProviderConfig, transport: Transport) -> ApiSettings:
    """
    Return the API's settings.

    :param transport: as for the authorization server
    :raises SettingsError: a field cannot be right, or is not allowed
    """
    headers, secret_headers = read_headers(extra)
    return ApiSettings(
        base_url=_base_url(extra, config, allow_http=transport.allow_http),
        headers=headers,
        secret_headers=secret_headers,
        allowed_hosts=_allowed_hosts(extra, config, allow_http=transport.allow_http),
        allowed_api_origins=config.allowed_api_origins,
        allow_http=transport.allow_http,
        transport=transport,
    )


def _base_url(extra: Extra, config: ProviderConfig, *, allow_http: bool) -> str:
    field = "API base URL (the extra base_url)"
    url = extra.text("base_url")
    if url is None:
        if extra.has("base_url_from"):
            return ""
        raise SettingsError(f"{field} is missing, and so is base_url_from.")
    if extra.has("base_url_from"):
        raise SettingsError(f"{field} and base_url_from are both set: choose one.")
    example = "Write scheme, host and path, e.g. https://api.example.com/v1."
    origin = checked_url(url, field, example, allow_http=allow_http)
    if "?" in url:
        raise SettingsError(f"{field} has a query. {example}")
    refuse_unlisted(origin, field, _OPTION, config.allowed_api_origins)
    return url


def _allowed_hosts(extra: Extra, config: ProviderConfig, *, allow_http: bool) -> tuple[str, ...]:
    field = "allowed_hosts"
    for text in (hosts := extra.words(field)):
        origin = parse_origin(text, field)
        if origin.is_plain_http_elsewhere and not allow_http:
            raise SettingsError(f"{field}: {origin} is plain http. Use https, or set allow_http.")
        refuse_unlisted(origin, field, _OPTION, config.allowed_api_origins)
    return hosts
