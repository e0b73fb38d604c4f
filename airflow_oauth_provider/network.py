"""What the network does to requests, in this package's words; and which proxy leads to a server."""

from __future__ import annotations

import ipaddress
import ssl
from typing import TYPE_CHECKING

import requests
import urllib3
from requests.utils import get_environ_proxies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_oauth_provider.oauth2.settings import Transport


def is_loopback(host: str) -> bool:
    """Whether *host* is ``localhost`` or a loopback address; nothing is resolved."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def proxies_for(url: str, transport: Transport) -> dict[str, str]:
    """
    Return the proxies for *url*, as requests takes them.

    Loopback is never reached by a proxy. The connection's proxies beat those of the environment, where ``NO_PROXY``
    counts.
    """
    if is_loopback(urllib3.util.parse_url(url).host or ""):
        return {}
    return dict(get_environ_proxies(url)) if transport.proxies is None else dict(transport.proxies)


def certificate_problem(error: BaseException) -> str | None:
    """Return why a server's certificate was refused, None when *error* is about something else."""
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message or str(cause.reason)
    return None


def never_connected(error: BaseException) -> bool:
    """Whether the failure came before a connection stood, so that nothing can have been done."""
    return any(
        isinstance(
            cause,
            requests.ConnectTimeout | urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError,
        )
        for cause in causes(error)
    )


def timed_out(error: BaseException) -> bool:
    """Whether *error* is about time."""
    return any(
        isinstance(cause, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError)
        # A refused connection, which urllib3 derives from the one that took too long.
        and not isinstance(cause, urllib3.exceptions.NewConnectionError)
        for cause in causes(error)
    )


def describe(error: BaseException) -> str:
    """
    Return the root of *error* in a few words.

    The texts of requests and urllib3 are not used: they hold URLs with their queries, and addresses of objects.
    """
    chain = list(causes(error))
    if timed_out(error):
        return "no connection in time" if never_connected(error) else "no answer in time"
    for cause in reversed(chain):
        if isinstance(cause, urllib3.exceptions.NameResolutionError):
            return "the host name is not known"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed ({cause.reason or 'the connection was closed'})"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
    if any(isinstance(c, urllib3.exceptions.IncompleteRead | requests.exceptions.ChunkedEncodingError) for c in chain):
        return "the answer broke off"
    if any(isinstance(c, requests.exceptions.ContentDecodingError) for c in chain):
        return "the answer's compression is broken"
    return "the connection broke off"


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield *error* and all that lies behind it; requests and urllib3 keep causes in ``args`` and ``reason``."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        current = waiting.pop(0)
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        waiting += [*current.args, getattr(current, "reason", None), current.__cause__, current.__context__]
