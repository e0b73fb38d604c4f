"""What a client is and wants: the values from which a token request is built."""

from __future__ import annotations

from dataclasses import dataclass, field

CLIENT_SECRET_BASIC = "client_secret_basic"
CLIENT_SECRET_POST = "client_secret_post"

BASIC_RFC6749 = "rfc6749"
BASIC_RAW = "raw"

CLIENT_CREDENTIALS = "client_credentials"


@dataclass(frozen=True)
class Transport:
    """
    How servers are reached.

    :param connect_timeout_s: seconds to wait for a connection
    :param read_timeout_s: seconds to wait for the server's next bytes
    :param verify: True, False, or the path of a CA bundle
    :param proxies: URL scheme (or ``scheme://host``) → proxy URL; None takes those of the environment
    """

    connect_timeout_s: float = 10.0
    read_timeout_s: float = 60.0
    verify: bool | str = True
    proxies: tuple[tuple[str, str], ...] | None = field(default=None, repr=False)

    @property
    def timeout_s(self) -> tuple[float, float]:
        """(connect, read), as requests takes it."""
        return self.connect_timeout_s, self.read_timeout_s


@dataclass(frozen=True)
class ClientSettings:
    """
    An OAuth 2.0 client at one token endpoint (RFC 6749 §2, §4.4).

    :param token_endpoint: URL to which token requests are POSTed
    :param client_secret: the client's password (RFC 6749 §2.3.1)
    :param scope: blank-separated, None to leave it to the server
    :param extra_params: further token request parameters; ``grant_type`` here replaces the standard one
    :param secret_params: the same, for values that nobody may see
    :param leeway_s: seconds before the end at which a token is replaced; at most a tenth of its life
    """

    token_endpoint: str
    client_id: str
    client_secret: str = field(repr=False)
    auth_method: str = CLIENT_SECRET_BASIC
    basic_encoding: str = BASIC_RFC6749
    scope: str | None = None
    audience: str | None = None
    extra_params: tuple[tuple[str, str], ...] = ()
    secret_params: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    leeway_s: float = 60.0
    transport: Transport = field(default_factory=Transport)

    @property
    def grant_type(self) -> str:
        """``client_credentials``, or the dialect that the connection names."""
        return dict(self.extra_params).get("grant_type", CLIENT_CREDENTIALS)

    @property
    def shown_endpoint(self) -> str:
        """The token endpoint as messages name it: without a query, which may hold what is nobody's business."""
        return self.token_endpoint.partition("?")[0]

    def secrets(self) -> tuple[str, ...]:
        """All values that must never be shown."""
        proxies = (url for _, url in self.transport.proxies or ())
        from_proxies = (part for url in proxies if (part := _userinfo_password(url)))
        return tuple(filter(None, (self.client_secret, *(v for _, v in self.secret_params), *from_proxies)))


def _userinfo_password(url: str) -> str:
    authority = url.partition("://")[2].partition("/")[0]
    return authority.rpartition("@")[0].partition(":")[2]
