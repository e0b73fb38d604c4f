"""A connection that Airflow's own command line adds, exports and imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from airflow.models.connection import Connection

from airflow_oauth_provider.config import ProviderConfig
from airflow_oauth_provider.connection import ConnectionFields, ConnectionSettings, read_connection
from tests.support.made_up import API_URL, CLIENT_ID, TOKEN_URL, connection_uri, fields

SECRET = "p@ss:word/+ %&=#?é"
EXTRA: dict[str, Any] = {
    "base_url": API_URL,
    "scope": "orders:read orders:write",
    "extra_params": {"tenant": "acme & sons"},
    "secret_headers": {"X-Api-Key": "made-up-key=="},
    "leeway": 30,
    "timeout": "5,20",
    "allow_http": True,
}

Airflow = Callable[..., str]


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Airflow:
    """Return the command line of an Airflow with a database of its own."""
    home = tmp_path_factory.mktemp("airflow")
    command = Path(sys.executable).with_name("airflow")
    database = f"sqlite:///{home}/airflow.db"
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }

    def run(*arguments: str) -> str:
        done = subprocess.run([command, *arguments], capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("db", "migrate")
    return run


def read(connection: Connection) -> ConnectionSettings:
    return read_connection(cast("ConnectionFields", connection), ProviderConfig())


def exported(airflow: Airflow, folder: Path, kind: str) -> str:
    path = folder / f"connections.{kind}"
    airflow("connections", "export", str(path))
    return path.read_text()


@pytest.mark.parametrize("way", ["options", "json", "uri"])
def test_a_connection_that_the_command_line_added_is_exported_as_it_was_meant(
    airflow: Airflow, tmp_path: Path, way: str
) -> None:
    name = f"shop_{way}"
    plain = {
        "conn_type": "oauth2",
        "host": TOKEN_URL,
        "login": CLIENT_ID,
        "password": SECRET,
        "extra": json.dumps(EXTRA),
    }
    options = {key: key if key.startswith("conn") else f"conn_{key}" for key in plain}
    arguments = {
        "options": [f"--{option.replace('_', '-')}={plain[key]}" for key, option in options.items()],
        "json": ["--conn-json", json.dumps({**plain, "extra": EXTRA})],
        "uri": ["--conn-uri", connection_uri(EXTRA, SECRET)],
    }  # fmt: skip
    expected = read_connection(fields(EXTRA, password=SECRET), ProviderConfig())
    airflow("connections", "add", name, *arguments[way])

    as_json = json.loads(exported(airflow, tmp_path, "json"))[name]
    assert read(Connection.from_json(json.dumps({k: v for k, v in as_json.items() if k != "description"}))) == expected
    lines = dict(line.split("=", 1) for line in exported(airflow, tmp_path, "env").splitlines())
    assert read(Connection(uri=lines[name])) == expected

    (tmp_path / "again.json").write_text(json.dumps({f"again_{way}": as_json}))
    airflow("connections", "import", str(tmp_path / "again.json"))
    again = json.loads(exported(airflow, tmp_path, "json"))[f"again_{way}"]
    assert again == as_json


def test_the_provider_is_listed_with_its_connection_type_and_settings(airflow: Airflow) -> None:
    assert any(
        p["package_name"] == "airflow-oauth-provider" for p in json.loads(airflow("providers", "list", "-o", "json"))
    )
    hooks = json.loads(airflow("providers", "hooks", "-o", "json"))
    assert [hook["class"] for hook in hooks if hook["connection_type"] == "oauth2"] == [
        "airflow_oauth_provider.hooks.oauth2.OAuth2Hook"
    ]
    # The default, which stands for file://; an option that is not declared would be an error.
    assert airflow("config", "get-value", "oauth2", "token_store").strip() == ""
