"""One call to an API: its attempts, and what each of them came to."""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import requests
import urllib3

from airflow_oauth_provider.exceptions import (
    ApiRefusedError,
    ApiUnavailableError,
    CertificateError,
    OAuth2Error,
    OriginError,
    SettingsError,
)
from airflow_oauth_provider.http.answers import wants_another_nonce
from airflow_oauth_provider.network import certificate_problem, describe, misconfiguration, never_connected
from airflow_oauth_provider.retry import (
    API_CALL_POLICY,
    RETRIED_STATUSES,
    UNPROCESSED_STATUSES,
    retry_after_s,
    retrying_as_told,
)
from airflow_oauth_provider.telemetry import annotate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_oauth_provider.http.body import Body
    from airflow_oauth_provider.http.pace import Pace
    from airflow_oauth_provider.masking import Redactor
    from airflow_oauth_provider.telemetry import Telemetry

log = logging.getLogger(__name__)

# Of a method and a URL.
_SHOWN_CHARACTERS = 300

# RFC 9110 §9.2.2; a POST or a PATCH sent twice may order twice.
IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})

# What requests and the standard library raise when a call, or the URL of a redirect, cannot be built.
_BAD_CALLS = (ValueError, TypeError, AttributeError)
_BAD_REQUESTS = (
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidHeader,
    requests.exceptions.InvalidJSONError,
    requests.exceptions.UnrewindableBodyError,
    *_BAD_CALLS,
)


@dataclass(frozen=True)
class Answer:
    """
    What a call brought.

    :param attempts: how often it was tried, the last time included; renewals and redirects do not count
    :param elapsed_s: seconds from the first attempt to the last answer, pauses included
    """

    response: requests.Response
    attempts: int
    elapsed_s: float


