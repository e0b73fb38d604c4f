"""Settings → a token request (RFC 6749 §4.4.2, RFC 7523 §2.1, RFC 8693 §2.1), or a revocation (RFC 7009 §2.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

from airflow_oauth_provider.oauth2.client_auth import AUTH_METHODS, CREDENTIAL_PARAMETERS
from airflow_oauth_provider.oauth2.settings import JWT_BEARER, TOKEN_EXCHANGE

if TYPE_CHECKING:
    from airflow_oauth_provider.oauth2.settings import Attempt, ClientSettings
    from airflow_oauth_provider.oauth2.token import AccessToken

    Parameters = tuple[tuple[str, str], ...]

DEFAULT_SUBJECT_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:jwt"


@dataclass(frozen=True)
class TokenRequest:
    """
    A request of a client to its authorization server, ready to be sent.

    :param headers: HTTP headers, the client's authentication among them
    :param body: the form, encoded
    """

    url: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    method: str = "POST"


def wire_parameters(settings: ClientSettings) -> Parameters:
    """
    Return the form parameters that say what is wanted: the same ones with each attempt.

    Without empty ones (RFC 6749 §3.2) and without the client's authentication. None stands there twice, but
    ``resource`` (RFC 8707 §2) and, in a token exchange, ``audience`` (RFC 8693 §2.1).
    """
    exchange = settings.grant == TOKEN_EXCHANGE
    further = {**dict(settings.extra_params), **dict(settings.secret_params)}
    subject_token_type = further.get("subject_token_type") or DEFAULT_SUBJECT_TOKEN_TYPE
    audience = settings.audience or ""
    ours = (
        ("grant_type", settings.grant_type),
        ("scope", settings.scope),
        *(("audience", one) for one in (audience.split() if exchange else [audience])),
        *(("resource", uri) for uri in settings.resources),
        ("authorization_details", settings.authorization_details),
        ("subject_token_type", subject_token_type if exchange else ""),
    )
    wanted = tuple((name, value) for name, value in ours if value)
    taken = {name for name, _ in wanted} | CREDENTIAL_PARAMETERS
    return *wanted, *((name, value) for name, value in further.items() if value and name not in taken)


def parameter_in_url(settings: ClientSettings) -> str | None:
    """Return which parameter would stand twice, in the query of the token endpoint, too (RFC 6749 §3.2)."""
    once = {name for name, _ in wire_parameters(settings)} - {"resource"}
    once -= {"audience"} if settings.grant == TOKEN_EXCHANGE else set()
    return min(once & {name for name, _ in parse_qsl(urlsplit(settings.token_endpoint).query)}, default=None)


def build_token_request(settings: ClientSettings, attempt: Attempt) -> TokenRequest:
    """Return the request for a token; credentials stand in a header or in the body, never in the URL."""
    wanted = wire_parameters(settings)
    parameters = (*wanted, *_grant_parameters(settings, attempt, dict(wanted)))
    proof = {"DPoP": attempt.proof} if attempt.proof else {}
    return _authenticated(settings, attempt, settings.token_endpoint, parameters, proof)


def build_revocation_request(
    settings: ClientSettings, endpoint: str, token: AccessToken, attempt: Attempt
) -> TokenRequest:
    """Return the request that ends *token* at the revocation *endpoint*."""
    parameters = (("token", token.value), ("token_type_hint", "access_token"))
    return _authenticated(settings, attempt, endpoint, parameters, {})


def _grant_parameters(settings: ClientSettings, attempt: Attempt, given: dict[str, str]) -> Parameters:
    """Return what is granted upon, unless the connection's own parameters hold it."""
    if settings.grant == JWT_BEARER and "assertion" not in given:
        # Imported late: only a process that fetches a token pays for it.
        from airflow_oauth_provider.oauth2.assertion import grant_assertion

        return (("assertion", grant_assertion(settings, attempt)),)
    if settings.grant == TOKEN_EXCHANGE and "subject_token" not in given and attempt.assertion:
        return (("subject_token", attempt.assertion),)
    return ()


def _authenticated(
    settings: ClientSettings, attempt: Attempt, url: str, parameters: Parameters, headers: dict[str, str]
) -> TokenRequest:
    authentication = AUTH_METHODS[settings.auth_method](settings, attempt)
    return TokenRequest(
        url=url,
        headers={
            "Accept": "application/json",
            "Content-Type": "application/x-www-form-urlencoded",
            **headers,
            **authentication.headers,
        },
        body=urlencode((*parameters, *authentication.form)).encode(),
    )
