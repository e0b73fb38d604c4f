"""One ``airflow standalone`` in a home of its own: started, watched, and stopped with all its processes."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

from demo.airflow_api import AirflowApi

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

EXCEPTION_KEYS = ("exc_type", "exc_value")


class AirflowStoppedError(RuntimeError):
    """The standalone Airflow ended by itself; its output says why."""


class Standalone:
    """
    A context manager around ``airflow standalone`` with LocalExecutor and SQLite.

    :param home: AIRFLOW_HOME; created when missing
    :param dags: the folder of the Dag files
    :param settings: further environment variables
    """

    def __init__(self, home: Path, dags: Path, settings: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.output = home / "standalone.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.api = AirflowApi(self.url, self._check_alive)
        self.arguments = ["standalone"]
        self.environment = {
            **airflow_environment(home, dags),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "6",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            # The log servers have fixed ports by default, which another Airflow may hold.
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            # A busy machine exceeds Airflow's own limits; what a task tells the API server twice may fail it.
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "300",
            "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "300",
            **(settings or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.home.mkdir(parents=True, exist_ok=True)
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(
                ["airflow", *self.arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A session of its own, so that all of it can be stopped at once.
                start_new_session=True,
            )
        try:
            self.api.log_in()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self, *, patience_s: float = 5) -> None:
        """End every process of the session: politely, then for good."""
        if self._process is None:
            return
        try:
            self._process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience_s)
        finally:
            # Also when a second Ctrl-C comes while we wait.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    @property
    def pid(self) -> int:
        """The process above all others of this Airflow."""
        if self._process is None:
            raise AirflowStoppedError("airflow has not been started")
        return self._process.pid

    def what_failed(self, lines: int = 30) -> str:
        """Say which tasks failed and why; where none did, return the last lines that Airflow wrote."""
        task_logs = sorted((self.home / "logs").glob("dag_id=*/**/*.log"))
        if errors := [f"{path}\n    {error}" for path in task_logs for error in task_errors(path)]:
            return "\n".join(errors)
        output = self.output.read_text(encoding="utf-8", errors="replace") if self.output.exists() else ""
        return "\n".join(output.splitlines()[-lines:])

    def _check_alive(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            raise AirflowStoppedError(f"airflow {self.arguments[0]} ended with code {self._process.returncode}")


def airflow_environment(home: Path, dags: Path) -> dict[str, str]:
    """
    Return the environment of an Airflow that shares nothing with one that the caller may have.

    The folder of this interpreter comes first on PATH: standalone starts its parts by the name ``airflow``.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    return {
        **inherited,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # Many processes share SQLite here: each waits for its turn to write longer than the usual 5 s.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db?timeout=60",
        "NO_COLOR": "1",
        "PYTHONUNBUFFERED": "1",
    }


def task_errors(task_log: Path) -> list[str]:
    """Return the errors in a task's log, which holds one JSON object per line: what happened, and the exception."""
    errors = []
    for line in task_log.read_text(encoding="utf-8").splitlines():
        # A task that was killed may have left half a line.
        entry = json.loads(line) if line.endswith("}") else {}
        if entry.get("level") in {"error", "critical"}:
            exception = (entry.get("error_detail") or [{}])[0]
            errors.append(": ".join([entry["event"], *(exception[key] for key in EXCEPTION_KEYS if key in exception)]))
    return errors


def free_port() -> int:
    """
    Return a loopback port that nobody listens on.

    It is none of those that systems hand out by themselves: until Airflow listens, half a minute later, one of its own
    connections, or the next server of a test, might get it.
    """
    for port in random.sample(range(10_000, 32_000), 100):
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise OSError("Of a hundred loopback ports none is free")
