"""The commands on a metadata database of their own, by both programs."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from demo.run import DAGS
from demo.standalone import airflow_environment
from tests.support.made_up import CLIENT_ID, SECRET
from tests.support.patient_airflow import patient
from tests.support.servers import OAuthServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class CommandLine:
    """Programs with a metadata database of their own."""

    home: Path
    server: OAuthServer

    def run(self, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
        environment = {**airflow_environment(self.home, DAGS), **patient(), **settings}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)

    def connect(self) -> None:
        """Add connections to the database: three of type oauth2, one of them broken, and one of another type."""
        shop: dict[str, Any] = {
            "conn_type": "oauth2",
            "host": f"{self.server.url}/token",
            "login": CLIENT_ID,
            "password": SECRET,
            "extra": json.dumps({"base_url": f"{self.server.url}/api"}),
        }
        connections = {
            "shop": shop,
            "billing": {**shop, "login": "made-up-billing"},
            "broken": {**shop, "host": "login.example.com"},
            "web": {"conn_type": "http", "host": "https://www.example.com"},
        }
        file = self.home / "connections.json"
        file.write_text(json.dumps(connections))
        added = self.run("airflow", "connections", "import", str(file))
        assert added.returncode == 0, added.stderr


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("airflow")


@pytest.fixture(scope="module")
def empty(home: Path) -> Iterator[CommandLine]:
    with OAuthServer() as server:
        command_line = CommandLine(home, server)
        migrated = command_line.run("airflow", "db", "migrate")
        assert migrated.returncode == 0, migrated.stderr
        yield command_line


@pytest.fixture(scope="module")
def connected(empty: CommandLine) -> CommandLine:
    empty.connect()
    return empty


@pytest.fixture(params=[("airflow-oauth2",), ("airflow", "oauth2")], ids=" ".join)
def program(request: pytest.FixtureRequest) -> tuple[str, ...]:
    from airflow import __version__

    if request.param[0] == "airflow" and __version__.startswith(("2.", "3.0", "3.1")):
        pytest.skip(f"not applicable: Airflow {__version__} takes no commands from providers")
    command: tuple[str, ...] = request.param
    return command


def test_without_a_database_status_says_what_to_do(tmp_path: Path) -> None:
    with OAuthServer() as server:
        done = CommandLine(tmp_path, server).run("airflow-oauth2", "status")
    assert (done.returncode, done.stdout) == (1, "")
    assert "airflow db migrate" in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_connections_status_says_which_cannot_be_listed(empty: CommandLine) -> None:
    done = empty.run("airflow-oauth2", "status")
    assert (done.returncode, done.stderr) == (0, "")
    assert "no connection of type oauth2" in done.stdout
    assert "environment variables and secrets backends cannot be listed" in done.stdout


def test_status_without_names_shows_the_connections_of_the_database(
    connected: CommandLine, program: tuple[str, ...]
) -> None:
    done = connected.run(*program, "status", "--output", "json")
    rows = json.loads(done.stdout)
    assert [(row["conn_id"], row["state"] == "error") for row in rows] == [
        ("billing", False),
        ("broken", True),
        ("shop", False),
    ]
    assert done.returncode == 1
    assert done.stderr.startswith("broken: ")
    assert done.stderr.count("\n") == 1


def test_all_commands_share_the_token_of_a_connection_of_the_database(
    connected: CommandLine, program: tuple[str, ...]
) -> None:
    done = connected.run(*program, "token", "shop", "--reveal")
    (token,) = connected.server.tokens
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{token}\n", "")


def test_a_command_that_fails_says_why_in_a_line_and_exits_with_1(
    connected: CommandLine, program: tuple[str, ...]
) -> None:
    done = connected.run(*program, "forget", "web")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Connection 'web' is of type 'http', not 'oauth2'.\n"


def test_the_connection_of_a_team_is_found(connected: CommandLine) -> None:
    teams = {"AIRFLOW__CORE__MULTI_TEAM": "True"}
    created = connected.run("airflow", "teams", "create", "red", **teams)
    if "invalid choice: 'teams'" in created.stderr:
        pytest.skip("not applicable: this Airflow has no teams")
    assert created.returncode == 0, created.stderr
    owned = (
        "from airflow.models.connection import Connection; from airflow.utils.session import create_session\n"
        "with create_session() as session:\n"
        "    session.query(Connection).filter_by(conn_id='billing').update({'team_name': 'red'})"
    )
    assert connected.run(sys.executable, "-c", owned).returncode == 0
    done = connected.run("airflow-oauth2", "status", "billing", "--output", "json", **teams)
    assert (done.returncode, json.loads(done.stdout)[0]["error"]) == (0, None)
