"""A server of each test's own, connections to it, pulls from it, and processes that are cold."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.patience import PATIENT, be_patient
from tests.support.processes import Nursery
from tests.support.servers import OAuthServer, Reply, Seen

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
    from tests.support.documented_runs import World

# Long enough for the fast way of the seal: scrypt for forty processes is not what these tests are about.
CLIENT_ID = "made-up-client"
CLIENT_SECRET = 'made-up p@ss:word/+ %&= "quoted" <secret> of 48 chars'

Connection = Callable[..., str]
Environment = Callable[..., dict[str, str]]
Pull = Callable[..., list[Any]]


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    with Nursery() as running:
        yield running


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may sit behind a proxy, and have certificates of their own."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def patient_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that this machine stalls is not what these tests look for; those that do name ``OWN_LIMITS``."""
    be_patient(monkeypatch)


@pytest.fixture
def server() -> Iterator[OAuthServer]:
    with OAuthServer() as running:
        yield running


def connection_json(token_url: str, base_url: str, **changes: Any) -> str:
    """Return a connection as ``AIRFLOW_CONN_…`` holds it; *changes* go to ``login``, ``password`` or the extra."""
    standard = {"login": CLIENT_ID, "password": CLIENT_SECRET, "host": token_url}
    for name in list(standard):
        standard[name] = changes.pop(name, standard[name])
    return json.dumps({"conn_type": "oauth2", **standard, "extra": {"base_url": base_url, "scope": "read", **changes}})


@pytest.fixture
def environment(server: OAuthServer, tmp_path: Path) -> Environment:
    """Return a function that makes the environment of a process with the connection ``shop`` and a store."""

    def make(**changes: Any) -> dict[str, str]:
        (tmp_path / "tmp").mkdir(exist_ok=True)
        return {
            "AIRFLOW_HOME": str(tmp_path),
            "TMPDIR": str(tmp_path / "tmp"),
            "AIRFLOW_CONN_SHOP": connection_json(f"{server.url}/token", f"{server.url}/api", **changes),
            **PATIENT,
        }

    return make


@pytest.fixture
def discovering(server: OAuthServer, environment: Environment) -> Environment:
    """Return a function that makes the environment of a process whose connection names the issuer."""

    def make(*allowed: str, **changes: Any) -> dict[str, str]:
        made = environment(**{"host": server.url, "discover": True, **changes})
        return {**made, "AIRFLOW__OAUTH2__ALLOWED_TOKEN_ENDPOINTS": " ".join(allowed)} if allowed else made

    return make


@pytest.fixture
def connect(server: OAuthServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Connection:
    """Return a function that makes the connection ``shop`` for this process, with a store of this test's own."""
    monkeypatch.setenv("AIRFLOW__OAUTH2__TOKEN_STORE", (tmp_path / "store").as_uri())

    def make(**changes: Any) -> str:
        token_url = changes.pop("host", f"{server.url}/token")
        base_url = changes.pop("base_url", f"{server.url}/api")
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", connection_json(token_url, base_url, **changes))
        return "shop"

    return make


@pytest.fixture
def hook(connect: Connection) -> OAuth2Hook:
    from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook

    return OAuth2Hook(oauth2_conn_id=connect())


@pytest.fixture
def pull(server: OAuthServer, hook: OAuth2Hook) -> Pull:
    """Return a function that pulls the records of one body, which the API repeats when asked again."""
    from tests.support.paged_api import serve

    def run(body: Any, content_type: str = "", headers: dict[str, str] | None = None, **options: Any) -> list[Any]:
        sent = {**({"Content-Type": content_type} if content_type else {}), **(headers or {})}
        serve(server, lambda _: Reply(200, body, sent))
        return list(hook.records("items", **options))

    return run


@pytest.fixture
def world(server: OAuthServer, connect: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return everything that the code of the guide wants."""
    from tests.support.documented_runs import World

    connect()
    return World.of(server, tmp_path, monkeypatch)


@pytest.fixture
def everything(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Record every logger from DEBUG on, without Airflow's masking, which other handlers than Airflow's lack too."""
    with caplog.at_level(logging.DEBUG):
        for name in ("urllib3", "requests", "airflow_oauth_provider", "airflow", "filelock"):
            caplog.set_level(logging.DEBUG, logger=name)
        yield caplog


def first_then_good(server: OAuthServer, *replies: Reply) -> Callable[[Seen], Reply]:
    """Return what an API does that answers *replies* one after the other, and then as it should."""
    waiting = list(replies)
    return lambda seen: waiting.pop(0) if waiting else server.checked(seen)


def slow(server: OAuthServer, seconds: float) -> Callable[[Seen], Reply]:
    """Return what a token endpoint does that takes its time."""

    def script(_: Seen) -> Reply:
        server.stopping.wait(seconds)
        return server.issue()

    return script


def fingerprint_of(seen: Seen) -> str:
    """Return the fingerprint of the token in a request to an API."""
    return hashlib.sha256(seen.headers["authorization"].removeprefix("Bearer ").encode()).hexdigest()[:6]
