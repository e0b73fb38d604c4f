"""One Airflow for metrics, spans and retries."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from demo.standalone import Standalone
from tests.support.requirements import require
from tests.support.telemetry import Collector, StatsD
from tests.system.telemetry.run import DAGS, Shop, TelemetryRun, environment, run_everything

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def telemetry_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TelemetryRun]:
    require(find_spec("statsd") is not None, "the library statsd")
    home = tmp_path_factory.mktemp("airflow")
    with (
        StatsD() as statsd,
        Collector() as collector,
        Shop() as shop,
        Standalone(home, DAGS, environment(shop, statsd, collector)) as airflow,
    ):
        try:
            yield run_everything(shop, airflow, statsd, collector)
        except Exception as error:
            error.add_note(airflow.what_failed())
            raise
