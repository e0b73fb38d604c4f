"""Sends token requests (requests): no redirects, a capped body, and a deadline that a slow drip cannot stretch."""

from __future__ import annotations

import logging
import sys
import time
from functools import cached_property
from typing import TYPE_CHECKING

import requests
import urllib3

from airflow_oauth_provider import __version__
from airflow_oauth_provider.exceptions import (
    CertificateError,
    OAuth2Error,
    SettingsError,
    TokenEndpointUnavailableError,
    TokenResponseError,
)
from airflow_oauth_provider.masking import Redactor, mask_in_airflow
from airflow_oauth_provider.network import (
    certificate_problem,
    describe,
    misconfiguration,
    proxies_for,
)
from airflow_oauth_provider.oauth2.client_auth import basic_credentials
from airflow_oauth_provider.oauth2.token_request import TokenRequest, build_token_request
from airflow_oauth_provider.oauth2.token_response import narrower_scope, parse_token_response
from airflow_oauth_provider.retry import TOKEN_REQUEST_POLICY, RetryPolicy
from airflow_oauth_provider.tokens.bounded import bounded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_oauth_provider.oauth2.settings import ClientSettings
    from airflow_oauth_provider.oauth2.token import AccessToken

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 2**20
# Small, because a compressed chunk may swell a thousandfold before it can be counted.
_CHUNK_BYTES = 2**13
# The deadline ends an exchange by itself, with a better word for it, unless it has not got as far as a socket.
_GRACE_S = 0.5


class TokenEndpoint:
    """
    A token endpoint, asked on behalf of one client.

    :param policy: for :meth:`fetch`; a whole fetch ends within ``policy.total_s``
    """

    def __init__(self, settings: ClientSettings, policy: RetryPolicy = TOKEN_REQUEST_POLICY) -> None:
        self._settings = settings
        self._policy = policy

    @cached_property
    def _redactor(self) -> Redactor:
        return Redactor((*self._settings.secrets(), basic_credentials(self._settings)))

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
        # Before the first byte goes out: requests and urllib3 log at debug level.
        mask_in_airflow((*settings.secrets(), basic_credentials(settings)))
        deadline_s = min(within_s, sum(settings.transport.timeout_s))
        # The life of a token begins before its answer arrives.
        sent_at, began = time.time(), time.monotonic()
        status, headers, body = self._exchange(build_token_request(settings), deadline_s)
        token = parse_token_response(settings, self._redactor, status=status, headers=headers, body=body, now=sent_at)
        log.info("Got a token from %s in %.2f s: %r", settings.shown_endpoint, time.monotonic() - began, token)
        if missing := narrower_scope(settings, token):
            log.warning("The server granted a narrower scope than asked for: without %s.", missing)
        return token

    def _exchange(self, request: TokenRequest, deadline_s: float) -> tuple[int, Mapping[str, str], bytes]:
        try:
            # Name resolution and a name with many addresses know no deadline of their own.
            outcome = bounded(lambda: self._outcome(request, deadline_s), deadline_s + _GRACE_S)
        except TimeoutError:
            outcome = self._too_slow(deadline_s)
        except RuntimeError:  # no thread can be started: then without this bound
            outcome = self._outcome(request, deadline_s)
        if isinstance(outcome, OAuth2Error):
            raise outcome
        return outcome

    def _outcome(self, request: TokenRequest, deadline_s: float) -> tuple[int, Mapping[str, str], bytes] | OAuth2Error:
        """Return the answer, or the error: not raised where requests' own one, which holds credentials, is handled."""
        # Imported late: only a process that fetches a token pays for it.
        from airflow_oauth_provider.tokens.deadline import DeadlineAdapter

        transport, url, ambient = self._settings.transport, request.url, sys.exc_info()[1]
        with DeadlineAdapter(deadline_s) as adapter, requests.Session() as session:
            # Neither .netrc nor REQUESTS_CA_BUNDLE; the environment's proxies are looked up below.
            session.trust_env = False
            session.mount("https://", adapter)
            session.mount("http://", adapter)
            try:
                response = session.post(
                    url,
                    data=request.body,
                    headers={
                        **request.headers,
                        "Accept-Encoding": "identity",
                        "User-Agent": f"airflow-oauth-provider/{__version__}",
                    },
                    timeout=transport.timeout_s,
                    verify=transport.verify,
                    proxies=proxies_for(url, transport),
                    allow_redirects=False,
                    stream=True,
                )
                body = self._capped_body(response)
            except OAuth2Error as error:
                return error
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                return self._too_slow(deadline_s) if adapter.passed else self._problem(error, ambient)
            if adapter.passed:  # a body without a length ends in silence when it is cut
                return self._too_slow(deadline_s)
            return response.status_code, response.headers, body

    def _capped_body(self, response: requests.Response) -> bytes:
        body = bytearray()
        with response:
            if "," in response.headers.get("Content-Encoding", ""):
                raise TokenResponseError(
                    f"The token endpoint {self._settings.shown_endpoint} compressed its answer more than once. "
                    "Check Token URL.",
                    status_code=response.status_code,
                )
            for chunk in response.iter_content(_CHUNK_BYTES):
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise TokenResponseError(
                        f"The token endpoint {self._settings.shown_endpoint} answered with more than "
                        f"{MAX_BODY_BYTES // 2**20} MiB. Check Token URL.",
                        status_code=response.status_code,
                    )
        return bytes(body)

    def _problem(self, error: Exception, ambient: BaseException | None) -> OAuth2Error:
        where = f"The token endpoint {self._settings.shown_endpoint}"
        if why := certificate_problem(error, ambient):
            return CertificateError(
                f"{where} has a certificate that is not to be trusted: {why}. "
                "Check Token URL, or name the CA bundle in verify of the connection."
            )
        if why := misconfiguration(error, ambient):
            return SettingsError(f"{where} could not be asked: {why}.")
        return TokenEndpointUnavailableError(f"{where} could not be asked: {self._redactor(describe(error, ambient))}.")

    def _too_slow(self, deadline_s: float) -> OAuth2Error:
        return TokenEndpointUnavailableError(
            f"The token endpoint {self._settings.shown_endpoint} did not finish its answer within {deadline_s:.0f} s."
        )


def _may_pass(error: BaseException) -> bool:
    """Return whether it is tried again: connection errors, timeouts, 429 and 5xx are, other answers are not."""
    status = getattr(error, "status_code", None)
    if not isinstance(error, TokenEndpointUnavailableError):
        return False
    return status is None or status == 429 or status >= 500
