"""A real PostgreSQL on loopback, made from the binaries that the machine has, that ends with the tests."""

from __future__ import annotations

import getpass
import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.servers import free_port

USER = "made_up_owner"
DATABASE = "postgres"
START_TIMEOUT_S = 180.0

# The shell waits at its stdin, which closes when whoever started it ends, killed or not: then the cluster goes, too.
# A process that is just starting ignores the signal: it is sent until there is nobody to hear it.
KEEPER = """
"$1/postgres" -D "$2/data" -p "$3" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
    -c fsync=off -c synchronous_commit=off -c max_connections=30 -c autovacuum=off </dev/null >"$2/log" 2>&1 &
postgres=$!
read -r _
while kill -INT "$postgres" 2>/dev/null; do sleep 0.1; done
rm -rf "$2"
"""


def binaries() -> Path | None:
    """Return the folder of ``initdb`` and ``postgres``, None where PostgreSQL is not installed."""
    candidates = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    if pg_config := shutil.which("pg_config"):
        told = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        candidates.append(Path(told.stdout.strip()))
    # Debian keeps them off PATH, a folder for each version.
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next(
        (folder for folder in candidates if (folder / "initdb").exists() and (folder / "postgres").exists()), None
    )


class Postgres:
    """
    A cluster in a temporary folder; a context manager.

    :param folder: of the binaries, see :func:`binaries`
    """

    host = "127.0.0.1"

    def __init__(self, folder: Path) -> None:
        self._binaries = folder
        self.password = f"made-up {secrets.token_urlsafe(12)}"
        # PostgreSQL refuses to run as root; its package brings a user of this name.
        self._as_user: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []}
        if os.geteuid() != 0:
            self._as_user = {}
        self.port = 0
        self._home = Path()
        self._keeper: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._home = Path(tempfile.mkdtemp(prefix="postgres-"))
        shutil.chown(self._home, self._as_user.get("user", getpass.getuser()))
        self._initialize()
        self.port = free_port()
        self._keeper = subprocess.Popen(
            ["sh", "-c", KEEPER, "keeper", str(self._binaries), str(self._home), str(self.port)],
            stdin=subprocess.PIPE,
            cwd="/",
            **self._as_user,
        )
        give_up_at = time.monotonic() + START_TIMEOUT_S
        ready = [str(self._binaries / "pg_isready"), "-q", "-h", self.host, "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode:
            if time.monotonic() > give_up_at:
                raise ChildProcessError((self._home / "log").read_text(errors="replace")[-2000:])
            time.sleep(0.05)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._keeper is not None:
            self._keeper.communicate(timeout=120)

    def connection(self, **changes: Any) -> str:
        """Return an Airflow connection as JSON, for the environment; *changes* replace its parts."""
        standard = {"host": self.host, "port": self.port, "schema": DATABASE, "login": USER, "password": self.password}
        return json.dumps({"conn_type": "postgres", **standard, **changes})

    def _initialize(self) -> None:
        password = self._home / "password"
        password.write_text(self.password, encoding="utf-8")
        shutil.chown(password, self._as_user.get("user", getpass.getuser()))
        folder = str(self._home / "data")
        subprocess.run(
            [
                *(str(self._binaries / "initdb"), "-D", folder, "-E", "UTF8", "--locale=C", "--no-sync"),
                *("-U", USER, "-A", "scram-sha-256", "--pwfile", str(password)),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
            **self._as_user,
        )
