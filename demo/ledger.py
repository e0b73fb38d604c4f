"""What the authorization server knows: its clients, the tokens it issued, and how often it was asked."""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from authlib.oauth2.rfc6749 import InvalidScopeError

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Client:
    """A registered confidential client; the methods are those that Authlib asks of one."""

    client_id: str
    client_secret: str = field(repr=False)
    scope: str = "orders:read status:read"
    auth_methods: frozenset[str] = frozenset({"client_secret_basic", "client_secret_post"})

    def get_client_id(self) -> str:
        return self.client_id

    def check_client_secret(self, client_secret: str) -> bool:
        return secrets.compare_digest(self.client_secret.encode(), client_secret.encode())

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        return method in self.auth_methods

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "client_credentials"

    def get_allowed_scope(self, scope: str | None) -> str:
        """Grant what was asked, or everything when nothing was (RFC 6749 section 3.3)."""
        wanted = (scope or self.scope).split()
        if not set(wanted) <= set(self.scope.split()):
            raise InvalidScopeError
        return " ".join(wanted)


@dataclass(frozen=True)
class IssuedToken:
    """A token as the protected API finds it; the methods are those that Authlib asks of one."""

    access_token: str = field(repr=False)
    client_id: str
    scope: str
    expires_at: float

    def get_scope(self) -> str:
        return self.scope

    def is_expired(self) -> bool:
        return time.time() >= self.expires_at

    def is_revoked(self) -> bool:
        return False  # nobody revokes here


class Ledger:
    """Clients, issued tokens and counters, safe to use from every request thread."""

    def __init__(self, clients: Iterable[Client]) -> None:
        self._lock = threading.Lock()
        self._clients = {client.client_id: client for client in clients}
        self._tokens: dict[str, IssuedToken] = {}
        self._counts: Counter[str] = Counter()

    def client(self, client_id: str) -> Client | None:
        return self._clients.get(client_id)

    def count(self, event: str) -> None:
        with self._lock:
            self._counts[event] += 1

    def counts(self) -> dict[str, int]:
        """How often each event happened; ``token_requests`` holds every request, refused ones too."""
        with self._lock:
            return {"token_requests": 0, "api_requests": 0, **self._counts}

    def add(self, token: IssuedToken) -> None:
        with self._lock:
            self._tokens[token.access_token] = token

    def find(self, access_token: str) -> IssuedToken | None:
        with self._lock:
            return self._tokens.get(access_token)

    def issued(self) -> list[str]:
        """Every token ever issued, so that tests can look for them where none may be."""
        with self._lock:
            return list(self._tokens)
