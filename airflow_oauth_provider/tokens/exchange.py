"""Sends one request to an authorization server: no redirects, a capped body, a deadline that no drip can stretch."""

from __future__ import annotations

import sys
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
from airflow_oauth_provider.network import certificate_problem, describe, misconfiguration, proxies_for
from airflow_oauth_provider.tokens.bounded import bounded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_oauth_provider.masking import Redactor
    from airflow_oauth_provider.oauth2.settings import Transport
    from airflow_oauth_provider.oauth2.token_request import TokenRequest

MAX_BODY_BYTES = 2**20
# Small, because a compressed chunk may swell a thousandfold before it can be counted.
_CHUNK_BYTES = 2**13
# The deadline ends an exchange by itself, with a better word for it, unless it has not got as far as a socket.
_GRACE_S = 0.5


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Find none: requests would read all of the body for it, and raise for an odd one."""


class Exchange:
    """
    A request and its answer.

    :param name: of the endpoint, as the subject of a sentence
    :param field: of the connection, which names the endpoint
    :param deadline_s: for all of it, in seconds
    """

    def __init__(self, transport: Transport, redactor: Redactor, *, name: str, field: str, deadline_s: float) -> None:
        self.name = name
        self._transport = transport
        self._redactor = redactor
        self._field = field
        self._deadline_s = deadline_s

    def send(self, request: TokenRequest) -> tuple[int, Mapping[str, str], bytes]:
        """
        Send *request*; return status, headers and body of the answer.

        :raises OAuth2Error: there is none
        """
        try:
            # Name resolution and a name with many addresses know no deadline of their own.
            outcome = bounded(lambda: self._outcome(request), self._deadline_s + _GRACE_S)
        except TimeoutError:
            outcome = self._too_slow()
        except RuntimeError:  # no thread can be started: then without this bound
            outcome = self._outcome(request)
        if isinstance(outcome, OAuth2Error):
            raise outcome
        return outcome

    def _outcome(self, request: TokenRequest) -> tuple[int, Mapping[str, str], bytes] | OAuth2Error:
        """Return the answer, or the error: not raised where requests' own one, which holds credentials, is handled."""
        # Imported late: only a process that fetches a token pays for it.
        from airflow_oauth_provider.tokens.deadline import DeadlineAdapter

        transport, url, ambient = self._transport, request.url, sys.exc_info()[1]
        adapter = DeadlineAdapter(self._deadline_s, transport.client_certificate)
        with adapter, _Session() as session:
            # Neither .netrc nor REQUESTS_CA_BUNDLE; the environment's proxies are looked up below.
            session.trust_env = False
            session.mount("https://", adapter)
            session.mount("http://", adapter)
            try:
                response = session.request(
                    request.method,
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
                return self._too_slow() if adapter.passed else self._problem(error, ambient)
            if adapter.passed:  # a body without a length ends in silence when it is cut
                return self._too_slow()
            return response.status_code, response.headers, body

    def _capped_body(self, response: requests.Response) -> bytes:
        body = bytearray()
        with response:
            if "," in response.headers.get("Content-Encoding", ""):
                raise TokenResponseError(
                    f"{self.name} compressed its answer more than once. Check {self._field}.",
                    status_code=response.status_code,
                )
            for chunk in response.iter_content(_CHUNK_BYTES):
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise TokenResponseError(
                        f"{self.name} answered with more than {MAX_BODY_BYTES // 2**20} MiB. Check {self._field}.",
                        status_code=response.status_code,
                    )
        return bytes(body)

    def _problem(self, error: Exception, ambient: BaseException | None) -> OAuth2Error:
        if why := certificate_problem(error, ambient):
            return CertificateError(
                f"{self.name} has a certificate that is not to be trusted: {why}. "
                f"Check {self._field}, or name the CA bundle in verify of the connection."
            )
        if why := misconfiguration(error, ambient):
            return SettingsError(f"{self.name} could not be asked: {why}.")
        return TokenEndpointUnavailableError(
            f"{self.name} could not be asked: {self._redactor(describe(error, ambient))}."
        )

    def _too_slow(self) -> OAuth2Error:
        return TokenEndpointUnavailableError(f"{self.name} did not finish its answer within {self._deadline_s:.0f} s.")
