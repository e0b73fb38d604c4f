"""The authorization server: where it is, or by which name its endpoints are discovered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_oauth_provider.connection import entra
from airflow_oauth_provider.connection.urls import checked_endpoint, checked_url
from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.oauth2.settings import WORKLOAD_IDENTITY
from airflow_oauth_provider.origin import origin_of_setting, shown_url

if TYPE_CHECKING:
    from airflow_oauth_provider.config import ProviderConfig
    from airflow_oauth_provider.extra import Extra

TOKEN_URL = "Token URL (the field host)"
_ISSUER_EXAMPLE = "Write the issuer, e.g. https://login.example.com/tenant."


@dataclass(frozen=True)
class Server:
    """
    What a connection says of its authorization server.

    :param token_endpoint: empty until it is discovered
    """

    token_endpoint: str
    issuer: str | None
    discover: bool
    revocation_endpoint: str | None


def read_server(host: str | None, extra: Extra, config: ProviderConfig, method: str, *, allow_http: bool) -> Server:
    """
    Return the token endpoint, or the issuer at which it is discovered, and what else is known.

    :raises SettingsError: a URL cannot be right, or is not allowed
    """
    discover, issuer = extra.flag("discover") or False, extra.text("issuer")
    url = _written_or_of_the_platform(host, method, discover=discover)
    if discover:
        _check_discoverable(url, issuer, config, allow_http=allow_http)
        endpoint, issuer = "", url
    else:
        example = "Write the whole token endpoint, e.g. https://login.example.com/oauth2/token."
        endpoint = checked_endpoint(url, TOKEN_URL, example, config, allow_http=allow_http)
        if issuer is not None:
            _check_issuer(issuer, "issuer")
    return Server(
        token_endpoint=endpoint,
        issuer=issuer,
        discover=not endpoint,
        revocation_endpoint=_revocation_endpoint(extra, url, config, allow_http=allow_http),
    )


def _written_or_of_the_platform(host: str | None, method: str, *, discover: bool) -> str:
    if url := (host or "").strip():
        return url
    if method != WORKLOAD_IDENTITY:
        raise SettingsError(f"{TOKEN_URL} is missing.")
    if url := entra.token_url(discover=discover):
        return url
    raise SettingsError(
        f"{TOKEN_URL} is missing, and {entra.TENANT} and {entra.AUTHORITY} are not in the environment of this machine."
    )


def _check_discoverable(url: str, issuer: str | None, config: ProviderConfig, *, allow_http: bool) -> None:
    field = "Token URL (the field host), with discover the issuer"
    if "/.well-known/" in url:
        raise SettingsError(f"{field}: {shown_url(url)} is the address of its metadata. {_ISSUER_EXAMPLE}")
    checked_endpoint(url, field, _ISSUER_EXAMPLE, config, allow_http=allow_http)
    _check_issuer(url, field)
    if issuer not in (None, url):
        raise SettingsError(f"issuer is set, and is another one than {TOKEN_URL}: with discover leave it empty.")


def _check_issuer(issuer: str, field: str) -> None:
    """RFC 8414 §2: an issuer is a URL without query and fragment. Nothing is sent there for the sake of its name."""
    checked_url(issuer, field, _ISSUER_EXAMPLE, allow_http=True)
    if "?" in issuer:
        raise SettingsError(f"{field} has a query. {_ISSUER_EXAMPLE}")


def _revocation_endpoint(extra: Extra, server: str, config: ProviderConfig, *, allow_http: bool) -> str | None:
    field = "revocation_url"
    example = "Write the whole revocation endpoint, e.g. https://login.example.com/oauth2/revoke."
    if (url := extra.text(field)) is None:
        return None
    checked_endpoint(url, field, example, config, allow_http=allow_http)
    # Airflow guards the stored secret by the host alone: nobody may lead it elsewhere by an extra.
    if not config.allowed_token_endpoints and origin_of_setting(url, field, example) != origin_of_setting(
        server, field, example
    ):
        raise SettingsError(
            f"{field} is at another origin than Token URL, and the client's credentials would go there. "
            "Those who run this Airflow can name both in [oauth2] allowed_token_endpoints."
        )
    return url
