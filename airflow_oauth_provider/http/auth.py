"""The token in a request, and one renewal when the API refuses it."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from requests.auth import AuthBase

from airflow_oauth_provider.exceptions import ApiRefusedTokenError, OAuth2Error
from airflow_oauth_provider.oauth2.challenge import refuses_token

if TYPE_CHECKING:
    import requests

    from airflow_oauth_provider.http.origin import OriginGuard
    from airflow_oauth_provider.oauth2.token import AccessToken
    from airflow_oauth_provider.tokens.source import TokenSource

log = logging.getLogger(__name__)

# More than the tokens that one session can have under way: the present one and those that it replaced.
_MAX_SENT = 8


class OAuth2Auth(AuthBase):
    """
    Authorizes requests (RFC 6750 §2.1) of any library that takes a ``requests.auth.AuthBase``.

    :param source: where tokens come from
    :param guard: where they may go
    """

    def __init__(self, source: TokenSource, guard: OriginGuard) -> None:
        self.source = source
        self._guard = guard
        self._sent: dict[str, AccessToken] = {}

    def __repr__(self) -> str:
        return "OAuth2Auth()"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """
        Add the token to *request*.

        :raises OriginError: the token may not go there
        :raises OAuth2Error: there is no token
        """
        self._guard.check(request.url or "")
        self._authorize(request, self.source.get())
        request.register_hook("response", self._renew)  # type: ignore[no-untyped-call]
        return request

    def _authorize(self, request: requests.PreparedRequest, token: AccessToken) -> None:
        header = request.headers["Authorization"] = f"Bearer {token.value}"
        if header not in self._sent:
            # A new dict each time: threads share it without a lock, which a fork could leave locked.
            self._sent = dict([*self._sent.items(), (header, token)][-_MAX_SENT:])

    def token_in(self, request: requests.PreparedRequest) -> AccessToken | None:
        """Return the token that *request* carried, None when it carried none of ours."""
        return self._sent.get(str(request.headers.get("Authorization")))

    def sent_tokens(self) -> tuple[str, ...]:
        """Return the values of the tokens that errors must not show."""
        return tuple(token.value for token in self._sent.values())

    def _renew(self, response: requests.Response, **kwargs: Any) -> requests.Response:
        """
        Answer a 401 that refuses the token with another token; anything else passes.

        Twice at most: the first one may be another process's, taken from the store, and be refused, too.
        """
        for _ in range(2):
            token = self.token_in(response.request)
            if response.status_code != 401 or token is None:
                break
            if not refuses_token(response.headers.get("WWW-Authenticate")):
                break
            # A redirect can have led the request elsewhere since it was authorized.
            self._guard.check(response.request.url or "")
            try:
                newer = self.source.renew(token)
            except ApiRefusedTokenError:
                break
            except OAuth2Error:
                response.close()
                raise
            if not rewind_body(response.request):
                log.warning("The call is not sent again with a new token: its body can be read only once.")
                break
            response = self._send_again(response, newer, **kwargs)
        return response

    def _send_again(self, response: requests.Response, token: AccessToken, **kwargs: Any) -> requests.Response:
        request = response.request.copy()
        self._authorize(request, token)
        # A redirect is made of the first request: it must not take the refused token along.
        self._authorize(response.request, token)
        response.content  # noqa: B018  # read to its end, so that the connection can be used again
        response.close()
        began = time.monotonic()
        again: requests.Response = response.connection.send(request, **kwargs)
        again.elapsed = timedelta(seconds=time.monotonic() - began)
        again.history = [*response.history, response]
        again.request = request
        return again


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
