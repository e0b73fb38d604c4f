"""Where a token may go."""

from __future__ import annotations

import re

from airflow_oauth_provider.exceptions import OriginError
from airflow_oauth_provider.origin import Origin, origin_of_setting, parse_origin, refuse_unlisted, shown_url

__all__ = ["Origin", "OriginGuard", "origin_of_setting", "parse_origin", "refuse_unlisted", "shown_url"]


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
