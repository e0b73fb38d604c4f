"""The token in a request, and what becomes of the request when the API refuses it."""

from __future__ import annotations

import logging
import time
import uuid
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from requests.auth import AuthBase
from requests.exceptions import RequestException
from requests.sessions import SessionRedirectMixin
from requests.utils import requote_uri
from urllib3.util import parse_url

from airflow_oauth_provider.exceptions import ApiRefusedTokenError, ApiUnavailableError, OAuth2Error, OriginError
from airflow_oauth_provider.http.origin import Origin
from airflow_oauth_provider.oauth2.challenge import asks_for_nonce, refuses_token
from airflow_oauth_provider.oauth2.dpop import nonce_in
from airflow_oauth_provider.telemetry import Telemetry

if TYPE_CHECKING:
    import requests

    from airflow_oauth_provider.http.base import ApiBase
    from airflow_oauth_provider.http.origin import OriginGuard
    from airflow_oauth_provider.oauth2.token import AccessToken
    from airflow_oauth_provider.tokens.source import TokenSource

log = logging.getLogger(__name__)

PROOF = "DPoP"
# On requests that our own session proves each time that it sends them.
_PROVED = "_oauth2_proved"

# More than the tokens that one session can have under way: the present one and those that it replaced.
_MAX_SENT = 8

# Each server may ask for one nonce, and refuse two tokens: the first one may be replaced by another process's, taken
# from the store, and that be refused, too. With the first send that makes four.
_MAX_NONCES = 1
_MAX_REPLACEMENTS = 2

# Of the body of a 401.
_FEW_BYTES = 1 << 16


class OAuth2Auth(AuthBase):
    """
    Authorizes requests (RFC 6750 §2.1, RFC 9449 §7.1) of any library that takes a ``requests.auth.AuthBase``.

    :param source: where tokens come from
    :param guard: where they may go
    :param telemetry: counts each answer
    """

    def __init__(self, source: TokenSource, guard: ApiBase | OriginGuard, telemetry: Telemetry | None = None) -> None:
        self.source = source
        self.guard = guard
        self._telemetry = telemetry or Telemetry()
        self._sent: dict[str, AccessToken] = {}
        self._proofs: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "OAuth2Auth()"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """
        Add the token to *request*.

        :raises OriginError: the token may not go there
        :raises OAuth2Error: there is no token
        """
        self.guard.check(request.url or "")
        self.authorize(request, self.source.get())
        request.register_hook("response", _Attempt(self).answered)  # type: ignore[no-untyped-call]
        return request

    def authorize(self, request: requests.PreparedRequest, token: AccessToken, nonce: str | None = None) -> None:
        """
        Put *token* into *request*, with a new proof where it is bound to a key.

        :param nonce: that the server named just now; by default its last one
        """
        self._put(request, token, request.method or "", request.url or "", nonce)

    def authorize_redirect(self, request: requests.PreparedRequest, answer: requests.Response) -> None:
        """
        Put into *request* what belongs into the one to which *answer* redirects: requests makes that of this one.

        A proof goes to no server but one that may have the token, and holds for its own method and URL alone.
        """
        token = self.token_in(answer.request)
        if token is None:
            return
        url = ""
        try:
            method, url = _redirected(answer)
            self.guard.check(url)
        except (OriginError, ValueError):
            request.headers.pop(PROOF, None)
            # Requests says what is wrong with the URL, or takes the token away by itself: but not from http to https.
            if url and not SessionRedirectMixin().should_strip_auth(answer.url, url):  # type: ignore[no-untyped-call]
                request.headers.pop("Authorization", None)
        else:
            self._put(request, token, method, url)
            if token.proof_key is not None:
                # Requests would leave dots in the path, and so send it elsewhere than the proof says.
                answer.headers["Location"] = url

    def prove_anew(self, request: requests.PreparedRequest) -> None:
        """Replace the proof of a prepared request that is sent once more: each is good for one request (§11.1)."""
        token, proof = self.token_in(request), request.headers.get(PROOF)
        # After a redirect it is the one for where that led.
        if token is not None and proof is not None and hasattr(request, _PROVED):
            self.authorize(request, token)
        setattr(request, _PROVED, True)

    def prove_for_another_try(self, request: requests.PreparedRequest, answer: requests.Response) -> None:
        """Replace the proof of a request that failed, and that others than our session may send again as it is."""
        token = self.token_in(request)
        if token is None or token.proof_key is None or hasattr(request, _PROVED):
            return
        if answer.request is request:
            answer.request = request.copy()  # as it was sent
        self.authorize(request, token)

    def _put(
        self, request: requests.PreparedRequest, token: AccessToken, method: str, url: str, nonce: str | None = None
    ) -> None:
        header = request.headers["Authorization"] = f"{token.scheme} {token.value}"
        if header not in self._sent:
            # A new dict each time: threads share it without a lock, which a fork could leave locked.
            self._sent = dict([*self._sent.items(), (header, token)][-_MAX_SENT:])
        request.headers.pop(PROOF, None)
        if token.proof_key is not None:
            proof = request.headers[PROOF] = token.proof_key.proof(
                method,
                url,
                now=time.time(),
                unique_id=str(uuid.uuid4()),
                nonce=nonce or self.source.api_nonces.of(url),
                access_token=token.value,
            )
            self._proofs = (*self._proofs, proof)[-_MAX_SENT:]

    def token_in(self, request: requests.PreparedRequest) -> AccessToken | None:
        """Return the token that *request* carried, None when it carried none of ours."""
        return self._sent.get(str(request.headers.get("Authorization")))

    def sent_tokens(self) -> tuple[str, ...]:
        """Return the values of the tokens that errors must not show."""
        return tuple(token.value for token in self._sent.values())

    def sent_proofs(self, answer: requests.Response | None = None) -> tuple[str, ...]:
        """Return the proofs that errors must not show, those that led to *answer* above all."""
        answers = [] if answer is None else [*answer.history, answer]
        proofs = (old.request.headers.get(PROOF) for old in answers)
        return (*(str(proof) for proof in proofs if proof is not None), *self._proofs)

    def note(self, answer: requests.Response) -> None:
        """Count *answer*, and adopt the nonce that it holds (RFC 9449 §8.2)."""
        self._telemetry.count("api_requests", status=f"{answer.status_code // 100}xx")
        token = self.token_in(answer.request)
        if token is not None and token.proof_key is not None:
            self.source.api_nonces.adopt(answer.request.url or "", answer.headers)


