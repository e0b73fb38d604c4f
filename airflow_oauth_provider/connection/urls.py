"""Checks of URLs that somebody configured."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from airflow_oauth_provider.connection.parameters import CREDENTIALS, SECRETS
from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.origin import origin_of_setting, refuse_unlisted, shown_url

if TYPE_CHECKING:
    from airflow_oauth_provider.config import ProviderConfig
    from airflow_oauth_provider.origin import Origin


def checked_url(url: str, field: str, example: str, *, allow_http: bool) -> Origin:
    """
    Return the origin of *url*.

    :raises SettingsError: it cannot be used, has a fragment, or is plain http that leaves this machine
    """
    origin = origin_of_setting(url, field, example)
    if "#" in url:
        raise SettingsError(f"{field} has a fragment (#…). {example}")
    if origin.is_plain_http_elsewhere and not allow_http:
        raise SettingsError(
            f"{field} is plain http, which everybody on the way can read. Use https, or set allow_http."
        )
    return origin


def checked_endpoint(url: str, field: str, example: str, config: ProviderConfig, *, allow_http: bool) -> str:
    """
    Return a URL of the authorization server: the client's credentials may go there.

    :raises SettingsError: it cannot be right, or the platform does not list it
    """
    if "://" not in url:
        raise SettingsError(f"{field}: {shown_url(url)} is a bare host. {example}")
    origin = checked_url(url, field, example, allow_http=allow_http)
    query = {name.lower() for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)}
    if query & (CREDENTIALS | SECRETS):
        raise SettingsError(f"{field} holds credentials in its query, where every log on the way would show them.")
    refuse_unlisted(origin, field, "allowed_token_endpoints", config.allowed_token_endpoints)
    return url
