"""
Real processes that begin cold and at one moment, without paying for forty imports of Airflow.

A *nursery* is one process that has imported everything and used nothing. It forks a child for each connection to its
socket, so every child is a process with an untouched package, and it has no threads that a fork could break. What a
child runs is a function of a module, :mod:`tests.support.worker` for most, named over the socket; its result comes back
as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PROJECT = Path(__file__).resolve().parents[2]
RESULT_TIMEOUT_S = 150.0


@dataclass(frozen=True)
class Outcome:
    """
    What became of a function in a process of its own.

    :param value: what it returned
    :param error: name of the class of what it raised
    :param facts: ``status_code``, ``error``, ``retry_after_s``, ``permanent`` of that
    :param seconds: from the barrier to the end
    :param log: what the package logged, from level INFO on
    """

    value: Any
    error: str | None
    message: str
    facts: dict[str, Any]
    seconds: float
    log: list[str] = field(default_factory=list)


class Worker:
    """A forked process: it waits at a barrier until :meth:`go`."""

    def __init__(self, path: str, request: dict[str, Any]) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(RESULT_TIMEOUT_S)
        self._socket.connect(path)
        self._lines = self._socket.makefile("rw", encoding="utf-8")
        self._send(request)
        self.pid: int = self._receive()["pid"]

    def go(self) -> None:
        self._send({"go": True})

    def result(self, within_s: float = RESULT_TIMEOUT_S) -> Outcome:
        """Wait for the end of the function."""
        self._socket.settimeout(within_s)
        try:
            return Outcome(**self._receive())
        finally:
            self.close()

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def close(self) -> None:
        with suppress(OSError):
            self._lines.close()
        self._socket.close()

    def end(self) -> None:
        """Kill the process, which may be stopped or may wait."""
        with suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)
        self.close()

    def _send(self, message: dict[str, Any]) -> None:
        self._lines.write(json.dumps(message) + "\n")
        self._lines.flush()

    def _receive(self) -> dict[str, Any]:
        line = self._lines.readline()
        if not line:
            raise ChildProcessError("the process ended without a word")
        message: dict[str, Any] = json.loads(line)
        return message


class Nursery:
    """Where processes come from; a context manager."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="nursery-")
        self._path = f"{self._folder.name}/socket"
        unwanted = ("AIRFLOW", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
        environment = {name: value for name, value in os.environ.items() if not name.upper().startswith(unwanted)}
        environment |= {"AIRFLOW_HOME": f"{self._folder.name}/home", "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        self.log = Path(self._folder.name, "log")
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.nursery", self._path],
                cwd=PROJECT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> Self:
        give_up_at = time.monotonic() + 300
        while not Path(self._path).exists():
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                raise ChildProcessError(self.log.read_text(errors="replace")[-2000:])
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    def start(self, function: Callable[..., Any], environment: Mapping[str, str], **arguments: Any) -> Worker:
        """Return a process that will call *function*, found under its name in its module, under *environment*."""
        return Worker(self._path, request_for(function, environment, arguments))

    def run_one(self, function: Callable[..., Any], environment: Mapping[str, str], **arguments: Any) -> Outcome:
        """Call *function* in a cold process, and return what became of it."""
        (outcome,) = self.run(1, function, environment, **arguments)
        return outcome

    def run(
        self, count: int, function: Callable[..., Any], environment: Mapping[str, str], **arguments: Any
    ) -> list[Outcome]:
        """Call *function* in *count* cold processes, all from one moment on, and return what became of them."""
        workers: list[Worker] = []
        try:
            while len(workers) < count:
                workers.append(self.start(function, environment, **arguments))
            return run_together(workers)
        finally:
            end_all(workers)


def request_for(
    function: Callable[..., Any], environment: Mapping[str, str], arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a process is told that will call *function*."""
    return {
        "module": function.__module__,
        "function": function.__name__,
        "environment": dict(environment),
        "arguments": dict(arguments),
    }


def run_together(workers: list[Worker], within_s: float = RESULT_TIMEOUT_S) -> list[Outcome]:
    """Let *workers* begin at one moment and return what became of them."""
    try:
        for worker in workers:
            worker.go()
        return [worker.result(within_s) for worker in workers]
    finally:
        end_all(workers)


def end_all(workers: list[Worker]) -> None:
    for worker in workers:
        worker.end()


def wait_until(condition: Callable[[], object], *, within_s: float = 30.0) -> None:
    """Return once *condition* holds; fail when it does not come to hold in time."""
    give_up_at = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"waited {within_s:g} s in vain")
        time.sleep(0.01)