class ApiCall:
    """
    A call under way.

    :param send: sends it once, and raises what requests raises
    :param error_of: turns an answer of status 400 and above into the error that it means
    :param what: method and URL, for messages
    :param check: raise for status 400 and above
    :param idempotent: sending it twice does no harm
    :param pace: what it shares with other calls
    :param telemetry: of the connection
    :param acted: whether a redirect shows that what was asked for may be done, whatever the last answer says
    """

    def __init__(
        self,
        send: Callable[[], requests.Response],
        error_of: Callable[[requests.Response], OAuth2Error],
        *,
        what: str,
        body: Body,
        redactor: Callable[[], Redactor],
        check: bool,
        idempotent: bool,
        pace: Pace | None = None,
        telemetry: Telemetry,
        acted: Callable[[], bool] = lambda: False,
    ) -> None:
        self._send = send
        self._error_of = error_of
        self._what = what
        self._body = body
        self._redactor = redactor
        self._check = check
        self._idempotent = idempotent
        self._pace = pace
        self._telemetry = telemetry
        self._acted = acted
        self._attempts = 0
        self._repeatable = False
        self._refusal: requests.Response | None = None
        self._status: int | None = None

    def run(self, retry_args: Mapping[str, Any] | None) -> Answer:
        """
        Send until there is an answer, or no reason to go on.

        :param retry_args: for ``tenacity.Retrying``, in place of this package's policy
        :raises OAuth2Error: the error of the last attempt
        """
        began = time.monotonic()
        with self._telemetry.span("oauth2.api_call") as span:
            try:
                response = self._repeated(retry_args)
            except OAuth2Error:
                if self._check or self._refusal is None:
                    raise
                response = self._refusal
            finally:
                # Not before: what is masked in the URL is known when the token was sent.
                if span is not None:  # masking has its price
                    annotate(span, self._span_attributes())
        return Answer(response, self._attempts, time.monotonic() - began)

    def _repeated(self, retry_args: Mapping[str, Any] | None) -> requests.Response:
        shared: dict[str, Any] = {"on_pause": self._pauses}
        if self._pace is not None:
            shared["sleep"] = self._pace.sleep
        if retry_args and self._body.repeatable:
            return retrying_as_told(log, retry_args, **shared)(self._attempt)
        failed: list[OAuth2Error] = []
        began = time.monotonic()
        try:
            # What goes well at once, as nearly all does, need not pay for tenacity.
            return self._attempt()
        except OAuth2Error as error:
            failed.append(error)

        def attempt() -> requests.Response:
            if failed:
                raise failed.pop()
            return self._attempt()

        policy = replace(API_CALL_POLICY, total_s=API_CALL_POLICY.total_s - (time.monotonic() - began))
        return policy.retrying(log, retry_if=lambda _: self._repeatable, **shared)(attempt)

    def _pauses(self, error: BaseException | None, seconds: float) -> None:
        self._telemetry.count("api_retries")
        self._telemetry.time("api_retry_wait", seconds)
        if self._pace is not None:
            self._pace.paused(error, seconds)

    def _attempt(self) -> requests.Response:
        if self._pace is not None:
            self._pace.wait()
        self._attempts += 1
        if self._refusal is not None:
            self._refusal.close()
        self._repeatable, self._refusal, self._status = False, None, None
        if self._attempts > 1:
            self._body.rewind()
        outcome = self._outcome()
        if isinstance(outcome, requests.Response):
            return outcome
        if self._repeatable and not self._body.repeatable:
            self._repeatable = False
            log.warning("%s is not repeated: its body can be read only once. Pass bytes or a file.", self._shown())
        raise outcome

    def _outcome(self) -> requests.Response | OAuth2Error:
        """Return the answer or the error: not raised where requests' own one, which holds the token, is handled."""
        ambient = sys.exc_info()[1]
        try:
            response = self._send()
        except OriginError as error:
            return OriginError(self._redactor()(str(error)))
        except requests.TooManyRedirects:
            return ApiRefusedError(f"{self._shown()} was redirected too often.")
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, *_BAD_CALLS) as error:
            return self._failure(error, ambient)
        status = self._status = response.status_code
        if status < 400 or not (self._check or status in RETRIED_STATUSES):
            return response
        # Where each answer brings another nonce, other threads may have used up the one that was sent.
        undone = status in UNPROCESSED_STATUSES or wants_another_nonce(response)
        may_be_repeated = self._idempotent or (undone and not self._acted())
        self._repeatable = may_be_repeated and (undone or status in RETRIED_STATUSES)
        if not self._check:
            # The caller gets the answer itself, its body unread.
            self._refusal = response
            pause_s = retry_after_s(response.headers)
            return ApiUnavailableError(f"{self._shown()} answered {status}.", status_code=status, retry_after_s=pause_s)
        with response:
            return self._error_of(response)

    def _failure(self, error: Exception, ambient: BaseException | None) -> OAuth2Error:
        if why := certificate_problem(error, ambient):
            return CertificateError(
                f"{self._shown()}: the server's certificate is not to be trusted: {why}. "
                "Check the URL, or name the CA bundle in verify of the connection."
            )
        if why := misconfiguration(error, ambient):
            return SettingsError(f"{self._shown()} cannot be sent: {why}.")
        if isinstance(error, requests.exceptions.InvalidHeader) and error.request is not None:
            self._repeatable = self._idempotent
            return ApiUnavailableError(f"{self._shown()} failed: the headers of the answer contradict each other.")
        if isinstance(error, _BAD_REQUESTS):
            return SettingsError(f"{self._shown()} cannot be sent: {self._redactor().server_text(str(error))}")
        # What requests raises while it reads a body has no request: that answer is counted already.
        if getattr(error, "request", None) is not None:
            self._telemetry.count("api_requests", status="none")
        self._repeatable = self._idempotent or (never_connected(error, ambient) and not self._acted())
        return ApiUnavailableError(f"{self._shown()} failed: {self._redactor()(describe(error, ambient))}.")

    def _span_attributes(self) -> dict[str, str | int | None]:
        method, _, url = self._shown().partition(" ")
        return {
            "http.request.method": method,
            "url.full": url,
            "airflow.oauth2.attempts": self._attempts,
            "http.response.status_code": self._status,
        }

    def _shown(self) -> str:
        return self._redactor().server_text(self._what, _SHOWN_CHARACTERS)
