"""One real Airflow for the whole session, in which every Dag of the system tests runs once."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from demo.run import DAGS as EXAMPLE_DAGS
from demo.server import DemoServer
from demo.standalone import Standalone
from tests.system.running import SYSTEM_DAGS, SystemRun, run_everything

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def system_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemRun]:
    """Start Airflow, create the connections as the form does, and run every Dag to its end."""
    home = tmp_path_factory.mktemp("airflow")
    dags = tmp_path_factory.mktemp("dags")
    for folder in (EXAMPLE_DAGS, SYSTEM_DAGS):
        shutil.copytree(folder, dags, dirs_exist_ok=True)

    with DemoServer() as server, Standalone(home, dags) as airflow:
        try:
            yield run_everything(server, airflow)
        except Exception as error:
            error.add_note(airflow.what_failed())
            raise
