"""A scriptable HTTP server on loopback, for behaviour over real sockets."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

# A header of calls: when a client began to look for a token, by the clock that the server goes by.
BEGAN_AT = "X-Began-At"
MAX_STALL_S = 10.0


@dataclass
class Seen:
    """
    A request as it arrived.

    :param certificate: thumbprint of the one that the client showed in the TLS handshake (RFC 8705 §3.1)
    """

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes
    client: tuple[str, int]
    at: float
    certificate: str | None = None

    @property
    def form(self) -> list[tuple[str, str]]:
        return parse_qsl(self.body.decode(), keep_blank_values=True)

    def basic(self) -> tuple[str, str]:
        """Id and secret of a Basic header, decoded as RFC 6749 App. B says."""
        user, _, password = (
            base64.b64decode(self.headers["authorization"].removeprefix("Basic ")).decode().partition(":")
        )
        return unquote(user.replace("+", " ")), unquote(password.replace("+", " "))


@dataclass
class Reply:
    """What a server answers; ``raw`` bytes go over the wire as they are, and the connection is closed."""

    status: int = 200
    body: bytes | str | dict[str, Any] | list[Any] = b""
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    drip_s: float | None = None


Script = Callable[[Seen], Reply]


class Server:
    """
    An HTTP server in a thread; ``script`` decides every answer.

    :ivar begun: connections, those that came to nothing included

    >>> with Server(lambda seen: Reply(200, {"path": seen.path})) as server: ...
    """

    def __init__(self, script: Script, *, context: ssl.SSLContext | None = None) -> None:
        self.script = script
        self.seen: list[Seen] = []
        self.begun = self.connections = 0
        self.stopping = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Headers and body in one packet, as real servers send them.
            wbufsize = -1
            disable_nagle_algorithm = True

            def setup(self) -> None:
                outer.connections += 1
                super().setup()

            def handle(self) -> None:
                with suppress(ConnectionError, ssl.SSLError, TimeoutError):
                    super().handle()

            def answer(self) -> None:
                parts = urlsplit(self.path)
                seen = Seen(
                    self.command,
                    parts.path,
                    parse_qsl(parts.query, keep_blank_values=True),
                    {name.lower(): value for name, value in self.headers.items()},
                    self.body(),
                    self.client_address,
                    time.time(),
                    shown_certificate(self.connection),
                )
                outer.seen.append(seen)
                self.reply(outer.script(seen))

            def body(self) -> bytes:
                if self.headers.get("Transfer-Encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length") or 0))
                chunks = []
                while size := int(self.rfile.readline(), 16):
                    chunks.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(chunks)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = answer  # noqa: N815

            def reply(self, reply: Reply) -> None:
                if reply.raw is not None:
                    self.write(reply.raw, reply.drip_s)
                    self.close_connection = True
                    return
                headers = dict(reply.headers)
                body = reply.body
                if isinstance(body, dict | list):
                    body = json.dumps(body)
                    headers.setdefault("Content-Type", "application/json")
                content = body.encode() if isinstance(body, str) else body
                headers.setdefault("Content-Length", str(len(content)))
                self.send_response(reply.status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.write(content, reply.drip_s)
                self.wfile.flush()

            def write(self, content: bytes, drip_s: float | None) -> None:
                if drip_s is None:
                    self.wfile.write(content)
                    return
                for position in range(len(content)):
                    self.wfile.write(content[position : position + 1])
                    self.wfile.flush()
                    if outer.stopping.wait(drip_s):
                        return

            def log_message(self, *_: Any) -> None:
                """Stay silent."""

        class Listener(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 512

            def get_request(self) -> tuple[socket.socket, Any]:
                outer.begun += 1
                return super().get_request()

            def handle_error(self, *_: Any) -> None:
                """A client that went away is part of the tests."""

        self._server = Listener(("127.0.0.1", 0), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "https" if context else "http"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()


class OAuthServer(Server):
    """
    An authorization server and the API behind it.

    ``/token`` issues tokens, ``/revoke`` ends one (RFC 7009), ``/api/…`` wants one that was issued, not revoked and not
    ended; ``metadata`` lie where RFC 8414 has them. ``token_reply``, ``api_reply`` and ``metadata_reply`` replace those
    answers.
    """

    def __init__(self, *, lifetime_s: float = 3600, context: ssl.SSLContext | None = None) -> None:
        super().__init__(self._route, context=context)
        self.lifetime_s = lifetime_s
        self.tokens: dict[str, float] = {}
        self.ended_calls = 0
        self.token_reply: Script | None = None
        self.api_reply: Script | None = None
        self.metadata_reply: Script | None = None
        self._lock = threading.Lock()

    @property
    def token_requests(self) -> list[Seen]:
        return [seen for seen in list(self.seen) if seen.path == "/token"]

    @property
    def api_requests(self) -> list[Seen]:
        return [seen for seen in list(self.seen) if seen.path.startswith("/api")]

    @property
    def metadata_requests(self) -> list[Seen]:
        return [seen for seen in list(self.seen) if "/.well-known/" in seen.path]

    def metadata(self, **changes: Any) -> dict[str, Any]:
        """Return the server's metadata."""
        endpoints = {"token_endpoint": f"{self.url}/token", "revocation_endpoint": f"{self.url}/revoke"}
        return {"issuer": self.url, **endpoints, **changes}

    def issue(self, **members: Any) -> Reply:
        """Return the answer that grants a new token."""
        token = f"tok-{secrets.token_urlsafe(24)}"
        with self._lock:
            self.tokens[token] = time.time() + self.lifetime_s
        return Reply(200, {"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime_s, **members})

    def revoke_all(self) -> None:
        with self._lock:
            self.tokens.clear()

    def _route(self, seen: Seen) -> Reply:
        if seen.path == "/token":
            return self.token_reply(seen) if self.token_reply else self.issue()
        if seen.path == "/revoke":
            with self._lock:
                self.tokens.pop(dict(seen.form).get("token", ""), None)
            return Reply(200)
        if "/.well-known/" in seen.path and self.metadata_reply:
            return self.metadata_reply(seen)
        if seen.path == "/.well-known/oauth-authorization-server":
            return Reply(200, self.metadata())
        if seen.path.startswith("/api"):
            return self.api_reply(seen) if self.api_reply else self.checked(seen)
        return Reply(404, "nothing here")

    def checked(self, seen: Seen) -> Reply:
        """Return what the API answers to a good token, or the challenge of RFC 6750 §3."""
        token = seen.headers.get("authorization", "").removeprefix("Bearer ")
        # Between the look at a token and its arrival a machine may stall, which is nobody's fault.
        began_at = float(seen.headers.get(BEGAN_AT.lower(), time.time()))
        if self.tokens.get(token, 0.0) > max(began_at, time.time() - MAX_STALL_S):
            return Reply(200, {"path": seen.path, "query": dict(seen.query)})
        if token in self.tokens:
            self.ended_calls += 1
        return Reply(401, {"error": "invalid_token"}, {"WWW-Authenticate": 'Bearer error="invalid_token"'})


def shown_certificate(connection: socket.socket) -> str | None:
    """Return the thumbprint of the certificate that a client showed (RFC 8705 §3.1)."""
    der = connection.getpeercert(binary_form=True) if isinstance(connection, ssl.SSLSocket) else None
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).decode().rstrip("=") if der else None


def free_port() -> int:
    """Return a port on which nobody listens, and below those that the kernel gives to whoever asks for any."""
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
