"""Where the API is: at the connection's base URL, or at the one that the server names beside each token."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_oauth_provider.exceptions import OriginError
from airflow_oauth_provider.http.origin import OriginGuard
from airflow_oauth_provider.network import means_this_machine
from airflow_oauth_provider.origin import origin_of_setting, parse_origin, refuse_unlisted

if TYPE_CHECKING:
    from airflow_oauth_provider.http.settings import ApiSettings
    from airflow_oauth_provider.oauth2.token import AccessToken
    from airflow_oauth_provider.tokens.source import TokenSource

ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)

_FIELD = "The base URL in the token endpoint's answer"
# An API seldom moves; those under way when it does still know where it was.
_MAX_GUARDS = 8


class ApiBase:
    """
    Makes URLs of endpoints, and lets requests pass that stay where the token may go.

    :param source: of the tokens that name the base URL where the connection does not
    """

    def __init__(self, settings: ApiSettings, source: TokenSource) -> None:
        self._settings = settings
        self._source = source
        self._allowed = tuple(parse_origin(text, "allowed_hosts") for text in settings.allowed_hosts)
        self._guards: dict[str, OriginGuard] = {}
        if settings.base_url:
            self._guards[settings.base_url] = self._new_guard(settings.base_url)

    def url_for(self, endpoint: str | None) -> str:
        """
        Return *endpoint* below the base URL, joined by exactly one slash; an absolute URL as it is.

        :raises OAuth2Error: there is no token that names a base URL, or none that may be used
        """
        if endpoint and ABSOLUTE.match(endpoint):
            return endpoint
        return _joined(self._base_url(None), endpoint)

    def describe(self, endpoint: str | None) -> str:
        """Do as :meth:`url_for` for messages: without a token, and so where it names the base URL without that."""
        return endpoint if endpoint and ABSOLUTE.match(endpoint) else _joined(self._settings.base_url, endpoint)

    def check(self, url: str, token: AccessToken | None = None) -> None:
        """
        Return when a token may be sent to *url*, a prepared request's URL.

        :param token: the one that is to be sent; None for the present one
        :raises OriginError: it may not
        """
        base_url = self._base_url(token)
        guard = self._guards.get(base_url)
        if guard is None:
            guard = self._new_guard(base_url)
            # A new dict each time: threads share it without a lock, which a fork could leave locked.
            self._guards = dict([*self._guards.items(), (base_url, guard)][-_MAX_GUARDS:])
        guard.check(url)

    def _base_url(self, token: AccessToken | None) -> str:
        if self._settings.base_url:
            return self._settings.base_url
        base_url = (token or self._source.get()).base_url
        if base_url is None:
            raise OriginError("No token names a base URL, and the connection has none: nothing was sent.")
        if base_url not in self._guards:
            self._check_named(base_url)
        return base_url

    def _check_named(self, base_url: str) -> None:
        """Raise unless the connection could have named *base_url*: whoever answers for the server does not decide."""
        origin = origin_of_setting(base_url, _FIELD, "Check base_url_from.")
        if origin.is_plain_http_elsewhere and not self._settings.allow_http:
            raise OriginError(f"{_FIELD} is plain http, which everybody on the way can read: nothing was sent there.")
        allowed = self._settings.allowed_api_origins
        refuse_unlisted(origin, _FIELD, "allowed_api_origins", allowed)
        server = origin_of_setting(self._source.server, "Token URL", "")
        if not allowed and means_this_machine(origin.host) and not means_this_machine(server.host):
            raise OriginError(
                f"{_FIELD} is on this machine ({origin}), and the authorization server is not: nothing was sent there. "
                "Those who run this Airflow can name it in [oauth2] allowed_api_origins."
            )

    def _new_guard(self, base_url: str) -> OriginGuard:
        return OriginGuard(base_url, self._allowed, allow_http=self._settings.allow_http)


def _joined(base: str, endpoint: str | None) -> str:
    if not endpoint:
        return base
    return base.rstrip("/") + ("" if endpoint[0] in "?#" else "/") + endpoint.lstrip("/")
