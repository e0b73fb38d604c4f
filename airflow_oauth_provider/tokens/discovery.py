"""
Discovery: the connection names the issuer, and the issuer's metadata name its endpoints (RFC 8414).

Who speaks for the issuer decides where the client's credentials go, as RFC 8414 means it: the token endpoint may be at
another origin than the issuer, as Google's and Cognito's are. So the issuer stands in the connection's host, which
Airflow guards; its document comes from there over verified TLS; and ``[oauth2] allowed_token_endpoints`` binds what it
names. Without that option, endpoints on this machine are refused unless the issuer is there, too: a document from
elsewhere has no business with them.
"""

from __future__ import annotations

import logging
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_oauth_provider.exceptions import (
    OAuth2Error,
    ServerMetadataError,
    SettingsError,
    TokenEndpointUnavailableError,
    TokenResponseError,
    TransientError,
)
from airflow_oauth_provider.network import means_this_machine
from airflow_oauth_provider.oauth2.metadata import parse_metadata, resolved, well_known_urls
from airflow_oauth_provider.oauth2.supported import check_supported
from airflow_oauth_provider.oauth2.token_request import TokenRequest, parameter_in_url
from airflow_oauth_provider.origin import origin_of_setting, refuse_unguarded_way, refuse_unlisted
from airflow_oauth_provider.retry import THROTTLING_STATUSES
from airflow_oauth_provider.tokens.exchange import Exchange
from airflow_oauth_provider.tokens.known_metadata import MIN_FRESH_S, KnownMetadata

if TYPE_CHECKING:
    from airflow_oauth_provider.masking import Redactor
    from airflow_oauth_provider.oauth2.settings import ClientSettings
    from airflow_oauth_provider.tokens.entries import SealedEntries

log = logging.getLogger(__name__)

_URI = re.compile(r"[\x21-\x7e]{1,2000}", re.ASCII)
# How long to wait for a document when an older one is at hand.
PATIENCE_S = 5.0

_ADVICE = (
    "Check Token URL, which holds the issuer where discover is set; or turn discover off and write the token endpoint."
)


