"""One real Airflow for the whole session, in which every Dag of the system tests runs once."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from demo.run import DAGS as EXAMPLE_DAGS
from demo.server import DemoServer
from demo.standalone import Standalone
from tests.support.patient_airflow import patient
from tests.system.running import SYSTEM_DAGS, SystemRun, run_everything

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
TIMEOUT_S = 1800


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the first test of each Airflow the time that it takes to start and to run every Dag on a slow machine."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))


@pytest.fixture(scope="session")
def system_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemRun]:
    """Start Airflow, create the connections as the form does, and run every Dag to its end."""
    home = tmp_path_factory.mktemp("airflow")
    dags = tmp_path_factory.mktemp("dags")
    for folder in (EXAMPLE_DAGS, SYSTEM_DAGS):
        shutil.copytree(folder, dags, dirs_exist_ok=True)

    with DemoServer() as server, Standalone(home, dags, patient()) as airflow:
        try:
            yield run_everything(server, airflow)
        except Exception as error:
            error.add_note(airflow.what_failed())
            raise
