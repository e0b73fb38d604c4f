"""A Redis, an authorization server, and the many processes that know both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from tests.support.processes import (
    PROJECT,
    RESULT_TIMEOUT_S,
    Nursery,
    Outcome,
    Worker,
    end_all,
    request_for,
    run_together,
    wait_until,
)
from tests.support.redis_server import RedisServer
from tests.support.servers import OAuthServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOMES = 4
SECRET = "a-made-up-secret-of-more-than-thirty-two-characters"
START_TIMEOUT_S = 600.0

Arguments = dict[str, Any]


class Fleet:
    """
    Processes that stand for machines: each under one of four homes of Airflow, with nothing in common but the Redis.

    :param folder: for the homes
    :param lifetime_s: of the tokens
    """

    def __init__(self, folder: Path, *, lifetime_s: float = 3600.0) -> None:
        self._folder = folder
        self._redis = RedisServer()
        self.server = OAuthServer(lifetime_s=lifetime_s)
        self._running = ExitStack()

    def __enter__(self) -> Self:
        self._running.enter_context(self._redis)
        self._running.enter_context(self.server)
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def environment(self, number: int, secret: str = SECRET) -> dict[str, str]:
        """Return the environment of the process with that *number*."""
        home = self._folder / f"home-{number % HOMES}"
        home.mkdir(parents=True, exist_ok=True)
        connection = {
            "conn_type": "oauth2",
            "host": f"{self.server.url}/token",
            "login": "fleet",
            "password": secret,
            "extra": {"base_url": f"{self.server.url}/api"},
        }
        return {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__OAUTH2__TOKEN_STORE": self._redis.url,
            "AIRFLOW_CONN_SHOP": json.dumps(connection),
        }

    def run(
        self,
        nursery: Nursery,
        processes: int,
        function: Callable[..., Any],
        arguments: Callable[[int], Arguments] = lambda _: {},
        *,
        within_s: float = RESULT_TIMEOUT_S,
    ) -> list[Outcome]:
        """
        Call *function* in so many processes at once, forked from one that has imported everything and used nothing.

        :param arguments: of the process with a number
        """
        workers: list[Worker] = []
        try:
            while (number := len(workers)) < processes:
                workers.append(nursery.start(function, self.environment(number), **arguments(number)))
            return run_together(workers, within_s)
        finally:
            end_all(workers)

    def run_cold(self, processes: int, interpreters: int, function: Callable[..., Any]) -> list[Outcome]:
        """Call *function* in processes of new interpreters, once all of them are there."""
        self._folder.mkdir(exist_ok=True)
        paths = [self._folder / f"interpreter-{number}" for number in range(interpreters)]
        started: list[subprocess.Popen[bytes]] = []
        workers: list[Worker] = []
        try:
            for number, path in enumerate(paths):
                share = len(range(number, processes, interpreters))
                started.append(self._interpreter(path, share, number))
            wait_until(lambda: all(path.exists() for path in paths), within_s=START_TIMEOUT_S)
            for number in range(processes):
                request = request_for(function, self.environment(number), {})
                workers.append(Worker(str(paths[number % interpreters]), request))
            return run_together(workers, START_TIMEOUT_S)
        finally:
            end_all(workers)
            for process in started:
                process.kill()
                process.wait()

    def _interpreter(self, path: Path, share: int, number: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "benchmarks.fleet_interpreter", str(path), str(share)]
        with path.with_suffix(".log").open("wb") as log:
            environment = {**os.environ, **self.environment(number)}
            return subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=log, stderr=log)
