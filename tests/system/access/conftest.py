"""One Airflow with ``token_store = variable://``."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from demo.server import DemoServer, make_client
from demo.standalone import Standalone
from tests.support.patient_airflow import patient
from tests.system.access.run import HERE, PROJECT, RUNS, AccessRun, run_everything

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="package")
def access_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AccessRun]:
    folder = tmp_path_factory.mktemp("variables")
    shutil.copytree(HERE / "dags", folder / "dags")
    (folder / "plugins").mkdir()
    shutil.copy(HERE / "plugin.py", folder / "plugins")
    clients = [make_client(f"client-{number}") for number in range(RUNS + 1)]
    with DemoServer(clients) as server:
        in_the_environment = json.dumps({**server.connection(), "host": "https://made-up.example/token"})
        settings = {
            **patient(PROJECT),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(folder / "plugins"),
            "AIRFLOW__OAUTH2__TOKEN_STORE": "variable://",
            "AIRFLOW_CONN_IN_THE_ENVIRONMENT": in_the_environment,
        }
        with Standalone(folder / "home", folder / "dags", settings) as airflow:
            try:
                yield run_everything(server, airflow)
            except Exception as error:
                error.add_note(airflow.what_failed())
                raise