class Discovery:
    """
    Finds a server's endpoints: in the memory of this process, in the store, or by asking the server.

    Whoever calls holds the lease on the token, so that a fleet asks once.

    :param settings: of a client whose ``issuer`` is set
    :param entries: where metadata are shared
    :param allowed_origins: ``[oauth2] allowed_token_endpoints``; empty: any
    :param redactor: of the client's secrets
    """

    def __init__(
        self, settings: ClientSettings, entries: SealedEntries, *, allowed_origins: tuple[str, ...], redactor: Redactor
    ) -> None:
        self._settings = settings
        self._issuer = settings.issuer or ""
        self._entries = entries
        self._allowed_origins = allowed_origins
        self._redactor = redactor
        # In one step, for other threads' sake.
        self._held: tuple[KnownMetadata, ClientSettings] | None = None

    def resolve(self, deadline_s: float) -> ClientSettings:
        """
        Return the settings with the server's endpoints in them.

        :param deadline_s: for all that has to be asked
        :raises SettingsError: the server does not support what the connection wants, or names endpoints that may not
            be used
        :raises ServerMetadataError: there are no metadata of this issuer
        :raises TransientError: they cannot be had now, and none are known
        """
        now, held = time.time(), self._held
        if held is not None and held[0].is_fresh(now):
            return held[1]
        known = self._newest_known(now)
        if known is not None and known.is_fresh(now):
            try:
                return self._hold(known)
            except SettingsError:
                # The server may have changed since, and may not be asked each time.
                if known.age_s(now) < MIN_FRESH_S:
                    raise
                known = None
        try:
            fetched = self._fetch(deadline_s if known is None else min(deadline_s / 2, PATIENCE_S))
        except TransientError as error:
            if known is None:
                raise
            log.warning("%s Going on with what it said %.0f min ago.", error, known.age_s(now) / 60)
            return self._hold(known.prolonged(now))
        if fetched.shareable:
            self._entries.write_metadata(fetched)
        return self._hold(fetched)

    def forget(self) -> None:
        """Forget what led to an endpoint that is not there; what another process has found out since stays."""
        held, self._held = self._held, None
        stored = self._entries.metadata()
        if stored is not None and (held is None or stored.fetched_at <= held[0].fetched_at):
            self._entries.forget_metadata()

    def _newest_known(self, now: float) -> KnownMetadata | None:
        held = None if self._held is None else self._held[0]
        both = (known for known in (held, self._entries.metadata()) if known is not None and known.is_usable(now))
        # A seal keeps others' entries out; the issuer in it is looked at all the same.
        own = (known for known in both if known.metadata.issuer == self._issuer)
        return max(own, key=lambda known: known.fetched_at, default=None)

    def _hold(self, known: KnownMetadata) -> ClientSettings:
        """Return the settings with *known* in them, and keep both, once it is sure that they go together."""
        warnings = check_supported(self._settings, known.metadata, self._redactor)
        settings = resolved(self._settings, known.metadata)
        self._check_endpoint(settings.token_endpoint, "token_endpoint")
        if name := parameter_in_url(settings):
            raise SettingsError(
                f"token_endpoint in the metadata of {self._issuer} has {name[:60]} in its query, and the request has "
                "it, too: leave it out of the connection."
            )
        if self._settings.revocation_endpoint is None and settings.revocation_endpoint is not None:
            try:
                self._check_endpoint(settings.revocation_endpoint, "revocation_endpoint")
            except SettingsError as error:
                # Nobody has to revoke a token to use one.
                warnings.append(f"{error} Tokens cannot be revoked.")
                settings = replace(settings, revocation_endpoint=None)
        for warning in warnings:
            log.warning("%s", warning)
        self._held = known, settings
        return settings

    def _check_endpoint(self, url: str, member: str) -> None:
        """Raise unless the client's credentials may go to *url*."""
        field = f"{member} in the metadata of {self._issuer}"
        if not _URI.fullmatch(url):
            raise SettingsError(f"{field} is no URI: it has other characters than those of RFC 3986, or too many.")
        origin = origin_of_setting(url, field, "Turn discover off, or ask those who run that server.")
        if "#" in url:
            raise SettingsError(f"{field} has a fragment (#…), which RFC 6749 §3.2 forbids.")
        if origin.is_plain_http_elsewhere and not self._settings.transport.allow_http:
            raise SettingsError(f"{field} is plain http, which everybody on the way can read: {origin}.")
        if origin.scheme == "http" and self._settings.transport.client_certificate is not None:
            raise SettingsError(f"{field} is http, and the client's certificate is for the TLS handshake: {origin}.")
        refuse_unlisted(origin, field, "allowed_token_endpoints", self._allowed_origins)
        if self._allowed_origins:
            refuse_unguarded_way(self._settings.transport, "allowed_token_endpoints", (origin.host,))
        issuer = origin_of_setting(self._issuer, "Token URL (the issuer)", "")
        if not self._allowed_origins and means_this_machine(origin.host) and not means_this_machine(issuer.host):
            raise SettingsError(
                f"{field} is on this machine ({origin}), and the issuer is not. Those who run this Airflow can name "
                "both in [oauth2] allowed_token_endpoints."
            )

    def _fetch(self, deadline_s: float) -> KnownMetadata:
        ends_at = time.monotonic() + deadline_s
        problems: list[OAuth2Error] = []
        for url in well_known_urls(self._issuer):
            try:
                return self._ask(url, max(0.1, ends_at - time.monotonic()))
            except (ServerMetadataError, TokenResponseError, TokenEndpointUnavailableError) as problem:
                if problem.status_code is None or problem.status_code in THROTTLING_STATUSES:
                    raise
                # Some servers are out of order where they have nothing, and well at the second place.
                problems.append(problem)
        # What cannot be read may be readable another time.
        telling = next((p for p in problems if isinstance(p, TransientError)), problems[0])
        said = " ".join(map(str, problems))
        facts: dict[str, Any] = {"status_code": telling.status_code, "retry_after_s": telling.retry_after_s}
        raise type(telling)(f"{said} {_ADVICE}", **facts)

    def _ask(self, url: str, deadline_s: float) -> KnownMetadata:
        exchange = Exchange(
            self._settings.transport,
            self._redactor,
            name=f"The server metadata {url}",
            field="Token URL, which holds the issuer",
            deadline_s=deadline_s,
        )
        # Without credentials (RFC 8414 §3.1); a client certificate is shown where the server asks for one.
        request = TokenRequest(url, {"Accept": "application/json"}, b"", method="GET")
        status, headers, body = exchange.send(request)
        now = time.time()
        metadata = parse_metadata(
            self._issuer, self._redactor, url=url, status=status, headers=headers, body=body, now=now
        )
        log.info("Got the metadata of the authorization server from %s.", url)
        return KnownMetadata.fetched(metadata, headers, now)
