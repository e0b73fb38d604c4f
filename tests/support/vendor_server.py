"""A server that answers for a vendor's hosts, and refuses what the vendor's documentation does not describe."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import import_key

from airflow_oauth_provider.oauth2.keys import certificate_thumbprint
from tests.support.certificates import Authority
from tests.support.dpop_api import BadProofError, ProofChecker
from tests.support.keys import certificate as self_signed
from tests.support.keys import jwk, made_key
from tests.support.servers import Reply, Seen, Server
from tests.support.tunnels import Tunnel

if TYPE_CHECKING:
    from pathlib import Path

JWT_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TOKEN = "made-up!access.token-of_a/vendor+="
NONCE = "made-up-nonce"
PLATFORM = "made-up.assertion.of-the-platform"


KEY = ("RSA", 0)


@cache
def client_certificate() -> str:
    """Return the certificate of the client's key: the one that the vendor knows."""
    return self_signed(made_key(*KEY))


@dataclass(frozen=True)
class Signed:
    """
    A JWT that a vendor wants.

    :param parameter: in which it comes
    :param header: members of its header
    :param claims: all claims but those of time, and ``jti``
    :param names_certificate: ``x5t#S256`` stands in the header
    """

    claims: dict[str, Any]
    header: dict[str, str]
    parameter: str = "client_assertion"
    names_certificate: bool = False

    def fault(self, text: str) -> str:
        """Say what is wrong with a JWT; empty when it is as it should be."""
        try:
            token = jwt.decode(text, import_key(jwk(made_key(*KEY))), algorithms=["RS256", "PS256"])
        except (JoseError, ValueError):
            return "signature"
        named = {"x5t#S256": certificate_thumbprint(client_certificate())} if self.names_certificate else {}
        wanted = {**self.header, **named}
        if differing := sorted(name for name, value in wanted.items() if token.header.get(name) != value):
            return f"header: {', '.join(differing)}"
        claims = {name: value for name, value in token.claims.items() if name not in ("iat", "nbf", "exp", "jti")}
        if claims != self.claims:
            return f"claims: {claims}"
        lives_s = token.claims["exp"] - token.claims["iat"]
        return "" if 0 < lives_s <= 60 and token.claims["jti"] else "life"


@dataclass(frozen=True)
class Vendor:
    """
    What one connection of docs/servers.md has to do with a vendor.

    :param recipe: heading and number of the connection
    :param token_url: the vendor's token endpoint
    :param form: what the body holds, but for what is signed or comes from the platform
    :param answer: what the token endpoint answers, without the token
    :param call: an API call, and the URL that it has to lead to
    :param basic: id and secret of a Basic header as the vendor reads it; None where none may come
    :param signed: a JWT in the body
    :param presented: the parameter that holds the platform's assertion
    :param lifetime_s: that the token is taken to have
    :param api_headers: which the API demands
    :param documents: further JSON that is to be had, by URL
    :param demands_proofs: DPoP, with a nonce
    :param demands_certificate: in the TLS handshake
    :param environment: what the platform sets
    """

    recipe: str
    token_url: str
    form: dict[str, str]
    answer: dict[str, Any]
    call: tuple[str, str]
    lifetime_s: float
    basic: tuple[str, str] | None = None
    signed: Signed | None = None
    presented: str | None = None
    api_headers: dict[str, str] = field(default_factory=dict)
    documents: dict[str, Any] = field(default_factory=dict)
    demands_proofs: bool = False
    demands_certificate: bool = False
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names that the server's certificate has to hold."""
        return tuple(dict.fromkeys(url.split("/")[2] for url in (self.token_url, self.call[1], *self.documents)))


class VendorServer(Server):
    """
    Answers for all hosts of *vendor*, over TLS; clients reach it by way of :attr:`proxy_url`.

    :ivar faults: why requests were refused, in their order
    """

    def __init__(self, vendor: Vendor, folder: Path) -> None:
        authority = Authority.make(folder, "vendors")
        clients = client_certificate() if vendor.demands_certificate else ""
        super().__init__(self._route, context=authority.server_context(address=vendor.hosts, clients=clients))
        self.bundle = authority.bundle
        self.faults: list[str] = []
        self._vendor = vendor
        self._token_proofs, self._api_proofs = ProofChecker(), ProofChecker()
        self._tunnel = Tunnel(self.port)

    def __enter__(self) -> Self:
        super().__enter__()
        self._tunnel.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._tunnel.__exit__(*exception)
        super().__exit__(*exception)

    @property
    def proxy_url(self) -> str:
        return self._tunnel.url

    @property
    def requests(self) -> list[str]:
        """What was asked for, in its order."""
        return [f"{seen.method} {_url(seen)}" for seen in self.seen]

    def _route(self, seen: Seen) -> Reply:
        url = _url(seen)
        if url in self._vendor.documents:
            return Reply(200, self._vendor.documents[url])
        if url == self._vendor.token_url:
            return self._granted(seen)
        if url == self._vendor.call[1]:
            return self._called(seen)
        return Reply(404, {"error": "made up: nothing here"})

    def _granted(self, seen: Seen) -> Reply:
        if fault := self._fault_of_token_request(seen):
            return self._refused(400, "invalid_request", fault)
        if self._vendor.demands_proofs:
            try:
                claims = self._token_proofs.check(seen.headers.get("dpop", ""), "POST", _url(seen), now=seen.at)
            except BadProofError as error:
                return self._refused(400, "invalid_dpop_proof", str(error))
            if claims.get("nonce") != NONCE:
                return Reply(400, {"error": "use_dpop_nonce"}, {"DPoP-Nonce": NONCE})
        return Reply(200, {"access_token": TOKEN, **self._vendor.answer})

    def _fault_of_token_request(self, seen: Seen) -> str:
        vendor, sent = self._vendor, dict(seen.form)
        if len(sent) != len(seen.form):
            return "a parameter stands there twice"
        basic = seen.basic() if "authorization" in seen.headers else None
        if basic != vendor.basic:
            return "Basic header"
        if vendor.signed and (fault := vendor.signed.fault(sent.pop(vendor.signed.parameter, ""))):
            return f"{vendor.signed.parameter}: {fault}"
        if vendor.presented and sent.pop(vendor.presented, None) != PLATFORM:
            return vendor.presented
        return "" if sent == vendor.form else f"form: {sent}"

    def _called(self, seen: Seen) -> Reply:
        scheme = "DPoP" if self._vendor.demands_proofs else "Bearer"
        if seen.headers.get("authorization") != f"{scheme} {TOKEN}":
            return self._refused(401, "invalid_token", "Authorization")
        if lacking := [name for name, value in self._vendor.api_headers.items() if seen.headers.get(name) != value]:
            return self._refused(400, "invalid_request", f"headers: {', '.join(lacking)}")
        if self._vendor.demands_proofs:
            try:
                self._api_proofs.check(seen.headers.get("dpop", ""), seen.method, _url(seen), now=seen.at, token=TOKEN)
            except BadProofError as error:
                return self._refused(401, "invalid_dpop_proof", str(error))
        return Reply(200, {"works": True})

    def _refused(self, status: int, error: str, fault: str) -> Reply:
        self.faults.append(fault)
        return Reply(status, {"error": error, "error_description": fault})


def _url(seen: Seen) -> str:
    return f"https://{seen.headers['host']}{seen.path}"
