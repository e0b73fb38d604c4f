"""
Airflow Connection → settings: the only reader of a connection's fields.

Whatever is missing or cannot be right is an error here, before anything is sent, and names the field.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qsl, urlsplit

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.extra import Extra, refuse_masked_value
from airflow_oauth_provider.get_provider_info import CONN_FIELDS
from airflow_oauth_provider.http.origin import Origin, origin_of_setting, parse_origin, shown_url
from airflow_oauth_provider.http.settings import ApiSettings
from airflow_oauth_provider.oauth2.client_auth import AUTH_METHODS
from airflow_oauth_provider.oauth2.settings import (
    BASIC_RAW,
    BASIC_RFC6749,
    CLIENT_SECRET_BASIC,
    ClientSettings,
    Transport,
)

if TYPE_CHECKING:
    from airflow_oauth_provider.config import ProviderConfig

DEFAULT_LEEWAY_S, MAX_LEEWAY_S = 60, 3600
DEFAULT_TIMEOUT, MAX_TIMEOUT_S = "10,60", 3600.0

_CREDENTIALS = frozenset({"client_id", "client_secret", "client_assertion", "client_assertion_type"})
_SECRETS = frozenset({"assertion", "password", "refresh_token", "subject_token", "actor_token"})
_OWN_FIELDS = frozenset({"scope", "audience"})
_REFUSED_HEADERS = frozenset({"authorization", "proxy-authorization", "host", "dpop", "cookie"})

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?")

Pairs = tuple[tuple[str, str], ...]


class ConnectionFields(Protocol):
    """What is read of an Airflow connection, whichever class it is of."""

    host: str | None
    login: str | None
    password: str | None
    schema: str | None
    port: int | None
    extra: str | None


@dataclass(frozen=True)
class ConnectionSettings:
    """
    Everything that a connection says.

    :param test_endpoint: what *Test* calls besides the token endpoint
    """

    client: ClientSettings
    api: ApiSettings
    test_endpoint: str | None = None

    def secrets(self) -> tuple[str, ...]:
        """All values that must never be shown."""
        return (*self.client.secrets(), *self.api.secrets())


def read_connection(connection: ConnectionFields, config: ProviderConfig) -> ConnectionSettings:
    """
    Return what *connection* says.

    :raises SettingsError: a field is missing, unknown, cannot be right, or is not allowed by *config*
    """
    if connection.schema:
        raise SettingsError("Schema is set: scheme and path belong into Token URL (the field host), written in full.")
    if connection.port:
        raise SettingsError("Port is set: it belongs into Token URL (the field host), written in full.")
    refuse_masked_value(connection.password, "Client secret (the field password)")
    extra = Extra(connection.extra, CONN_FIELDS)
    allow_http = bool(extra.flag("allow_http"))
    transport = _transport(extra)
    client = ClientSettings(
        token_endpoint=_token_endpoint(connection.host, config, allow_http=allow_http),
        client_id=_required(connection.login, "Client ID (the field login)").strip(),
        client_secret=_required(connection.password, "Client secret (the field password)"),
        auth_method=extra.text("auth_method", among=AUTH_METHODS) or CLIENT_SECRET_BASIC,
        basic_encoding=extra.text("basic_encoding", among=(BASIC_RFC6749, BASIC_RAW)) or BASIC_RFC6749,
        scope=" ".join(extra.words("scope")) or None,
        audience=extra.text("audience"),
        extra_params=_token_parameters(extra, "extra_params"),
        secret_params=_token_parameters(extra, "secret_params"),
        leeway_s=extra.integer("leeway", DEFAULT_LEEWAY_S, maximum=MAX_LEEWAY_S),
        transport=transport,
    )
    if client.basic_encoding == BASIC_RAW and ":" in client.client_id:
        raise SettingsError("basic_encoding raw: the Client ID has a colon, which ends it in a header (RFC 7617).")
    _refuse_twice(client.extra_params, client.secret_params, "extra_params", "secret_params")
    api = ApiSettings(
        base_url=_base_url(extra, config, allow_http=allow_http),
        headers=_headers(extra, "headers"),
        secret_headers=_headers(extra, "secret_headers"),
        allowed_hosts=_allowed_hosts(extra, config, allow_http=allow_http),
        allow_http=allow_http,
        transport=transport,
    )
    _refuse_twice(api.headers, api.secret_headers, "headers", "secret_headers")
    return ConnectionSettings(client, api, extra.text("test_endpoint"))


def _required(value: str | None, field: str) -> str:
    if not value or not value.strip():
        raise SettingsError(f"{field} is missing.")
    return value


def _token_endpoint(host: str | None, config: ProviderConfig, *, allow_http: bool) -> str:
    field = "Token URL (the field host)"
    url = _required(host, field).strip()
    example = "Write the whole token endpoint, e.g. https://login.example.com/oauth2/token."
    if "://" not in url:
        raise SettingsError(f"{field}: {shown_url(url)} is a bare host. {example}")
    origin = _checked_url(url, field, example, allow_http=allow_http)
    query = {name.lower() for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)}
    if query & (_CREDENTIALS | _SECRETS):
        raise SettingsError(f"{field} holds credentials in its query, where every log on the way would show them.")
    _refuse_unlisted(origin, field, "allowed_token_endpoints", config.allowed_token_endpoints)
    return url


def _base_url(extra: Extra, config: ProviderConfig, *, allow_http: bool) -> str:
    field = "API base URL (the extra base_url)"
    url = _required(extra.text("base_url"), field)
    example = "Write scheme, host and path, e.g. https://api.example.com/v1."
    origin = _checked_url(url, field, example, allow_http=allow_http)
    if urlsplit(url).query:
        raise SettingsError(f"{field} has a query. {example}")
    _refuse_unlisted(origin, field, "allowed_api_origins", config.allowed_api_origins)
    return url


def _checked_url(url: str, field: str, example: str, *, allow_http: bool) -> Origin:
    origin = origin_of_setting(url, field, example)
    if urlsplit(url).fragment:
        raise SettingsError(f"{field} has a fragment (#…). {example}")
    if origin.is_plain_http_elsewhere and not allow_http:
        raise SettingsError(
            f"{field} is plain http, which everybody on the way can read. Use https, or set allow_http."
        )
    return origin


def _refuse_unlisted(origin: Origin, field: str, option: str, allowed: tuple[str, ...]) -> None:
    if allowed and origin not in {parse_origin(text, f"[oauth2] {option}") for text in allowed}:
        raise SettingsError(
            f"{field}: {origin} is not among [oauth2] {option}. Ask those who run this Airflow to add it."
        )


def _allowed_hosts(extra: Extra, config: ProviderConfig, *, allow_http: bool) -> tuple[str, ...]:
    field = "allowed_hosts"
    for text in (hosts := extra.words(field)):
        origin = parse_origin(text, field)
        if origin.is_plain_http_elsewhere and not allow_http:
            raise SettingsError(f"{field}: {origin} is plain http. Use https, or set allow_http.")
        _refuse_unlisted(origin, field, "allowed_api_origins", config.allowed_api_origins)
    return hosts


def _token_parameters(extra: Extra, field: str) -> Pairs:
    parameters = extra.mapping(field)
    for name, _ in parameters:
        if name.lower() in _CREDENTIALS:
            raise SettingsError(f"{field}: {name} belongs into Client ID or Client secret.")
        if name in _OWN_FIELDS:
            raise SettingsError(f"{field}: {name} has a field of its own.")
        if field == "extra_params" and name.lower() in _SECRETS:
            raise SettingsError(f"{field}: {name} belongs into secret_params, which is masked.")
        if field == "secret_params" and name == "grant_type":
            raise SettingsError(f"{field}: grant_type is no secret, it belongs into extra_params.")
    return parameters


def _headers(extra: Extra, field: str) -> Pairs:
    headers = extra.mapping(field)
    for name, value in headers:
        if name.lower() in _REFUSED_HEADERS:
            raise SettingsError(f"{field}: {name} cannot be set, the provider makes it itself.")
        if not _HEADER_NAME.fullmatch(name):
            raise SettingsError(f"{field}: {name[:60]!r} cannot be the name of a header.")
        if not _HEADER_VALUE.fullmatch(value):
            raise SettingsError(f"{field}: the value of {name} has characters that cannot stand in a header.")
    return headers


def _refuse_twice(first: Pairs, second: Pairs, first_field: str, second_field: str) -> None:
    names = {name.lower() for name, _ in first}
    for name, _ in second:
        if name.lower() in names:
            raise SettingsError(f"{name} stands in {first_field} and in {second_field}: choose one.")


def _transport(extra: Extra) -> Transport:
    text = extra.number_text("timeout") or DEFAULT_TIMEOUT
    try:
        seconds = [float(part) for part in text.split(",")]
    except ValueError:
        seconds = []
    if len(seconds) not in (1, 2) or not all(0 < s <= MAX_TIMEOUT_S for s in seconds):
        raise SettingsError(f"timeout: {text[:30]!r} is neither one number of seconds (30) nor two (10,60).")
    proxies = extra.mapping("proxies")
    for name, url in proxies:
        if not re.fullmatch(r"(http|https|all)(://\S+)?", name) or "://" not in url:
            raise SettingsError('proxies is not of the form {"https": "http://proxy.example.com:3128"}.')
    return Transport(seconds[0], seconds[-1], _verify(extra), proxies or None)


def _verify(extra: Extra) -> bool | str:
    text = extra.text("verify")
    if text is None:
        # Read here once: requests itself would let the environment beat the connection.
        bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
        return bundle if bundle and os.path.exists(bundle) else True
    if text.lower() in ("true", "false", "1", "0"):
        return text.lower() in ("true", "1")
    if not os.path.exists(text):
        raise SettingsError(f"verify: there is no CA bundle {text[:200]!r} on this machine. Use true, false or a path.")
    return text
