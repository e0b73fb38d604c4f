"""Certified authorization servers (npm's oidc-provider) and APIs that they protect, in a process of their own."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urljoin

import requests
from filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from types import TracebackType

PROJECT = Path(__file__).resolve().parents[2]
SOURCES = PROJECT / "tests" / "integration" / "oidc"
CACHE = PROJECT / ".cache" / "oidc"
NODE = CACHE / "node_modules" / ".bin" / "node"


@dataclass(frozen=True)
class RegisteredClient:
    """
    A client as it stands in ``clients.json``, which the server reads, too.

    :param later_lifetime_s: of all its tokens but the first one, where those are to outlive the test
    """

    client_id: str
    client_secret: str
    auth_method: str
    scope: str
    lifetime_s: int
    later_lifetime_s: int | None = None


def install() -> str:
    """
    Install the server outside the sources, once for every content of ``package.json``, and for all test processes.

    :return: why it could not be installed, empty when it is there
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / "installing.lock"):
        return _install()


def _install() -> str:
    manifest = (SOURCES / "package.json").read_text(encoding="utf-8")
    done = CACHE / "installed.json"
    if done.exists() and done.read_text(encoding="utf-8") == manifest:
        return ""
    if (npm := shutil.which("npm")) is None:
        return "no npm on PATH"
    (CACHE / "package.json").write_text(manifest, encoding="utf-8")
    options = [
        "--no-audit",
        "--no-fund",
        "--package-lock=false",
        "--ignore-scripts=false",
        "--loglevel=error",
    ]
    npm_install = subprocess.run(
        [npm, "install", *options], cwd=CACHE, capture_output=True, text=True, timeout=540, check=False
    )
    if npm_install.returncode:
        return f"npm install ended with {npm_install.returncode}: {npm_install.stderr[-1000:]}"
    done.write_text(manifest, encoding="utf-8")
    return ""


class NodeServer:
    """
    A context manager around a server of ``tests/integration/oidc``; what it says of itself is in :attr:`facts`.

    :param script: its file
    :param log: for what it says while it runs
    """

    def __init__(self, script: str, log: Path) -> None:
        self.facts: dict[str, Any] = {}
        self._script = script
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self._sources: tempfile.TemporaryDirectory[str] | None = None
        self._session = requests.Session()
        self._session.trust_env = False

    @property
    def issuer(self) -> str:
        return str(self.facts["issuer"])

    @contextmanager
    def switched_on(self, switch: str) -> Iterator[None]:
        """Let the server behave in another way for a while."""
        self._control("POST", switch, {"is": "on"})
        try:
            yield
        finally:
            self._control("POST", switch, {"is": "off"})

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()
        # The closed stdin tells the server to stop, as it would when this process were killed.
        if self._process is not None:
            self._process.communicate(timeout=60)
        if self._sources is not None:
            self._sources.cleanup()

    def _start(self, *arguments: Path) -> None:
        # Modules are looked up from the importing file's folder upwards, so the sources go below where npm installed.
        self._sources = tempfile.TemporaryDirectory(dir=CACHE, prefix="running-")
        for source in (*SOURCES.glob("*.mjs"), SOURCES / "clients.json"):
            shutil.copy(source, self._sources.name)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [NODE, Path(self._sources.name) / self._script, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            raise RuntimeError(f"The server did not start: {self._log.read_text(encoding='utf-8')[-2000:]}")
        self.facts = json.loads(line)

    def _control(self, method: str, what: str, parameters: dict[str, str] | None = None) -> Any:
        origin = urljoin(self.issuer, "/")
        response = self._session.request(method, f"{origin}control/{what}", params=parameters, timeout=60)
        response.raise_for_status()
        return response.json()


class OidcServer(NodeServer):
    """
    A context manager around ``server.mjs``; all its clients are in :attr:`clients`.

    :param log: file for what the server says of itself
    """

    def __init__(self, log: Path) -> None:
        super().__init__("server.mjs", log)
        registered = json.loads((SOURCES / "clients.json").read_text(encoding="utf-8"))
        self.clients: Mapping[str, RegisteredClient] = {
            name: RegisteredClient(**client) for name, client in registered.items()
        }

    @property
    def token_url(self) -> str:
        return f"{self.issuer}/token"

    @property
    def base_url(self) -> str:
        return f"{self.issuer}/api"

    def connection(self, name: str, *, secret: str | None = None, **extra: Any) -> str:
        """
        Return a client's connection as JSON, for the environment.

        :param secret: another secret than the registered one
        :param extra: further extras, or other values for those that are always set
        """
        client = self.clients[name]
        extras = {
            "base_url": self.base_url,
            "scope": client.scope,
            "auth_method": client.auth_method,
            **extra,
        }
        return json.dumps(
            {
                "conn_type": "oauth2",
                "host": self.token_url,
                "login": client.client_id,
                "password": client.client_secret if secret is None else secret,
                "extra": extras,
            }
        )

    def token_requests(self, name: str) -> list[dict[str, Any]]:
        """Return what the client asked of the token endpoint so far: status, error, and how it sent its secret."""
        found: list[dict[str, Any]] = self._control("GET", "state", self._client(name))["token_requests"]
        return found

    def api_calls(self, name: str) -> list[dict[str, Any]]:
        """Return the calls with a token of the client: path, status and the token's fingerprint."""
        found: list[dict[str, Any]] = self._control("GET", "state", self._client(name))["api_calls"]
        return found

    def revoke(self, name: str) -> int:
        """End every living token of a client and return how many there were."""
        revoked: int = self._control("POST", "revoke", self._client(name))["revoked"]
        return revoked

    def outage(self) -> AbstractContextManager[None]:
        """Let the token endpoint answer 503 to everybody for a while."""
        return self.switched_on("outage")

    def _client(self, name: str) -> dict[str, str]:
        return {"client": self.clients[name].client_id}
