"""
Every error that a Dag author can meet.

The base class says whether trying again can help: a :class:`PermanentError` fails the task at once (it is an
``AirflowFailException``), a :class:`TransientError` leaves the task to its own ``retries``.

No error of this module ever holds a secret, a token or a request object; what a server said is masked, escaped
and cut before it comes here.
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

__all__ = [
    "ApiRefusedError",
    "ApiRefusedTokenError",
    "ApiUnavailableError",
    "AssertionRefusedError",
    "AssertionUnavailableError",
    "CertificateError",
    "InvalidClientError",
    "InvalidGrantError",
    "InvalidScopeError",
    "InvalidTargetError",
    "OAuth2Error",
    "OriginError",
    "PaginationLoopError",
    "PermanentError",
    "ResponseCheckError",
    "ResponseFormatError",
    "ServerMetadataError",
    "SettingsError",
    "TokenEndpointUnavailableError",
    "TokenExposureError",
    "TokenRefusedError",
    "TokenResponseError",
    "TransientError",
    "UnauthorizedClientError",
    "UnusableTokenError",
    "XComTooLargeError",
]

MAX_MESSAGE_LENGTH = 2500


class OAuth2Error(AirflowException):
    """
    The root of this package's errors.

    :param message: what happened, where, and what to do; longer text is cut to 2,500 characters
    :param status_code: HTTP status of the answer, None when there was none
    :param error: the server's error code (RFC 6749 §5.2, RFC 6750 §3.1), None when it named none
    :param retry_after_s: seconds after which the server (or a rule of this package) lets one come back
    :param request_id: the id under which the server's operator finds the request
    """

    status_code: int | None  # type: ignore[assignment]  # AirflowException has an HTTPStatus of its own here

    def __init__(
        self,
        message: str = "",
        *,
        status_code: int | None = None,
        error: str | None = None,
        retry_after_s: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message if len(message) <= MAX_MESSAGE_LENGTH else message[: MAX_MESSAGE_LENGTH - 1] + "…")
        self.status_code = status_code
        self.error = error
        self.retry_after_s = retry_after_s
        self.request_id = request_id


class PermanentError(OAuth2Error, AirflowFailException):
    """Trying again cannot help: somebody has to change something first."""


class TransientError(OAuth2Error):
    """Trying again later can help."""


# Settings and use ---------------------------------------------------------------------------------------------------


class SettingsError(PermanentError):
    """A connection field, an ``[oauth2]`` option or a parameter is missing or cannot be right."""


class OriginError(PermanentError):
    """A request would have taken the token to a server that may not see it; nothing was sent there."""


class TokenExposureError(PermanentError):
    """Somebody tried to serialize a token (XCom, pickle): tokens stay inside the process and the sealed store."""


class CertificateError(PermanentError):
    """A TLS certificate is not accepted: a server's by us, or the client's by a server."""


# The token endpoint -------------------------------------------------------------------------------------------------


class TokenRefusedError(PermanentError):
    """The token endpoint refused the request (RFC 6749 §5.2), or there is no token endpoint at that URL."""


class ServerMetadataError(PermanentError):
    """There are no metadata of the issuer (RFC 8414), or they are of another one."""


class InvalidClientError(TokenRefusedError):
    """``invalid_client``: the client id or its secret is wrong, or sent in a way that the server does not take."""


class UnauthorizedClientError(TokenRefusedError):
    """``unauthorized_client``: this client may not use this grant type."""


class InvalidScopeError(TokenRefusedError):
    """``invalid_scope``: a scope is unknown, malformed or not granted to this client."""


class InvalidTargetError(TokenRefusedError):
    """``invalid_target`` (RFC 8707 §2): the audience or resource is unknown or not allowed."""


class InvalidGrantError(TransientError):
    """``invalid_grant``: the grant (an assertion, a clock) was not accepted this time."""


class AssertionRefusedError(TransientError):
    """``invalid_client`` or ``invalid_dpop_proof`` for what passes: a stale assertion, a clock that is off."""


class AssertionUnavailableError(TransientError):
    """The platform's assertion of the worker's identity is not there, or not yet (workload identity)."""


class TokenEndpointUnavailableError(TransientError):
    """The token endpoint could not be reached, timed out, or answered 429 or 5xx."""


class TokenResponseError(TransientError):
    """The token endpoint's answer cannot be read: HTML, truncated, too large, no token in it."""


class UnusableTokenError(PermanentError):
    """The token endpoint's answer can be read, but RFC 6749 forbids to use such a token."""


# The API ------------------------------------------------------------------------------------------------------------


class ApiRefusedError(PermanentError):
    """The API answered with a status that trying again does not change (4xx without ``Retry-After``)."""


class ApiUnavailableError(TransientError):
    """The API could not be reached, broke off, or answered with a status that can pass (408, 429, 5xx …)."""


class ApiRefusedTokenError(TransientError):
    """
    The API answered 401 to a token that is still fresh.

    Most often audience, scope or roles are wrong. It is not permanent because a token that was just revoked looks
    the same: after ``retry_after_s`` seconds a new token may be fetched for the next refusal.
    """


class ResponseFormatError(TransientError):
    """The API's answer is not what it says, or not what was asked for: no JSON, no such list, a bad line."""


class PaginationLoopError(PermanentError):
    """The API leads from page to page without an end."""


class ResponseCheckError(TransientError):
    """``response_check`` returned false."""


class XComTooLargeError(PermanentError):
    """The result is too large for XCom."""
