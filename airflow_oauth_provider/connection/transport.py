"""How servers are reached."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.oauth2.settings import Transport
from airflow_oauth_provider.origin import refuse_unguarded_way

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_oauth_provider.config import ProviderConfig
    from airflow_oauth_provider.extra import Extra

DEFAULT_TIMEOUT, MAX_TIMEOUT_S = "10,60", 3600.0

# SOCKS by requests[socks].
_PROXY = re.compile(r"(https?|socks4a?|socks5h?)://[^/?#\s]", re.IGNORECASE)


def read_transport(extra: Extra) -> Transport:
    """
    Return time-outs, CA bundle, proxies, and whether plain http is let through.

    :raises SettingsError: a field cannot be right
    """
    text = extra.number_text("timeout") or DEFAULT_TIMEOUT
    try:
        seconds = [float(part) for part in text.split(",")]
    except ValueError:
        seconds = []
    if len(seconds) not in (1, 2) or not all(0 < s <= MAX_TIMEOUT_S for s in seconds):
        raise SettingsError(f"timeout: {text[:30]!r} is neither one number of seconds (30) nor two (10,60).")
    proxies = extra.mapping("proxies")
    for name, url in proxies:
        if not re.fullmatch(r"(http|https|all)(://\S+)?", name) or not _PROXY.match(url):
            raise SettingsError('proxies is not of the form {"https": "http://proxy.example.com:3128"}.')
    return Transport(
        connect_timeout_s=seconds[0],
        read_timeout_s=seconds[-1],
        verify=_verify(extra),
        proxies=proxies or None,
        allow_http=bool(extra.flag("allow_http")),
    )


def check_way(transport: Transport, config: ProviderConfig, urls: Iterable[str]) -> None:
    """
    Let nobody on the way pass for a server that the platform allows.

    :param urls: to which credentials go, a bare host among them; an empty one is not known yet
    :raises SettingsError: somebody could
    """
    lists = ("allowed_token_endpoints", "allowed_api_origins")
    if (option := next((name for name in lists if getattr(config, name)), None)) is not None:
        hosts = (urlsplit(url if "://" in url else f"//{url}").hostname for url in urls)
        refuse_unguarded_way(transport, option, (host or "" for host in hosts))


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
