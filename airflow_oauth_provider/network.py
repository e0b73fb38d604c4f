"""What the network does to requests, in this package's words; and which proxy leads to a server."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from email.errors import MissingHeaderBodySeparatorDefect
from http import HTTPStatus
from http.client import BadStatusLine, HTTPResponse, parse_headers
from typing import TYPE_CHECKING

import requests
import urllib3
from requests.utils import get_environ_proxies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_oauth_provider.oauth2.settings import Transport


_BUNDLE_REASONS = frozenset({"NO_CERTIFICATE_OR_CRL_FOUND", "NO_START_LINE", "PEM_LIB", "BAD_BASE64_DECODE"})

_MAX_INTERIM = 100

_NAMES_OF_THIS_MACHINE = frozenset({"ip6-localhost", "ip6-loopback", "localhost4", "localhost6"})


def is_loopback(host: str) -> bool:
    """Whether *host* is ``localhost`` or a loopback address; nothing is resolved."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def means_this_machine(host: str) -> bool:
    """Whether a connection to *host* may end here, by whatever other spelling of an address; nothing is resolved."""
    name = host.strip("[]").rstrip(".").lower()
    if is_loopback(name) or name.endswith((".localhost", ".localdomain")) or name in _NAMES_OF_THIS_MACHINE:
        return True
    if name == socket.gethostname().lower():
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        try:
            address = ipaddress.ip_address(socket.inet_aton(name))
        except OSError:
            return False
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified


def proxies_for(url: str, transport: Transport) -> dict[str, str]:
    """
    Return the proxies for *url*, as requests takes them.

    Loopback is never reached by a proxy. The connection's proxies beat those of the environment, where ``NO_PROXY``
    counts.
    """
    if is_loopback(urllib3.util.parse_url(url).host or ""):
        return {}
    return dict(get_environ_proxies(url)) if transport.proxies is None else dict(transport.proxies)


def certificate_problem(error: BaseException, ambient: BaseException | None = None) -> str | None:
    """Return why a server's certificate was refused, None when *error* is about something else."""
    for cause in causes(error, ambient):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message or str(cause.reason)
    return None


def misconfiguration(error: BaseException, ambient: BaseException | None = None) -> str | None:
    """Return which setting cannot be right, None when *error* is about something else: trying again cannot help."""
    for cause in causes(error, ambient):
        if isinstance(cause, ssl.SSLError) and cause.reason in _BUNDLE_REASONS:
            return "the CA bundle or certificate file holds no certificate: check verify"
        if type(cause) is OSError and str(cause).startswith("Could not find"):
            return "there is no such CA bundle or certificate file: check verify"
        if isinstance(cause, requests.exceptions.InvalidProxyURL | urllib3.exceptions.ProxySchemeUnknown):
            return "the proxy's URL cannot be used: check proxies"
        if isinstance(cause, requests.exceptions.InvalidSchema) and "SOCKS" in str(cause):
            return "a SOCKS proxy needs the package PySocks: install requests[socks]"
        if isinstance(cause, requests.exceptions.InvalidURL | urllib3.exceptions.LocationValueError):
            return "the URL cannot be used"
        if isinstance(cause, UnicodeError) and "idna" in str(cause):
            return "the URL's host name cannot be used"
        if isinstance(cause, UnicodeEncodeError):
            return "a header has characters that cannot be sent"
    return None


def never_connected(error: BaseException, ambient: BaseException | None = None) -> bool:
    """Whether the failure came before a connection stood, so that nothing can have been done."""
    return any(
        isinstance(
            cause,
            requests.ConnectTimeout | urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError,
        )
        for cause in causes(error, ambient)
    )


def timed_out(error: BaseException, ambient: BaseException | None = None) -> bool:
    """Whether *error* is about time."""
    return any(
        isinstance(cause, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError)
        # A refused connection, which urllib3 derives from the one that took too long.
        and not isinstance(cause, urllib3.exceptions.NewConnectionError)
        for cause in causes(error, ambient)
    )


def describe(error: BaseException, ambient: BaseException | None = None) -> str:
    """
    Return the root of *error* in a few words.

    The texts of requests and urllib3 are not used: they hold URLs with their queries, and addresses of objects.
    """
    chain = list(causes(error, ambient))
    by_proxy = any(isinstance(cause, requests.exceptions.ProxyError) for cause in chain)
    return ("the proxy: " if by_proxy else "") + _described(error, ambient, chain)


def _described(error: BaseException, ambient: BaseException | None, chain: list[BaseException]) -> str:
    if timed_out(error, ambient):
        return "no connection in time" if never_connected(error, ambient) else "no answer in time"
    if broken_off := next((cause for cause in chain if isinstance(cause, BrokenOffError)), None):
        return str(broken_off)
    if unreadable := next((cause for cause in chain if isinstance(cause, UnreadableAnswerError)), None):
        return str(unreadable)
    for cause in reversed(chain):
        if isinstance(cause, urllib3.exceptions.NameResolutionError):
            return "the host name is not known"
        if isinstance(cause, ssl.SSLError):
            return _tls_failure(cause.reason)
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
    if any(isinstance(c, urllib3.exceptions.IncompleteRead | requests.exceptions.ChunkedEncodingError) for c in chain):
        return "the answer broke off"
    if any(isinstance(c, requests.exceptions.ContentDecodingError) for c in chain):
        return "the answer's compression is broken"
    return "the connection broke off"


def _tls_failure(reason: str | None) -> str:
    # Up to TLS 1.2 that is what servers say to a client without a certificate, but for other reasons, too.
    hint = ": it may want a client certificate, or another one" if reason and "HANDSHAKE_FAILURE" in reason else ""
    return f"TLS failed ({reason or 'the connection was closed'}){hint}"


class BrokenOffError(requests.exceptions.ChunkedEncodingError):
    """A body that is not whole; the text says how far it came."""


class UnreadableAnswerError(BadStatusLine):
    """The headers of an answer cannot be read."""

    def __init__(self) -> None:
        super().__init__("a line among the headers of the answer is no header")


class FinalAnswer(HTTPResponse):
    """
    The answer behind those that only say that it will come (RFC 9110 §15.2).

    The standard library knows no interim answer but 100: it would take another one for the answer, and the answer for
    that to whatever is sent next by this connection, be it with another client's token.
    """

    def begin(self) -> None:
        """
        Read the headers.

        :raises UnreadableAnswerError: not all of them can be read
        """
        super().begin()
        # At a line that is no header the standard library stops, and takes all headers behind it for no headers: a
        # length, an encoding, the link to the next page.
        if any(isinstance(defect, MissingHeaderBodySeparatorDefect) for defect in self.msg.defects):
            raise UnreadableAnswerError

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(_MAX_INTERIM):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status >= 200:
                return version, status, reason
            if status == HTTPStatus.SWITCHING_PROTOCOLS:
                raise BadStatusLine("another protocol, for which nobody asked")
            parse_headers(self.fp)
        raise BadStatusLine("interim answers without an end")


def causes(error: BaseException, ambient: BaseException | None = None) -> Iterator[BaseException]:
    """
    Yield *error* and all that lies behind it; requests and urllib3 keep causes in ``args`` and ``reason``.

    :param ambient: what the caller was handling when the request was made. Python takes it for a cause of whatever is
        raised meanwhile, and it is none
    """
    seen = {id(other) for other in causes(ambient)} if ambient is not None else set()
    waiting: list[object] = [error]
    while waiting:
        current = waiting.pop(0)
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        waiting += [*current.args, getattr(current, "reason", None), current.__cause__, current.__context__]
