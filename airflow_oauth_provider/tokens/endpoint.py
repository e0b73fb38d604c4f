"""The token endpoint, asked on behalf of one client: what is repeated, measured and said."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from airflow_oauth_provider.exceptions import OAuth2Error, PermanentError, TokenEndpointUnavailableError
from airflow_oauth_provider.oauth2.token_response import narrower_scope
from airflow_oauth_provider.retry import THROTTLING_STATUSES, TOKEN_REQUEST_POLICY, RetryPolicy
from airflow_oauth_provider.telemetry import Telemetry, annotate
from airflow_oauth_provider.tokens.authorization_server import AuthorizationServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_oauth_provider.oauth2.settings import ClientSettings
    from airflow_oauth_provider.oauth2.token import AccessToken
    from airflow_oauth_provider.tokens.discovery import Discovery

log = logging.getLogger(__name__)


class TokenEndpoint:
    """
    A token endpoint, asked on behalf of one client.

    :param policy: for :meth:`fetch`; a whole fetch ends within ``policy.total_s``
    :param discovery: names the endpoints where the connection names the issuer alone
    :param on_request: called after each token request
    :param vouched_for: whom the platform's assertion has to name
    """

    def __init__(
        self,
        settings: ClientSettings,
        policy: RetryPolicy = TOKEN_REQUEST_POLICY,
        *,
        discovery: Discovery | None = None,
        telemetry: Telemetry | None = None,
        on_request: Callable[[], object] = lambda: None,
        vouched_for: str = "",
    ) -> None:
        self._settings = settings
        self._policy = policy
        self._telemetry = telemetry or Telemetry()
        self._on_request = on_request
        self._server = AuthorizationServer(settings, discovery, vouched_for)

    def fetch(self) -> AccessToken:
        """
        Return a new token; connection errors, timeouts, 429 and 5xx are tried again.

        :raises OAuth2Error: see :func:`~airflow_oauth_provider.oauth2.token_response.parse_token_response`, and
            :class:`CertificateError` when the server's certificate is not to be trusted
        """
        ends_at = time.monotonic() + self._policy.total_s
        retrying = self._policy.retrying(log, retry_if=_may_pass)
        return retrying(lambda: self.fetch_once(max(1.0, ends_at - time.monotonic())))

    def fetch_once(self, within_s: float) -> AccessToken:
        """Return a new token by one request, which ends within *within_s* seconds or the connection's timeouts."""
        settings = self._settings
        began = time.monotonic()
        token = self._measured(lambda noted: self._server.ask_token(self._deadline_s(within_s), noted))
        log.info("Got a token from %s in %.2f s: %r", settings.shown_endpoint, time.monotonic() - began, token)
        if missing := narrower_scope(settings, token):
            log.warning("The server granted a narrower scope than asked for: without %s.", missing)
        return token

    def revoke(self, token: AccessToken, within_s: float) -> None:
        """
        End *token* at the authorization server (RFC 7009).

        :raises SettingsError: nothing names a revocation endpoint
        :raises OAuth2Error: the server does not do it
        """
        self._server.revoke(token, self._deadline_s(within_s))

    def forget_metadata(self) -> None:
        """Forget where the server's endpoints are, if it was the server who said so."""
        self._server.forget_metadata()

    def _deadline_s(self, within_s: float) -> float:
        return min(within_s, sum(self._settings.transport.timeout_s))

    def _measured(self, ask: Callable[[Callable[[], object]], AccessToken]) -> AccessToken:
        requests = 0

        def noted() -> None:
            nonlocal requests
            requests += 1
            self._on_request()

        # What is broken off, by the task's time-out for one, has no other end.
        began, outcome = time.monotonic(), "unavailable"
        try:
            token = self._traced(lambda: ask(noted))
            outcome = "granted"
            return token
        except OAuth2Error as error:
            if isinstance(error, PermanentError):
                outcome = "refused"
            if error.status_code in THROTTLING_STATUSES:
                outcome = "throttled"
            raise
        finally:
            # None was made where the server's metadata could not be had.
            for number in range(requests):
                self._telemetry.count("token_requests", outcome=outcome if number == 0 else "repeated")
            if requests:
                self._telemetry.time("token_request_duration", time.monotonic() - began, outcome=outcome)

    def _traced(self, ask: Callable[[], AccessToken]) -> AccessToken:
        attributes = {"http.request.method": "POST", "url.full": self._settings.shown_endpoint}
        with self._telemetry.span("oauth2.token_request", attributes) as span:
            try:
                return ask()
            except OAuth2Error as error:
                annotate(span, {"http.response.status_code": error.status_code})
                raise


def _may_pass(error: BaseException) -> bool:
    """Return whether it is tried again: connection errors, timeouts, 429 and 5xx are, other answers are not."""
    status = getattr(error, "status_code", None)
    if not isinstance(error, TokenEndpointUnavailableError):
        return False
    return status is None or status == 429 or status >= 500
