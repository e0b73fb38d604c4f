"""The certified authorization server over TLS, with a private CA, and the API beside it that looks at everything."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tests.support.certificates import Authority
from tests.support.oidc_server import NodeServer
from tests.support.secure_oidc_clients import registered_clients, written

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path


@dataclass(frozen=True)
class Watch:
    """What a client has done since somebody began to look."""

    server: SecureOidcServer
    name: str
    seen: dict[str, int]

    def token_requests(self) -> list[dict[str, Any]]:
        """Return status, error, how the client proved itself, and what was said in its assertion and its proof."""
        return self._new("token_requests")

    def api_calls(self) -> list[dict[str, Any]]:
        """Return path, status, why it was refused, and the scheme, nonce and certificate of each call."""
        return self._new("api_calls")

    def revocations(self) -> list[dict[str, Any]]:
        return self._new("revocations")

    def statuses(self) -> list[int]:
        """Return the statuses of the token requests."""
        return [request["status"] for request in self.token_requests()]

    def _new(self, what: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.server.book_of(self.name)[what]
        return found[self.seen[what] :]


class SecureOidcServer(NodeServer):
    """
    A context manager around ``secure_server.mjs``; all its clients are in :attr:`clients`.

    :param folder: for certificates and the log
    """

    def __init__(self, folder: Path) -> None:
        super().__init__("secure_server.mjs", folder / "server.log")
        self._folder = folder
        self.authority = Authority.make(folder, "servers")
        self.client_authority = Authority.make(folder, "clients")
        self.clients = registered_clients(self.client_authority)
        self._session.verify = str(self.authority.bundle)

    @property
    def origin(self) -> str:
        return str(self.facts["origin"])

    @property
    def mtls_origin(self) -> str:
        """Where certificates are asked for."""
        return str(self.facts["mtls_origin"])

    @property
    def token_url(self) -> str:
        return f"{self.issuer}/token"

    @property
    def mtls_token_url(self) -> str:
        return self.token_url.replace(self.origin, self.mtls_origin)

    def resource(self, name: str) -> str:
        """Return the URI of an API (RFC 8707), which is its base URL, too."""
        return str(self.facts["resources"][name]["audience"])

    def connection(self, name: str, *, without: tuple[str, ...] = (), **changes: Any) -> str:
        """
        Return a client's connection as JSON, for the environment.

        :param without: extras to be left out
        :param changes: ``host``, ``login``, ``password``; and further extras, or other values for those that are set
        """
        client = self.clients[name]
        shows_certificate = {"certificate", "tls_certificate"} & set(client.extra) and "x5t" not in client.policy
        origin = self.mtls_origin if shows_certificate else self.origin
        fields = {
            "conn_type": "oauth2",
            "host": self.token_url.replace(self.origin, origin),
            "login": client.client_id,
            "password": client.client_secret,
        }
        fields |= {field: changes.pop(field) for field in tuple(changes) if field in fields}
        verify = str(self.authority.bundle)
        extra = {"base_url": f"{origin}/api", "scope": "orders:read", "verify": verify, **client.extra, **changes}
        return json.dumps({**fields, "extra": {name: value for name, value in extra.items() if name not in without}})

    def watch(self, name: str) -> Watch:
        """Begin to look at what a client does."""
        return Watch(self, name, {what: len(entries) for what, entries in self.book_of(name).items()})

    def book_of(self, name: str) -> dict[str, list[dict[str, Any]]]:
        book: dict[str, list[dict[str, Any]]] = self._control("GET", "state", {"client": self.clients[name].client_id})
        return book

    def metadata_requests(self) -> list[str]:
        """Return the paths at which metadata were asked for so far."""
        paths: list[str] = self._control("GET", "metadata_requests")
        return paths

    def outage(self) -> AbstractContextManager[None]:
        """Let the token endpoint answer 503 to everybody for a while."""
        return self.switched_on("outage")

    def only_openid(self) -> AbstractContextManager[None]:
        """Publish metadata as OpenID Connect does, and not as RFC 8414 does, for a while."""
        return self.switched_on("only_openid")

    def __enter__(self) -> Self:
        settings = self._folder / "settings.json"
        files = {
            "certificate": str(self.authority.server_pem()),
            "server_ca": str(self.authority.bundle),
            "client_ca": str(self.client_authority.bundle),
        }
        settings.write_text(written(self.clients, **files), encoding="utf-8")
        self._start(settings)
        return self
