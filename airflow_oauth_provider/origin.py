"""Scheme, host and port of a URL, as the library that sends to it reads it."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from requests.exceptions import RequestException
from requests.models import PreparedRequest
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from airflow_oauth_provider.exceptions import OriginError, SettingsError
from airflow_oauth_provider.masking import escape_control_characters
from airflow_oauth_provider.network import is_loopback
from airflow_oauth_provider.oauth2.settings import without_query

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_oauth_provider.oauth2.settings import Transport

_PORTS = {"http": 80, "https": 443}
# To one parser `https://a.example\@b.example/` is a.example, to another b.example.
_REFUSED = re.compile(r"[\\\x00-\x20\x7f]")


@dataclass(frozen=True)
class Origin:
    """
    Scheme, host and port (RFC 6454 §4).

    :param host: as it is connected to: A-labels, lower case, IPv6 in brackets
    """

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """
        Return the origin of *url*, as the library that sends the request reads it.

        :raises OriginError: the URL has no origin, or could be read in two ways
        """
        if _REFUSED.search(url):
            raise OriginError(f"{shown_url(url)} has a backslash, blank or control character: nothing was sent there.")
        try:
            parts = parse_url(url)
        except LocationParseError:
            raise OriginError(f"{shown_url(url)} is not a URL: nothing was sent there.") from None
        if parts.scheme not in _PORTS or not parts.host:
            raise OriginError(f"{shown_url(url)} is not an http or https URL: nothing was sent there.")
        if parts.auth is not None or "@" in urlsplit(url).netloc:
            raise OriginError("The URL names a user before its host, which is refused: nothing was sent there.")
        if _stdlib_host(url) != parts.host.strip("[]").lower():
            raise OriginError(f"{shown_url(url)} is read in two ways: nothing was sent there.")
        return cls(parts.scheme, parts.host.lower(), _PORTS[parts.scheme] if parts.port is None else parts.port)

    @property
    def is_plain_http_elsewhere(self) -> bool:
        """Whether everybody on the way could read what is sent there."""
        return self.scheme == "http" and not is_loopback(self.host)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}" + ("" if self.port == _PORTS[self.scheme] else f":{self.port}")


def origin_of_setting(url: str, field: str, example: str) -> Origin:
    """
    Return the origin of a URL that somebody configured.

    :param field: the setting's name, for the error
    :param example: what to write instead
    :raises SettingsError: it is no http or https URL, or could be read in two ways
    """
    prepared = PreparedRequest()
    with suppress(RequestException, OriginError):
        # As it is written and as it is sent: an international name is sent in A-labels.
        Origin.of(url) if url.isascii() else None
        prepared.prepare_url(url, None)
        return Origin.of(str(prepared.url))
    # Not where that is handled: what requests raises may hold a password.
    raise SettingsError(f"{field}: {shown_url(url)} is not a URL that can be used. {example}")


def parse_origin(text: str, field: str) -> Origin:
    """
    Return the origin that a setting names; a bare host means https and port 443.

    :raises SettingsError: it is no origin, or more than one
    """
    url = text if "://" in text else f"https://{text}"
    origin = origin_of_setting(url, field, "Write an origin such as https://api.example.com.")
    if url.partition("://")[2].partition("/")[2] or re.search(r"[*?#]", url):
        raise SettingsError(f"{field}: {shown_url(text)} is more than an origin. Write {origin} alone; no wildcards.")
    return origin


def refuse_unlisted(origin: Origin, field: str, option: str, allowed: tuple[str, ...]) -> None:
    """
    Return when the platform allows *origin*.

    :param option: of the section ``[oauth2]``
    :param allowed: what it says; empty: any
    :raises SettingsError: it is not among them
    """
    if allowed and origin not in {parse_origin(text, f"[oauth2] {option}") for text in allowed}:
        raise SettingsError(
            f"{field}: {origin} is not among [oauth2] {option}. Ask those who run this Airflow to add it."
        )


def refuse_unguarded_way(transport: Transport, option: str, hosts: Iterable[str]) -> None:
    """
    Return when nobody on the way, above all a proxy of the connection, can pass for a server that is allowed.

    :param option: of the section ``[oauth2]``, which says what is allowed
    :param hosts: to which credentials go; on this machine nobody is on the way
    :raises SettingsError: somebody could
    """
    if all(map(is_loopback, hosts)):
        return
    if transport.verify is False:
        raise SettingsError(
            f"verify is false, so anybody on the way could pass for a server of [oauth2] {option}. "
            "Leave it out, or name a CA bundle."
        )
    if transport.allow_http and transport.proxies:
        raise SettingsError(
            f"allow_http and proxies are both set, so a proxy could pass for a server of [oauth2] {option}: choose one."
        )


def _stdlib_host(url: str) -> str | None:
    """Return the host as the standard library reads it: requests uses both parsers."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def shown_url(text: str) -> str:
    """Return *text* fit for a message: on one line, without a query, and not at all when it names a user."""
    # A password may hold whatever else ends a part of a URL.
    shown = "…" if "@" in text else without_query(text).partition("\\")[0]
    return repr(escape_control_characters(shown[:200]))
