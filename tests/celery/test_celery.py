"""CeleryExecutor with two workers: mapped tasks on both of them share one token by way of Redis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from demo.run import DAGS
from demo.server import DemoServer
from tests.celery.fleet import CeleryFleet
from tests.support.postgres import Postgres, binaries
from tests.support.redis_server import RedisServer
from tests.support.requirements import require

if TYPE_CHECKING:
    from collections.abc import Iterator

DAG_ID = "shop_mapped_tasks"

# A fleet takes its time to start and to end its tasks on a slow machine, which is the first test's.
pytestmark = pytest.mark.timeout(1800)


@dataclass(frozen=True)
class FleetRun:
    """What is left after the mapped Dag has run once."""

    fleet: CeleryFleet
    server: DemoServer
    redis: RedisServer
    state: str
    task_instances: list[dict[str, Any]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetRun]:
    found = binaries()
    if found is None:
        require(False, "PostgreSQL")
        return
    folder = tmp_path_factory.mktemp("celery")
    with (
        DemoServer() as server,
        RedisServer(password="made-up of/redis") as redis,
        Postgres(found) as database,
        CeleryFleet(folder, DAGS, database, redis) as fleet,
    ):
        try:
            fleet.api.create_connection("shop", server.connection())
            fleet.api.wait_for_dags([DAG_ID])
            run_id = fleet.api.start([DAG_ID])[DAG_ID]
            state = fleet.api.wait_for_run(DAG_ID, run_id)
            yield FleetRun(fleet, server, redis, state, fleet.api.task_instances(DAG_ID, run_id))
        except Exception as error:
            error.add_note(fleet.what_failed())
            raise


def test_24_mapped_tasks_on_two_workers_take_one_token_request(run: FleetRun) -> None:
    assert run.state == "success", run.fleet.what_failed()
    assert len(run.task_instances) == 24
    assert run.server.ledger.counts() == {"token_requests": 1, "api_requests": 24}


def test_both_workers_ran_some_of_the_tasks(run: FleetRun) -> None:
    first, second = (len(logs) for logs in run.fleet.task_logs())
    assert first > 0
    assert second > 0
    assert first + second == 24


def test_the_token_is_in_clear_neither_in_redis_nor_in_a_log(run: FleetRun) -> None:
    client = run.redis.client()
    stored = [client.hgetall(key) for key in client.scan_iter() if client.type(key) == b"hash"]
    (token,) = run.server.ledger.issued()
    assert any(b"sealed" in entry for entry in stored)
    assert token not in repr(stored)
    assert [log for logs in run.fleet.task_logs() for log in logs if token in log] == []
