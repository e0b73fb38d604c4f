"""What a client is and wants: the values from which a token request is built."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

CLIENT_SECRET_BASIC = "client_secret_basic"
CLIENT_SECRET_POST = "client_secret_post"
CLIENT_SECRET_JWT = "client_secret_jwt"
PRIVATE_KEY_JWT = "private_key_jwt"
TLS_CLIENT_AUTH = "tls_client_auth"
SELF_SIGNED_TLS_CLIENT_AUTH = "self_signed_tls_client_auth"
WORKLOAD_IDENTITY = "workload_identity"
NONE = "none"

SECRET_METHODS = frozenset({CLIENT_SECRET_BASIC, CLIENT_SECRET_POST, CLIENT_SECRET_JWT})
TLS_METHODS = frozenset({TLS_CLIENT_AUTH, SELF_SIGNED_TLS_CLIENT_AUTH})

BASIC_RFC6749 = "rfc6749"
BASIC_RAW = "raw"

CLIENT_CREDENTIALS = "client_credentials"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"

AUDIENCE_ISSUER = "issuer"
AUDIENCE_ENDPOINT = "endpoint"

DPOP_OFF = ""
DPOP_REQUIRED = "true"
DPOP_PREFERRED = "preferred"


@dataclass(frozen=True)
class KeyPair:
    """
    A private key, and what goes with it.

    :param private_key: PKCS#8 PEM without a passphrase, however it was written
    :param certificate: PEM, the client's own first and its chain behind
    """

    private_key: str = field(repr=False)
    certificate: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class AssertionSource:
    """
    Where the platform puts an assertion of the worker's identity, which it replaces from time to time.

    :param file: path, as it was written
    :param variable: name of an environment variable; one that ends in ``_FILE`` holds the path of a file
    :param folders: below which *file* must lie, links resolved
    """

    file: str | None = None
    variable: str | None = None
    folders: tuple[str, ...] = ()


@dataclass(frozen=True)
class AnswerDialect:
    """
    How a token endpoint's answers deviate from RFC 6749 §5.1.

    :param path: dotted, to the object that holds the members, or to the token in it
    :param default_scheme: for an answer without ``token_type``; None refuses it
    :param type_aliases: values of ``token_type`` that mean Bearer, lower case
    :param expires_in_unit_s: what 1 in ``expires_in`` stands for, in seconds
    :param default_lifetime_s: of a token without ``expires_in``
    :param base_url_member: which member names the API's base URL
    """

    path: str | None = None
    default_scheme: str | None = None
    type_aliases: tuple[str, ...] = ()
    expires_in_unit_s: float = 1.0
    default_lifetime_s: float = 300.0
    base_url_member: str | None = None


@dataclass(frozen=True)
class Transport:
    """
    How servers are reached.

    :param connect_timeout_s: seconds to wait for a connection
    :param read_timeout_s: seconds to wait for the server's next bytes
    :param verify: True, False, or the path of a CA bundle
    :param proxies: URL scheme (or ``scheme://host``) → proxy URL; None takes those of the environment
    :param allow_http: lets URLs through that are neither https nor on this machine
    :param client_certificate: shown in the TLS handshake (RFC 8705), with its key
    """

    connect_timeout_s: float = 10.0
    read_timeout_s: float = 60.0
    verify: bool | str = True
    proxies: tuple[tuple[str, str], ...] | None = field(default=None, repr=False)
    allow_http: bool = False
    client_certificate: KeyPair | None = field(default=None, repr=False)

    @property
    def timeout_s(self) -> tuple[float, float]:
        """(connect, read), as requests takes it."""
        return self.connect_timeout_s, self.read_timeout_s


@dataclass(frozen=True)
class ClientSettings:
    """
    An OAuth 2.0 client at one authorization server (RFC 6749 §2, §4.4).

    :param token_endpoint: URL to which token requests are POSTed; empty until it is discovered
    :param client_secret: the client's password (RFC 6749 §2.3.1)
    :param signing_key: what assertions are signed with; its certificate is named in their header
    :param key_id: ``kid`` of the header
    :param signing_algorithm: JOSE name; None takes the one of the key's kind
    :param assertion_audience: ``issuer``, ``endpoint`` or a value of its own; None takes the issuer where it is known
    :param assertion_typ: of the header of a client assertion
    :param assertion_claims: further claims of a signed assertion, a JSON object
    :param assertion_source: of the platform's assertion
    :param grant: the standard grant type; ``grant_type`` in *extra_params* replaces it
    :param subject: ``sub`` of a JWT bearer grant's assertion (RFC 7523 §2.1); None takes the client id
    :param issuer: identifier of the authorization server (RFC 8414 §2)
    :param discover: the server's metadata name its endpoints (RFC 8414)
    :param scope: blank-separated, None to leave it to the server
    :param resources: absolute URIs (RFC 8707)
    :param authorization_details: a JSON array (RFC 9396)
    :param dpop: ``""``, ``"true"`` or ``"preferred"``: whether tokens are bound to a key of ours (RFC 9449)
    :param extra_params: further token request parameters
    :param secret_params: the same, for values that nobody may see
    :param revocation_endpoint: URL at which tokens are ended (RFC 7009), None where the server has none
    :param leeway_s: seconds before the end at which a token is replaced; at most a tenth of its life
    """

    token_endpoint: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    auth_method: str = CLIENT_SECRET_BASIC
    basic_encoding: str = BASIC_RFC6749
    signing_key: KeyPair | None = field(default=None, repr=False)
    key_id: str | None = None
    signing_algorithm: str | None = None
    assertion_audience: str | None = None
    assertion_typ: str = "client-authentication+jwt"
    assertion_claims: str | None = None
    assertion_source: AssertionSource | None = None
    grant: str = CLIENT_CREDENTIALS
    subject: str | None = None
    issuer: str | None = None
    discover: bool = False
    scope: str | None = None
    audience: str | None = None
    resources: tuple[str, ...] = ()
    authorization_details: str | None = None
    dpop: str = DPOP_OFF
    dpop_algorithm: str = "ES256"
    extra_params: tuple[tuple[str, str], ...] = ()
    secret_params: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    answer: AnswerDialect = field(default_factory=AnswerDialect)
    revocation_endpoint: str | None = None
    leeway_s: float = 60.0
    transport: Transport = field(default_factory=Transport)

    @property
    def grant_type(self) -> str:
        """The grant type on the wire: a standard one, or the dialect that the connection names."""
        return dict(self.extra_params).get("grant_type", self.grant)

    @property
    def server(self) -> str:
        """What the connection names the server by: the issuer where its endpoints are discovered, else its endpoint."""
        return self.issuer or "" if self.discover else self.token_endpoint

    @property
    def shown_endpoint(self) -> str:
        """The token endpoint as messages name it: without a query, which may hold what is nobody's business."""
        return without_query(self.token_endpoint or self.server)

    def secrets(self) -> tuple[str, ...]:
        """All values that must never be shown."""
        proxies = (url for _, url in self.transport.proxies or ())
        from_proxies = (part for url in proxies if (part := _userinfo_password(url)))
        pairs = (self.signing_key, self.transport.client_certificate)
        keys = (pair.private_key for pair in pairs if pair is not None)
        return tuple(filter(None, (self.client_secret, *(v for _, v in self.secret_params), *from_proxies, *keys)))


@dataclass(frozen=True)
class Attempt:
    """
    What is new with each request to the authorization server.

    :param now: epoch seconds
    :param unique_id: becomes the ``jti`` of an assertion
    :param assertion: the platform's, as it was read just now
    :param proof: the ``DPoP`` header (RFC 9449)
    """

    now: float
    unique_id: str
    assertion: str | None = field(default=None, repr=False)
    proof: str | None = field(default=None, repr=False)


def without_query(url: str) -> str:
    """Return *url* as messages show it: without query and fragment, which may hold what is nobody's business."""
    return re.split("[?#]", url, maxsplit=1)[0]


def _userinfo_password(url: str) -> str:
    authority = url.partition("://")[2].partition("/")[0]
    return authority.rpartition("@")[0].partition(":")[2]
