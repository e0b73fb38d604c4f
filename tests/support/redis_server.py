"""A real Redis or Valkey on loopback, from the binary that the machine has, that ends with the tests."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from tests.support.requirements import require
from tests.support.servers import free_port

if TYPE_CHECKING:
    import redis

    from tests.support.certificates import Authority

START_TIMEOUT_S = 120.0

# The shell waits at its stdin, which closes when whoever started it ends, killed or not: then the server goes, too.
# What ends a whole process group, as Ctrl-C does, must not keep it from cleaning up.
KEEPER = """
trap '' INT TERM
"$1" "$2/redis.conf" </dev/null >"$2/log" 2>&1 &
echo $!
read -r _
kill -KILL $! 2>/dev/null
wait
rm -rf "$2"
"""


def binary() -> str | None:
    """Return the path of the server, None where neither Redis nor Valkey is installed."""
    return shutil.which("redis-server") or shutil.which("valkey-server")


class RedisServer:
    """
    A server that keeps nothing on disk; a context manager. The test is skipped where there is none.

    >>> with RedisServer(password="made-up", maxmemory="3mb") as server: ...

    Where it listens stays the same from one start to the next.

    :param password: that it asks for
    :param unix_socket: listen there alone
    :param authority: speak TLS alone, with a certificate of that authority
    :param directives: for its configuration, with ``_`` for ``-``: ``replicaof="127.0.0.1 1"`` makes a read-only one
    """

    def __init__(
        self,
        *,
        password: str | None = None,
        unix_socket: bool = False,
        authority: Authority | None = None,
        **directives: str,
    ) -> None:
        found = binary()
        require(found is not None, "redis-server or valkey-server")
        self._binary = str(found)
        self._password = password
        self._authority = authority
        self._folder = Path(tempfile.mkdtemp(prefix="redis-"))
        self._socket = self._folder / "socket" if unix_socket else None
        self.port = 0 if unix_socket else free_port()
        self._directives = {**self._listening(), "save": '""', "dir": str(self._folder), **directives}
        if password is not None:
            self._directives["requirepass"] = f'"{password}"'
        self._keeper: subprocess.Popen[str] | None = None
        self._clients: list[redis.Redis] = []
        self.pid = 0

    @property
    def url(self) -> str:
        """As ``[oauth2] token_store`` takes it."""
        return self.url_for(f":{quote(self._password, safe='')}" if self._password is not None else "")

    def url_for(self, user: str) -> str:
        """
        Return the URL for somebody else.

        :param user: with password, as it stands before the ``@``
        """
        place = f"{user}@" if user else ""
        if self._socket is not None:
            return f"unix://{place}{self._socket}"
        place += f"127.0.0.1:{self.port}/0"
        if self._authority is not None:
            return f"rediss://{place}?ssl_ca_certs={self._authority.bundle}"
        return f"redis://{place}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients:
            client.close()
        self.kill()

    def client(self) -> redis.Redis:
        """Return a client for whoever looks into it; it is closed with the server."""
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        client = redis.Redis.from_url(self.url, retry=Retry(NoBackoff(), 1), socket_timeout=START_TIMEOUT_S)
        self._clients.append(client)
        return client

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        text = "".join(f"{name.replace('_', '-')} {value}\n" for name, value in self._directives.items())
        (self._folder / "redis.conf").write_text(text, encoding="utf-8")
        self._keeper = subprocess.Popen(
            ["sh", "-c", KEEPER, "keeper", self._binary, str(self._folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = int(self._keeper.stdout.readline()) if self._keeper.stdout else 0
        self._wait_until_it_answers()

    def kill(self) -> None:
        """End it at once, without a word to anybody."""
        if self._keeper is not None:
            self._keeper.communicate()
            self._keeper = None

    def stop(self) -> None:
        """End it as a service manager does."""
        os.kill(self.pid, signal.SIGTERM)
        give_up_at = time.monotonic() + START_TIMEOUT_S
        while self._answers() and time.monotonic() < give_up_at:
            time.sleep(0.01)
        self.kill()

    def restart(self) -> None:
        """Stop it and start it again, empty."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Let it hang: connections are taken, and nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def log(self) -> str:
        """Return what it has logged since it was started."""
        return (self._folder / "log").read_text(encoding="utf-8", errors="replace")

    def _listening(self) -> dict[str, Any]:
        if self._socket is not None:
            return {"port": 0, "unixsocket": str(self._socket), "unixsocketperm": 700}
        if self._authority is not None:
            pem = self._authority.server_pem()
            tls = {"tls-cert-file": pem, "tls-key-file": pem, "tls-ca-cert-file": self._authority.bundle}
            return {"bind": "127.0.0.1", "port": 0, "tls-port": self.port, "tls-auth-clients": "no", **tls}
        return {"bind": "127.0.0.1", "port": self.port}

    def _answers(self) -> bool:
        import redis

        client = redis.Redis.from_url(self.url, retry=None)
        try:
            # One that is loading or refuses is there, too.
            with suppress(redis.ResponseError):
                client.ping()
        except (redis.ConnectionError, redis.TimeoutError):
            return False
        finally:
            client.close()
        return True

    def _wait_until_it_answers(self) -> None:
        give_up_at = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if time.monotonic() > give_up_at:
                raise ChildProcessError(self.log()[-2000:])
            time.sleep(0.01)
