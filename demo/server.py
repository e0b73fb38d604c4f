"""
Runs the authorization server and the protected API on free loopback ports.

In a program or a test::

    with DemoServer() as server:
        server.token_url, server.base_url, server.client

By hand: ``python -m demo.server`` prints the URLs and the client as one line of JSON and serves until it is
stopped (SIGTERM, Ctrl-C) or its parent process is gone.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from demo.authorization import create_authorization_app
from demo.ledger import Client, Ledger
from demo.shop_api import create_api_app

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from flask import Flask

LOOPBACK = "127.0.0.1"


def make_client(client_id: str = "demo-client") -> Client:
    """Register a client with a random secret; the characters around it are those that Basic has to encode."""
    return Client(client_id=client_id, client_secret=f"demo/{secrets.token_urlsafe(24)}+%=")


class QuietHandler(WSGIRequestHandler):
    """Writes no line per request: the output of the demo is for people."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


class DemoServer:
    """
    Both servers in threads of this process.

    :param clients: the registered clients; one with a random secret when nothing is given
    :param expires_in_s: lifetime of the issued tokens
    """

    def __init__(self, clients: Sequence[Client] = (), *, expires_in_s: int = 3600) -> None:
        self.clients = tuple(clients) or (make_client(),)
        self.ledger = Ledger(self.clients)
        self._authorization = _listen(create_authorization_app(self.ledger, expires_in_s=expires_in_s))
        self._api = _listen(create_api_app(self.ledger))

    @property
    def client(self) -> Client:
        return self.clients[0]

    @property
    def token_url(self) -> str:
        return f"http://{LOOPBACK}:{self._authorization.server_port}/oauth2/token"

    @property
    def counts_url(self) -> str:
        return f"http://{LOOPBACK}:{self._authorization.server_port}/demo/counts"

    @property
    def base_url(self) -> str:
        return f"http://{LOOPBACK}:{self._api.server_port}/v1"

    def connection(self, client: Client | None = None, **extra: Any) -> dict[str, Any]:
        """
        Return the fields of an Airflow connection of type ``oauth2`` to this server.

        :param client: whose credentials it holds, the first client by default
        :param extra: further extras, or other values for those that are always set
        """
        client = client or self.client
        return {
            "conn_type": "oauth2",
            "host": self.token_url,
            "login": client.client_id,
            "password": client.client_secret,
            "extra": {"base_url": self.base_url, "scope": client.scope, **extra},
        }

    def __enter__(self) -> Self:
        for server in (self._authorization, self._api):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in (self._authorization, self._api):
            server.shutdown()
            server.server_close()


def _listen(app: Flask) -> BaseWSGIServer:
    return make_server(LOOPBACK, 0, app, threaded=True, request_handler=QuietHandler)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop or orphaned."""
    parser = argparse.ArgumentParser(prog="python -m demo.server", description="OAuth 2.0 demo servers")
    parser.add_argument("--expires-in", type=int, default=3600, metavar="SECONDS", help="lifetime of a token")
    parser.add_argument("--info", type=Path, metavar="FILE", help="write the JSON line into a file, too")
    options = parser.parse_args(arguments)

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    parent = os.getppid()
    with DemoServer(expires_in_s=options.expires_in) as server:
        urls = {"token_url": server.token_url, "base_url": server.base_url, "counts_url": server.counts_url}
        line = json.dumps({**urls, "connection": server.connection()})
        print(line, flush=True)
        if options.info:
            write_private(options.info, line + "\n")
        # A parent that dies tells nobody: its child has to look.
        while os.getppid() == parent and not stop.wait(0.5):
            continue
    return 0


def write_private(path: Path, text: str) -> None:
    """Write a file that others cannot read and that is either complete or absent."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.touch(mode=0o600)
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


if __name__ == "__main__":
    sys.exit(main())
