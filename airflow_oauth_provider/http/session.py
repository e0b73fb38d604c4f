"""A requests session that knows an API: base URL, token, timeouts, TLS, where the token may go, and what to repeat."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import requests

from airflow_oauth_provider import __version__
from airflow_oauth_provider.exceptions import ApiRefusedError, OAuth2Error, OriginError, SettingsError
from airflow_oauth_provider.http import received
from airflow_oauth_provider.http.answers import error_of
from airflow_oauth_provider.http.auth import OAuth2Auth, read_shortly, rewind_body
from airflow_oauth_provider.http.base import ABSOLUTE, ApiBase
from airflow_oauth_provider.http.body import Body, files_of
from airflow_oauth_provider.http.call import IDEMPOTENT_METHODS, Answer, ApiCall
from airflow_oauth_provider.http.origin import Origin
from airflow_oauth_provider.http.pool import KeepAlive, shared_adapter
from airflow_oauth_provider.masking import Redactor
from airflow_oauth_provider.network import is_loopback, proxies_for
from airflow_oauth_provider.oauth2.settings import without_query
from airflow_oauth_provider.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_oauth_provider.http.pace import Pace
    from airflow_oauth_provider.http.settings import ApiSettings
    from airflow_oauth_provider.tokens.source import TokenSource

MAX_REDIRECTS = 5

_REDIRECT = "_oauth2_redirect"
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
_POSITIONAL = (
    *("params", "data", "headers", "cookies", "files", "auth", "timeout", "allow_redirects", "proxies"),
    *("hooks", "stream", "verify", "cert", "json"),
)


@dataclass(frozen=True)
class _Redirect:
    """
    What led to a request: on the prepared request, since requests passes nothing else on.

    :param lost: what it would not do any more that was asked for
    """

    origin: str
    status: int
    body_spent: bool
    lost: str | None


class _Sending(threading.local):
    """
    What the attempt that this thread makes is about.

    :ivar wants_page: it asks for an answer to just what it sends
    :ivar follows: redirects
    :ivar acted: a redirect has made a GET of it, so that what was asked for may be done
    """

    wants_page = False
    follows = True
    acted = False


class _LookedUp(dict[str, str]):
    """Proxies that nobody chose for this call: a redirect to another server looks up its own."""


class ApiSession(requests.Session):
    """
    A session for one API.

    ``get``, ``post`` … take a path below the base URL or an absolute URL and return any answer, as a plain session's
    do; :meth:`call` also checks it. Both repeat what may be repeated and raise this package's errors only.

    :param settings: the API
    :param source: its tokens
    :param secrets: what errors must not show, besides the API's own secrets and tokens
    :param telemetry: of the connection
    """

    auth: OAuth2Auth

    def __init__(
        self,
        settings: ApiSettings,
        source: TokenSource,
        *,
        secrets: tuple[str, ...] = (),
        keep_alive: KeepAlive | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        super().__init__()
        self.telemetry = telemetry or Telemetry()
        self._settings = settings
        self._secrets = (*secrets, *settings.secrets())
        self._base = ApiBase(settings, source)
        self._proxies: dict[str, _LookedUp] = {}
        self._sending = _Sending()
        self.auth = OAuth2Auth(source, self._base, self.telemetry)
        self.headers.update({"Accept": "application/json", "User-Agent": f"airflow-oauth-provider/{__version__}"})
        self.headers.update(dict((*settings.headers, *settings.secret_headers)))
        # Neither .netrc nor REQUESTS_CA_BUNDLE; proxies of the environment are looked up once for each server.
        self.trust_env = False
        self.verify = settings.transport.verify
        self.max_redirects = MAX_REDIRECTS
        adapter = shared_adapter(keep_alive or KeepAlive(), settings.transport.client_certificate)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def url_for(self, endpoint: str | None) -> str:
        """Return *endpoint* below the base URL, joined by exactly one slash; an absolute URL as it is."""
        return self._base.url_for(endpoint)

    def describe(self, endpoint: str | None) -> str:
        """Return the URL of *endpoint* as messages show it; where a token names the base URL, without that."""
        return without_query(self._base.describe(endpoint))

    def call(
        self,
        method: str,
        endpoint: str | None = None,
        *,
        check: bool = True,
        idempotent: bool | None = None,
        retry_args: Mapping[str, Any] | None = None,
        receive: Callable[[requests.Response], None] | None = None,
        pace: Pace | None = None,
        **kwargs: Any,
    ) -> Answer:
        """
        Send a request, repeat it where that is safe, and check the answer.

        :param check: raise for status 400 and above
        :param idempotent: sending it twice does no harm; by default what RFC 9110 says of the method
        :param retry_args: for ``tenacity.Retrying``, in place of this package's policy
        :param receive: called with an answer below 400 as a part of the attempt, which fails with what requests would
            raise while it reads the body
        :param pace: what this call shares with others
        :param kwargs: as ``requests.Session.request`` takes them, without ``auth``
        :raises OAuth2Error: see :mod:`airflow_oauth_provider.exceptions`
        """
        method = _checked_method(method)
        if endpoint and ABSOLUTE.match(endpoint):
            # As written, before anything tidies it up: what two parsers may read in two ways goes nowhere. Letters
            # beyond ASCII have no A-labels yet; what stands around them counts.
            Origin.of(_BEYOND_ASCII.sub("_", endpoint.partition("?")[0]))
        _refuse_credentials(kwargs)
        kwargs["files"] = files_of(kwargs.get("files"))

        streams = self.stream if kwargs.get("stream") is None else kwargs["stream"]
        kwargs["stream"] = True

        def send() -> requests.Response:
            self._sending.wants_page, self._sending.acted = receive is not None, False
            self._sending.follows = kwargs.get("allow_redirects") is not False
            # Anew for each attempt: the next token may name another base URL.
            response = super(ApiSession, self).request(method, self.url_for(endpoint), **kwargs)
            if receive is not None and response.status_code < 400:
                receive(response)
            elif not streams and not (check and response.status_code >= 400):
                # Of an error that is to be raised, what it shows is read.
                received.receive(response)
            return response

        return ApiCall(
            send,
            self._error_of,
            what=f"{method} {self.describe(endpoint)}",
            body=Body(kwargs.get("data"), kwargs["files"]),
            redactor=self.redactor,
            check=check,
            idempotent=method in IDEMPOTENT_METHODS if idempotent is None else idempotent,
            pace=pace,
            telemetry=self.telemetry,
            acted=lambda: self._sending.acted,
        ).run(retry_args)

    # What requests calls ---------------------------------------------------------------------------------------------

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        """Do as ``requests.Session.request`` does, and repeat where that is safe; the answer is not checked."""
        kwargs.update(zip(_POSITIONAL, args, strict=False))
        verb, target = (text.decode() if isinstance(text, bytes) else text for text in (method, url))
        return self.call(verb, target, check=False, **kwargs).response

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """
        Send a prepared request, the next one of a redirect included.

        :raises OriginError: it would take the token where that may not go; nothing was sent
        """
        url = request.url or ""
        redirect: _Redirect | None = getattr(request, _REDIRECT, None)
        try:
            self._base.check(url, self.auth.token_in(request))
        except OriginError as error:
            if redirect is None:
                raise
            raise OriginError(f"{redirect.origin} redirects, which was not followed. {error}") from None
        if redirect is not None and redirect.lost:
            raise ApiRefusedError(
                f"{redirect.origin} redirects with {redirect.status}, which was not followed: {redirect.lost} would be "
                f"lost. Call {self.redactor().server_text(without_query(url), 200)} itself."
            )
        if redirect is not None and redirect.body_spent:
            raise ApiRefusedError(
                f"{redirect.origin} redirects, which was not followed: the body can be read only once. "
                "Pass bytes or a file."
            )
        self.auth.prove_anew(request)
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self._settings.transport.timeout_s
        kwargs["proxies"] = self._proxies_for(url, kwargs.get("proxies"))
        return super().send(request, **kwargs)

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Leave the token in a redirected request: :meth:`send` lets it go to allowed origins alone."""
        status, before = response.status_code, response.request
        keeps_body = status in (307, 308)
        spent = keeps_body and not rewind_body(prepared_request)
        becomes_get = before.method != prepared_request.method
        self._sending.acted |= becomes_get
        # RFC 9110 §15.4: 303 leads to what tells of the outcome, and 301 and 302 may do so behind a POST alone.
        lost = None
        if status in (301, 302) and (before.method != "POST" or self._sending.wants_page):
            if becomes_get:
                lost = f"the method {before.method}"
            elif before.body is not None:
                lost = "the body"
        setattr(prepared_request, _REDIRECT, _Redirect(str(Origin.of(response.url)), status, spent, lost))

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return where *resp* redirects to; its own body is of no use, and may have no end."""
        try:
            target = super().get_redirect_target(resp)
            urlsplit(urljoin(resp.url, target or ""))
        except ValueError:
            is_url = False
        else:
            is_url = True
        if not is_url:
            resp.close()
            raise ApiRefusedError(f"{Origin.of(resp.url)} redirects with {resp.status_code} to what is no URL.")
        if target and self._sending.follows:
            read_shortly(resp)
        return target

    def rebuild_proxies(self, prepared_request: requests.PreparedRequest, proxies: Any) -> Any:  # noqa: ARG002
        """Leave it to :meth:`send`, which looks up the way to each server."""
        return proxies

    def merge_environment_settings(  # type: ignore[override]
        self,
        url: str,  # noqa: ARG002
        proxies: Any,
        stream: Any,
        verify: Any,
        cert: Any,
    ) -> dict[str, Any]:
        """Take what the caller or the connection says; nothing of the environment."""
        return {
            "proxies": proxies,
            "stream": self.stream if stream is None else stream,
            "verify": self.verify if verify is None else verify,
            "cert": self.cert if cert is None else cert,
        }

    def close(self) -> None:
        """Keep the connections: they belong to the process."""

    # -----------------------------------------------------------------------------------------------------------------

    def _proxies_for(self, url: str, explicit: dict[str, str] | None) -> dict[str, str]:
        """Loopback is never reached by a proxy; the caller's proxies beat the connection's, those the environment's."""
        server = url[: url.find("/", url.find("://") + 3)]
        proxies = self._proxies.get(server)
        if proxies is None:
            proxies = self._proxies[server] = _LookedUp(proxies_for(url, self._settings.transport))
        looked_up = isinstance(explicit, _LookedUp)
        return explicit if explicit and not looked_up and not is_loopback(Origin.of(url).host) else proxies

    def redactor(self, answer: requests.Response | None = None) -> Redactor:
        """Return what hides in a text the secrets of this session, and what it sent, for *answer* above all."""
        return Redactor((*self._secrets, *self.auth.sent_tokens(), *self.auth.sent_proofs(answer)))

    def _error_of(self, response: requests.Response) -> OAuth2Error:
        token = self.auth.token_in(response.request)
        wait_s = self.auth.source.renewable_in_s(token) if token and response.status_code == 401 else 0.0
        spent = not rewind_body(response.request)
        return error_of(response, self.redactor(response), renewable_in_s=wait_s, body_spent=spent)


def _checked_method(method: str) -> str:
    if not isinstance(method, str) or not _METHOD.fullmatch(method.strip()):
        raise SettingsError(f"method: {str(method)[:30]!r} is not an HTTP method.")
    return method.strip().upper()


def _refuse_credentials(kwargs: Mapping[str, Any]) -> None:
    """Raise when the caller brings credentials: the connection authorizes, in one way only (RFC 6750 §2)."""
    if kwargs.get("auth") is not None:
        raise SettingsError("auth cannot be given: the connection's token authorizes the call.")
    headers = kwargs.get("headers") or {}
    if not isinstance(headers, Mapping):
        raise SettingsError(f"headers is a {type(headers).__name__}, not a mapping of names to values.")
    for name in headers:
        if str(name).strip().lower() in {"authorization", "proxy-authorization", "dpop"}:
            raise SettingsError(f"The header {name} cannot be given: the connection's token authorizes the call.")
