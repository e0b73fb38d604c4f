"""The page "OAuth 2.0 tokens" of a real Airflow, whose users have different roles."""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest import mock

import requests
from playwright.sync_api import expect

from airflow_oauth_provider.exceptions import OAuth2Error
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.tokens import refusals, registry
from demo.airflow_api import AirflowApi
from demo.server import DemoServer
from tests.support.airflow_ui import AirflowUi
from tests.support.patient_airflow import patient
from tests.support.servers import OAuthServer, Reply, Seen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from playwright.sync_api import BrowserContext, FrameLocator, Locator, Page

ROLES = ("viewer", "user", "op", "admin")
PATH = "oauth2-tokens/"


WRONG_SECRET = "made-up-mistyped-secret-31415926"
HOSTILE_SCOPE = "<img/src=x/onerror=document.title='owned'>"
HOSTILE_NAME = "<img src=x onerror=\"document.title='owned'\">"
HOSTILE_TEXT = "<script>document.title='owned'</script>"


def password_of(role: str) -> str:
    """Return the password of the user who is called like the role."""
    return f"made-up-password-of-{role}"


class LoginApi(AirflowApi):
    """Airflow's REST API for an admin who has a password."""

    def log_in(self, *, timeout_s: float = 300) -> None:
        """Wait until the API server answers and take the admin's token."""

        def answer() -> str | None:
            try:
                return jwt(self._url, "admin")
            except (requests.ConnectionError, requests.Timeout):
                return None

        self._session.headers["Authorization"] = f"Bearer {self._wait_for(answer, 'the API server', timeout_s)}"


def jwt(url: str, role: str) -> str:
    """Return the token by which Airflow knows a user."""
    body = {"username": role, "password": password_of(role)}
    response = requests.post(f"{url}/auth/token", json=body, timeout=120)
    response.raise_for_status()
    token: str = response.json()["access_token"]
    return token


class RolesUi(AirflowUi):
    """Airflow's API server with one user for each role."""

    def __init__(self, home: Path, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(home)
        self.environment |= {
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{role}:{role}" for role in ROLES),
            **(settings or {}),
        }
        home.mkdir(parents=True, exist_ok=True)
        passwords = json.dumps({role: password_of(role) for role in ROLES})
        (home / "simple_auth_manager_passwords.json.generated").write_text(passwords + "\n", encoding="utf-8")
        self.api = LoginApi(self.url, self._check_alive)

    def enter(self, context: BrowserContext, role: str) -> None:
        """Give a browser the cookie of a user who has logged in."""
        context.add_cookies([{"name": "_token", "value": jwt(self.url, role), "url": self.url, "sameSite": "Lax"}])

    @contextmanager
    def as_task(self, conn_id: str, fields: Mapping[str, Any]) -> Iterator[OAuth2Hook]:
        """
        Be a process beside Airflow, such as a task on this machine, with the store that Airflow has.

        Its refusals are remembered for ten minutes from the first one on: tests look at them later.
        """
        environment = {"AIRFLOW_HOME": str(self.home), f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps(fields)}
        with mock.patch.dict("os.environ", environment), mock.patch.object(refusals, "FIRST_REFUSAL_S", 600.0):
            registry._sources.clear()
            yield OAuth2Hook(conn_id)
            registry._sources.clear()


def take_token(airflow: RolesUi, conn_id: str, fields: Mapping[str, Any], tasks: int = 1) -> list[str]:
    """Let so many tasks ask for a connection's token, one after the other; return what they got."""
    got = []
    for _ in range(tasks):
        with airflow.as_task(conn_id, fields) as hook, suppress(OAuth2Error):
            got.append(hook.get_token().value)
    return got


class TokensPage:
    """
    The page, by itself or in Airflow's frame.

    :param frame: where its document is
    """

    def __init__(self, frame: Page | FrameLocator) -> None:
        self.frame = frame

    def row(self, conn_id: str) -> Locator:
        """Return everything about one connection."""
        name = self.frame.locator("[data-is='conn_id']").get_by_text(conn_id, exact=True)
        return self.frame.locator("#table > tbody").filter(has=name)

    def part(self, conn_id: str, name: str) -> Locator:
        return self.row(conn_id).locator(f"[data-is='{name}']")

    def states(self) -> dict[str, str]:
        """Return what the badge of each connection says, once all have been looked at."""
        rows = self.frame.locator("#table > tbody")
        expect(rows.first).to_be_visible()
        expect(rows.locator("[data-is='badge']").filter(has_text="Looking…")).to_have_count(0)
        return {
            row.locator("[data-is='conn_id']").inner_text(): row.locator("[data-is='badge']").inner_text()
            for row in rows.all()
        }

    def press(self, conn_id: str, button: str) -> str:
        """Press *Test* or *Forget* and return what is said then."""
        self.row(conn_id).get_by_role("button", name=button, exact=True).click()
        said = self.part(conn_id, "said")
        expect(said).to_be_visible(timeout=60_000)
        return said.inner_text()


@dataclass
class Deployment:
    """
    An Airflow with connections in every state, whose tasks have run.

    :param fields: of each connection
    """

    airflow: RolesUi
    shop: DemoServer
    fields: dict[str, dict[str, Any]]

    @property
    def url(self) -> str:
        return f"{self.airflow.url}/{PATH}"

    @property
    def token_requests(self) -> int:
        return self.shop.ledger.counts()["token_requests"]

    def task(self, conn_id: str, tasks: int = 1) -> list[str]:
        return take_token(self.airflow, conn_id, self.fields[conn_id], tasks)


@contextmanager
def deployed(home: Path) -> Iterator[Deployment]:
    """Run an Airflow with connections in every state."""
    with (
        DemoServer() as shop,
        DemoServer(expires_in_s=1) as brief,
        hostile_server() as hostile,
        RolesUi(home, patient()) as airflow,
    ):
        fields = {
            "shop": shop.connection(),
            "billing": shop.connection(scope="orders:read"),
            "crm": {**shop.connection(), "password": WRONG_SECRET},
            "newsletter": brief.connection(),
            "warehouse": shop.connection(scope="status:read"),
            "weather": {**shop.connection(), "extra": {}},
            "hostile": {**shop.connection(), "host": f"{hostile.url}/token"},
            "hostile_refused": {**shop.connection(), "host": f"{hostile.url}/token", "login": "refused"},
        }
        for conn_id, known in fields.items():
            airflow.api.create_connection(conn_id, known)
        made = Deployment(airflow, shop, fields)
        for conn_id, tasks in {"shop": 8, "billing": 2, "crm": 2, "newsletter": 1}.items():
            made.task(conn_id, tasks)
        yield made


def hostile_server() -> OAuthServer:
    """Return an authorization server whose every text is markup."""
    server = OAuthServer()

    def answer(seen: Seen) -> Reply:
        if seen.basic()[0] == "refused":
            return Reply(400, {"error": "invalid_scope", "error_description": HOSTILE_TEXT})
        return server.issue(scope=HOSTILE_SCOPE)

    server.token_reply = answer
    return server
