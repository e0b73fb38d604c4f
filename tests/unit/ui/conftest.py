"""The page's application as Airflow mounts it: with Airflow's own auth manager and a database of connections."""

from __future__ import annotations

import socket
import threading
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import requests
from airflow.plugins_manager import AirflowPlugin

from tests.support.made_up import fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.servers import OAuthServer


@pytest.fixture(scope="session")
def airflow_with_pages() -> None:
    if not hasattr(AirflowPlugin, "external_views"):
        pytest.skip("not applicable: Airflow below 3.1 has no pages of plugins")


@pytest.fixture(scope="session")
def database(airflow_with_pages: None) -> None:
    """Make the tables; the session's own AIRFLOW_HOME holds the file."""
    from sqlalchemy import event

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Airflow's own modules import when its server starts
        from airflow import settings
        from airflow.api_fastapi.core_api import app, security  # noqa: F401
        from airflow.models import import_all_models
        from airflow.models.base import Base

        import_all_models()  # type: ignore[no-untyped-call]

    @event.listens_for(settings.engine, "connect")
    def wait_for_ones_turn(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA busy_timeout = 60000")  # longer than this machine stalls

    assert settings.engine is not None
    settings.engine.dispose()
    Base.metadata.create_all(settings.engine)


class Visitor:
    """
    Somebody's browser.

    :param url: where the page is, with a slash at its end
    :param jwt: by which Airflow knows who it is
    """

    def __init__(self, url: str, jwt: str | None) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False
        if jwt is not None:
            self._session.headers["Cookie"] = f"_token={jwt}"

    def get(self, path: str, **options: Any) -> requests.Response:
        return self._session.get(self._url + path, timeout=60, allow_redirects=False, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return self._session.post(self._url + path, timeout=60, **options)


@dataclass
class Visited:
    """
    The page, and who comes.

    :param url: where Airflow listens
    :param manager: Airflow's auth manager
    """

    url: str
    manager: Any

    def visitor(self, role: str | None) -> Visitor:
        """Return the browser of somebody who has logged in, of somebody who has not for None."""
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

        user = SimpleAuthManagerUser(username=f"made-up-{role}", role=role.upper()) if role else None
        jwt = self.manager.generate_jwt(user) if user else None
        return Visitor(f"{self.url}/oauth2-tokens/", jwt)


@pytest.fixture(scope="session")
def airflow_url(database: None) -> Iterator[str]:
    """Serve the page as Airflow does: mounted below its name."""
    import uvicorn
    from fastapi import FastAPI

    from airflow_oauth_provider.ui.plugin import LateApp

    app, listener = FastAPI(), socket.create_server(("127.0.0.1", 0))
    app.mount("/oauth2-tokens", LateApp())
    # A connection that is closed for want of requests is closed in the midst of one where the machine stalls.
    config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None, timeout_keep_alive=600)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def visited(airflow_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Visited]:
    """Return the page, with nothing remembered and no connection yet."""
    from airflow.api_fastapi.app import create_auth_manager
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    from airflow_oauth_provider.ui import board, routes
    from airflow_oauth_provider.ui.board import Board

    # Whoever looks at a machine that stalls sees what is pending, and looks again; here, nobody does.
    monkeypatch.setattr(routes, "board", Board(round_s=60))
    monkeypatch.setattr(board, "LOOK_S", 60.0)
    monkeypatch.setenv("AIRFLOW__CORE__TEST_CONNECTION", "Enabled")
    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "made-up-jwt-secret-" * 4)
    yield Visited(airflow_url, create_auth_manager())
    with create_session() as session:
        session.execute(delete(Connection))


def store_connection(
    conn_id: str,
    server: OAuthServer | None = None,
    conn_type: str = "oauth2",
    extra: str | None = None,
    **changes: Any,
) -> None:
    """Put a connection into Airflow's database; with a *server* it leads there."""
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session

    known = fields(extra or ({"base_url": f"{server.url}/api"} if server else None), **changes)
    connection = Connection(
        conn_type=conn_type,
        host=f"{server.url}/token" if server else known.host,
        login=known.login,
        password=known.password,
        extra=known.extra,
    )
    connection.conn_id = conn_id  # names that Airflow would not take today may be in a database of old
    with create_session() as session:
        session.add(connection)
