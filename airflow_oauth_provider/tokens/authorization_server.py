"""An authorization server as one client asks it: endpoints discovered, assertions read, proofs made, nonces kept."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import requests

from airflow_oauth_provider.exceptions import (
    AssertionUnavailableError,
    OAuth2Error,
    SettingsError,
    TokenEndpointUnavailableError,
    TokenRefusedError,
)
from airflow_oauth_provider.lazy import lazy_property
from airflow_oauth_provider.masking import Redactor, mask_in_airflow
from airflow_oauth_provider.oauth2.client_auth import basic_credentials
from airflow_oauth_provider.oauth2.settings import SECRET_METHODS, Attempt, without_query
from airflow_oauth_provider.oauth2.token_request import build_revocation_request, build_token_request
from airflow_oauth_provider.oauth2.token_response import json_object, parse_token_response
from airflow_oauth_provider.retry import retry_after_s
from airflow_oauth_provider.tokens.exchange import Exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_oauth_provider.oauth2.dpop import Nonces, ProofKey
    from airflow_oauth_provider.oauth2.settings import AssertionSource, ClientSettings
    from airflow_oauth_provider.oauth2.token import AccessToken
    from airflow_oauth_provider.oauth2.token_request import TokenRequest
    from airflow_oauth_provider.tokens.discovery import Discovery

    Answer = tuple[int, Mapping[str, str], bytes]

_ASSERTIONS = frozenset({"client_assertion", "assertion", "subject_token", "actor_token"})


class AuthorizationServer:
    """
    Asks for a token, or ends one, once.

    :param discovery: names the endpoints where the connection names the issuer alone
    :param vouched_for: whom the platform's assertion has to name: the one in whose name the token is shared
    """

    def __init__(
        self,
        settings: ClientSettings,
        discovery: Discovery | None = None,
        vouched_for: str = "",
    ) -> None:
        self._vouched_for = vouched_for
        self._settings = settings
        self._discovery = discovery

    def ask_token(self, within_s: float, on_request: Callable[[], object] = lambda: None) -> AccessToken:
        """
        Return a new token.

        :param within_s: for all requests that this takes
        :param on_request: called after each token request
        :raises OAuth2Error: see :func:`~airflow_oauth_provider.oauth2.token_response.parse_token_response`; and
            whatever keeps us from asking
        """
        ends_at = time.monotonic() + within_s
        # Before the first byte goes out: requests and urllib3 log at debug level.
        mask_in_airflow(self._credentials)
        settings = self._resolved(ends_at)
        try:
            return self._ask_token(settings, ends_at, on_request)
        except OAuth2Error as error:
            if self._discovery is None or error.status_code != 404:
                raise
        # The endpoint has moved, or gone: a document of yesterday may name what is no more.
        self.forget_metadata()
        return self._ask_token(self._resolved(ends_at), ends_at, on_request)

    def revoke(self, token: AccessToken, within_s: float) -> None:
        """
        End *token* at the authorization server (RFC 7009).

        :raises SettingsError: nothing names a revocation endpoint
        :raises OAuth2Error: the server does not do it
        """
        ends_at = time.monotonic() + within_s
        mask_in_airflow((*self._credentials, token.value))
        settings = self._resolved(ends_at)
        endpoint = settings.revocation_endpoint
        if endpoint is None:
            said = "no revocation_url, nor do the server's metadata" if settings.discover else "no revocation_url"
            raise SettingsError(f"The connection names {said} (RFC 7009). The stored token can be forgotten.")
        request = build_revocation_request(settings, endpoint, token, self._attempt(settings))
        redactor = self._redactor(request, token.value)
        name = f"The revocation endpoint {without_query(endpoint)}"
        status, headers, body = self._exchange(redactor, name, "revocation_url", ends_at).send(request)
        if 200 <= status < 300:
            return
        said = redactor.server_text(body.decode(errors="replace"))
        error_class = TokenEndpointUnavailableError if status >= 500 or status == 429 else TokenRefusedError
        raise error_class(
            f"{name} answered {status}: {said or 'an empty body.'} "
            "Check revocation_url of the connection; the token is still stored.",
            status_code=status,
            retry_after_s=retry_after_s(headers),
        )

    def forget_metadata(self) -> None:
        """Forget what led to the endpoints, if it was the server's metadata."""
        if self._discovery is not None:
            self._discovery.forget()

    def _ask_token(self, settings: ClientSettings, ends_at: float, on_request: Callable[[], object]) -> AccessToken:
        key = _new_proof_key(settings)
        for repeated in (False, True):
            attempt = self._attempt(settings, key)
            request = build_token_request(settings, attempt)
            redactor = self._redactor(request)
            try:
                status, headers, body = self._send(settings, request, redactor, ends_at)
            finally:
                on_request()
            if key is None:
                break
            self._nonces.adopt(settings.token_endpoint, headers)
            if repeated or not _asks_for_nonce(status, headers, body):
                break
        return parse_token_response(
            settings,
            redactor,
            status=status,
            headers=headers,
            body=body,
            # The life of a token begins before its answer arrives.
            now=attempt.now,
            answered_at=time.time(),
            proof_key=key,
            assertion=attempt.assertion,
        )

    def _send(self, settings: ClientSettings, request: TokenRequest, redactor: Redactor, ends_at: float) -> Answer:
        proof = request.headers.get("DPoP", "")
        mask_in_airflow((*_assertions_in(request), proof))
        name = f"The token endpoint {settings.shown_endpoint}"
        return self._exchange(redactor, name, "Token URL", ends_at).send(request)

    def _attempt(self, settings: ClientSettings, key: ProofKey | None = None) -> Attempt:
        assertion = None
        if settings.assertion_source is not None:
            assertion = self._assertion(settings.assertion_source)
        now, proof = time.time(), None
        if key is not None:
            # As it is sent: with A-labels, and escaped.
            url = str(requests.Request("POST", settings.token_endpoint).prepare().url)
            nonce = self._nonces.of(settings.token_endpoint)
            proof = key.proof("POST", url, now=now, unique_id=str(uuid.uuid4()), nonce=nonce)
        return Attempt(now, str(uuid.uuid4()), assertion, proof)

    def _assertion(self, source: AssertionSource) -> str:
        from airflow_oauth_provider.tokens.assertions import read_assertion, vouched_for

        assertion = read_assertion(source)
        now_for = vouched_for(assertion)
        if self._vouched_for and now_for != self._vouched_for:
            raise AssertionUnavailableError(
                "The platform vouches for somebody else than a moment ago: its token would not be this one. Try again."
            )
        return assertion

    def _resolved(self, ends_at: float) -> ClientSettings:
        return self._settings if self._discovery is None else self._discovery.resolve(_left_s(ends_at))

    def _exchange(self, redactor: Redactor, name: str, field: str, ends_at: float) -> Exchange:
        return Exchange(self._settings.transport, redactor, name=name, field=field, deadline_s=_left_s(ends_at))

    def _redactor(self, request: TokenRequest, *more: str) -> Redactor:
        proof = request.headers.get("DPoP", "")
        return Redactor(filter(None, (*self._credentials, *_assertions_in(request), proof, *more)))

    @lazy_property
    def _credentials(self) -> tuple[str, ...]:
        settings = self._settings
        pair = (basic_credentials(settings),) if settings.auth_method in SECRET_METHODS else ()
        return *settings.secrets(), *pair

    @lazy_property
    def _nonces(self) -> Nonces:
        from airflow_oauth_provider.oauth2.dpop import Nonces

        return Nonces()


def _new_proof_key(settings: ClientSettings) -> ProofKey | None:
    if not settings.dpop:
        return None
    from airflow_oauth_provider.oauth2.dpop import ProofKey

    return ProofKey.generate(settings.dpop_algorithm)


def _asks_for_nonce(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    from airflow_oauth_provider.oauth2.dpop import demands_nonce

    return demands_nonce(status, (json_object(body) or {}).get("error"), headers)


def _assertions_in(request: TokenRequest) -> tuple[str, ...]:
    return tuple(value for name, value in parse_qsl(request.body.decode()) if name in _ASSERTIONS)


def _left_s(ends_at: float) -> float:
    return max(0.1, ends_at - time.monotonic())
