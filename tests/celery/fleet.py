"""A Celery fleet on one machine: an Airflow in parts, whose workers share broker, keys and token store alone."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from demo.airflow_api import AirflowApi
from demo.standalone import Standalone
from tests.support.airflow_ui import AirflowUi
from tests.support.patient_airflow import patient
from tests.support.postgres import DATABASE, USER
from tests.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.postgres import Postgres
    from tests.support.redis_server import RedisServer

WORKERS = ("first", "second")


class Part(Standalone):
    """
    One ``airflow …`` process, in a home of its own, of an Airflow whose API server already runs.

    :param server_url: of the API server
    """

    def __init__(
        self, home: Path, dags: Path, server_url: str, settings: Mapping[str, str], arguments: list[str]
    ) -> None:
        super().__init__(home, dags, settings)
        self.api = AirflowApi(server_url, self._check_alive)
        self.arguments = arguments

    def wait_until_it_says(self, text: str) -> None:
        """Wait for *text* in what it writes."""

        def said() -> bool:
            self._check_alive()
            return text in self.output.read_text(encoding="utf-8", errors="replace")

        wait_until(said, within_s=300)


class CeleryFleet:
    """
    A context manager around API server, scheduler, Dag processor and two workers with two slots each.

    The workers are told no metadata database: what they know of connections comes from the API server.

    :param folder: below which each process has its AIRFLOW_HOME
    """

    def __init__(self, folder: Path, dags: Path, database: Postgres, redis: RedisServer) -> None:
        self._running = ExitStack()
        self._server = AirflowUi(folder / "server")
        self.api = self._server.api
        shared = shared_settings(self._server.url, redis)
        with_database = {**shared, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url_of(database)}
        self._server.environment |= {**with_database, "AIRFLOW__CORE__DAGS_FOLDER": str(dags)}
        self._parts = [
            Part(folder / name, dags, self._server.url, with_database, [name])
            for name in ("scheduler", "dag-processor")
        ]
        self.workers = [Part(folder / name, dags, self._server.url, shared, worker_arguments(name)) for name in WORKERS]

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            for part in (self._server, *self._parts, *self.workers):
                starting.enter_context(part)
            # Before there is any task: one worker could do them all while the other one still starts.
            for worker in self.workers:
                worker.wait_until_it_says(" ready.")
            self._running = starting.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def what_failed(self) -> str:
        """Return the end of what each process wrote, and the errors of tasks."""
        parts = (self._server, *self._parts, *self.workers)
        return "\n\n".join(f"{part.arguments}:\n{part.what_failed()}" for part in parts)

    def task_logs(self) -> list[list[str]]:
        """Return what tasks logged: a list for each worker, with a text for each task that it ran."""
        return [
            [path.read_text(encoding="utf-8") for path in worker.home.glob("logs/dag_id=*/**/*.log")]
            for worker in self.workers
        ]


def shared_settings(server_url: str, redis: RedisServer) -> dict[str, str]:
    """Return what all processes of a fleet agree on."""
    return {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__PARALLELISM": "24",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{server_url}/execution/",
        "AIRFLOW__CORE__FERNET_KEY": fernet_key(),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(32),
        "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(32),
        "AIRFLOW__CELERY__BROKER_URL": in_database(redis, 1),
        "AIRFLOW__CELERY__RESULT_BACKEND": in_database(redis, 2),
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": "2",
        # The tests' PostgreSQL takes thirty connections.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "3",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_MAX_OVERFLOW": "3",
        "AIRFLOW__OAUTH2__TOKEN_STORE": in_database(redis, 0),
        **patient(),
    }


def worker_arguments(name: str) -> list[str]:
    return ["celery", "worker", "--celery-hostname", name, "--skip-serve-logs"]


def in_database(redis: RedisServer, number: int) -> str:
    return f"{redis.url.rpartition('/')[0]}/{number}"


def url_of(database: Postgres) -> str:
    """Return the URL as SQLAlchemy takes it."""
    password = quote(database.password, safe="")
    return f"postgresql+psycopg2://{USER}:{password}@{database.host}:{database.port}/{DATABASE}"


def fernet_key() -> str:
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode()
