"""Where a token may go."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from requests.exceptions import RequestException
from requests.models import PreparedRequest
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from airflow_oauth_provider.exceptions import OriginError, SettingsError
from airflow_oauth_provider.masking import escape_control_characters
from airflow_oauth_provider.network import is_loopback

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
    try:
        # As it is written and as it is sent: an international name is sent in A-labels.
        Origin.of(url) if url.isascii() else None
        prepared.prepare_url(url, None)
        return Origin.of(str(prepared.url))
    except (RequestException, OriginError):
        raise SettingsError(f"{field}: {shown_url(url)} is not a URL that can be used. {example}") from None


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


class OriginGuard:
    """
    Lets requests to the base URL's origin and to exactly named ones pass.

    :param base_url: of the API
    :param allowed: further origins
    :param allow_http: lets plain http to other machines pass
    """

    def __init__(self, base_url: str, allowed: tuple[Origin, ...] = (), *, allow_http: bool = False) -> None:
        base = origin_of_setting(base_url, "base_url", "Write scheme, host and path.")
        self._allowed = frozenset((base, *allowed))
        self._allow_http = allow_http
        # What every request to the base URL begins with, up to the slash that ends the authority for every parser.
        self._prefix = re.compile(re.escape(str(base)) + r"/[\x21-\x5b\x5d-\x7e]*\Z")
        if base.is_plain_http_elsewhere and not allow_http:
            self._prefix = re.compile(r"(?!)")

    def check(self, url: str) -> None:
        """
        Return when the token may be sent to *url*, a prepared request's URL.

        :raises OriginError: it may not
        """
        if self._prefix.match(url):
            return
        origin = Origin.of(url)
        if origin not in self._allowed:
            raise OriginError(
                f"The request goes to {origin}, but the token may go to {', '.join(sorted(map(str, self._allowed)))} "
                "alone: nothing was sent there. If you trust that server, add it to allowed_hosts of the connection."
            )
        if origin.is_plain_http_elsewhere and not self._allow_http:
            raise OriginError(
                f"The request goes to {origin} in clear text: nothing was sent there. "
                "Use https, or set allow_http in the connection."
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
    shown = "…" if "@" in text else re.split(r"[?#\\]", text)[0]
    return repr(escape_control_characters(shown[:200]))