class _Attempt:
    """What the answers to a request lead to, those behind its redirects included."""

    def __init__(self, auth: OAuth2Auth) -> None:
        self._auth = auth
        self._done: Counter[tuple[Origin, str]] = Counter()

    def answered(self, response: requests.Response, **kwargs: Any) -> requests.Response:
        """Answer a 401 that refuses the token, or its proof for want of a nonce; anything else passes."""
        first = response.request
        self._auth.note(response)
        while (token := self._for_another_try(response)) is not None:
            if not rewind_body(response.request):
                log.warning("The call is not sent again with a new token or nonce: its body can be read only once.")
                break
            response = self._send_again(response, token, **kwargs)
            self._auth.note(response)
        if response.is_redirect:
            self._auth.authorize_redirect(first, response)
        else:
            self._done.clear()  # whoever sends a prepared request again makes another attempt
            if response.status_code >= 400:
                self._auth.prove_for_another_try(first, response)
        return response

    def _for_another_try(self, response: requests.Response) -> AccessToken | None:
        token = self._auth.token_in(response.request)
        if response.status_code != 401 or token is None:
            return None
        # A redirect can have led the request elsewhere since it was authorized.
        self._auth.guard.check(response.request.url or "")
        challenge = response.headers.get("WWW-Authenticate")
        if token.proof_key is not None and asks_for_nonce(challenge):
            named = nonce_in(response.headers) is not None
            return token if named and self._may(response, "nonce", _MAX_NONCES) else None
        if refuses_token(challenge, token.scheme.lower()) and self._may(response, "token", _MAX_REPLACEMENTS):
            return self._replaced(response, token)
        return None

    def _may(self, response: requests.Response, what: str, limit: int) -> bool:
        key = Origin.of(response.request.url or ""), what
        self._done[key] += 1
        return self._done[key] <= limit

    def _replaced(self, response: requests.Response, token: AccessToken) -> AccessToken | None:
        began = time.time()
        try:
            newer = self._auth.source.renew(token)
            if newer.issued_at >= began:  # not from the store: then there is no other one to be had
                self._done[Origin.of(response.request.url or ""), "token"] = _MAX_REPLACEMENTS
            if newer.base_url != token.base_url:
                # It is not for where this request was on its way to; the next one goes where it is.
                raise ApiUnavailableError("The API has another base URL by its new token: try again.", status_code=401)
            return newer
        except ApiRefusedTokenError:
            return None
        except OAuth2Error:
            response.close()
            raise

    def _send_again(self, response: requests.Response, token: AccessToken, **kwargs: Any) -> requests.Response:
        request = response.request.copy()
        # Not the last one of all threads: a late answer to another of them may have brought an older one.
        self._auth.authorize(request, token, nonce_in(response.headers))
        read_shortly(response)
        began = time.monotonic()
        again: requests.Response = response.connection.send(request, **kwargs)
        again.elapsed = timedelta(seconds=time.monotonic() - began)
        again.history = [*response.history, response]
        again.request = request
        return again


def read_shortly(response: requests.Response) -> None:
    """Read a body to its end, so that the connection can be used again; give the connection up where that is far."""
    beginning = b""
    with response, suppress(RequestException):
        for chunk in response.iter_content(_FEW_BYTES):
            beginning += chunk
            if len(beginning) > _FEW_BYTES:
                break
    response._content = beginning  # noqa: SLF001  # for whoever looks at the history


def rewind_body(request: requests.PreparedRequest) -> bool:
    """Return whether the body can be sent a second time; a file is set back to where it stood."""
    prepared: Any = request
    body = prepared.body
    if body is None or isinstance(body, str | bytes):
        return True
    position = prepared._body_position  # noqa: SLF001  # where requests keeps it for its redirects
    if not isinstance(position, int):
        return False
    try:
        body.seek(position)
    except (AttributeError, OSError, ValueError):
        return False
    return True


def _redirected(answer: requests.Response) -> tuple[str, str]:
    """
    Return method and URL of the request to which *answer* redirects, as requests makes it.

    :raises ValueError: there is no such URL
    """
    redirects, request = SessionRedirectMixin(), answer.request.copy()
    redirects.rebuild_method(request, answer)
    location = redirects.get_redirect_target(answer) or ""
    # As it is sent: urllib3 escapes once more what requests left alone.
    return request.method or "", parse_url(requote_uri(urljoin(answer.url, location))).url
