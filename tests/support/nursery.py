"""The program behind :class:`tests.support.processes.Nursery`: ``python -m tests.support.nursery SOCKET``."""

from __future__ import annotations

import gc
import importlib
import json
import logging
import os
import signal
import socket
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

from tests.support import (
    forked_coverage,  # noqa: F401  # before what has something done after a fork
    patience,
    worker,
)

# Everything that the package imports late, so that no child pays for it; nothing of it is used here.
IMPORTS = (
    "airflow_oauth_provider.hooks.oauth2",
    "airflow_oauth_provider.config",
    "airflow_oauth_provider.connection",
    "airflow_oauth_provider.http.session",
    "airflow_oauth_provider.tokens.registry",
    "airflow_oauth_provider.tokens.deadline",
    "airflow_oauth_provider.tokens.stores.file",
    "redis.commands.core",
    "cryptography.exceptions",
    "cryptography.hazmat.primitives.ciphers.aead",
    "cryptography.hazmat.primitives.hashes",
    "cryptography.hazmat.primitives.kdf.hkdf",
    "tenacity",
)


def main(path: str) -> None:
    for name in IMPORTS:
        importlib.import_module(name)
    warm_up_airflow()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are reaped by the kernel
    gc.freeze()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{path}.new")
    listener.listen(128)
    Path(f"{path}.new").rename(path)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            serve_and_end(connection)
        connection.close()


def warm_up_airflow() -> None:
    """Let Airflow import what it imports late: a child that became another user may not be able to read it."""
    from airflow.providers.common.compat.sdk import BaseHook, mask_secret

    os.environ["AIRFLOW_CONN_WARM_UP"] = '{"conn_type": "generic", "password": "made-up-warm-up"}'
    BaseHook.get_connection("warm_up")
    mask_secret("made-up-warm-up")


def serve_and_end(connection: socket.socket) -> NoReturn:
    """Be the process that *connection* asks for, and end without what a fork has inherited."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        serve(connection)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(0)


def serve(connection: socket.socket) -> None:
    lines = connection.makefile("rw", encoding="utf-8")

    def say(message: dict[str, Any]) -> None:
        lines.write(json.dumps(message) + "\n")
        lines.flush()

    request = json.loads(lines.readline())
    os.environ.update(request["environment"])
    patience.be_as_told(os.environ)
    tempfile.tempdir = None  # the parent may have asked for it already
    function = getattr(importlib.import_module(request["module"]), request["function"])
    say({"pid": os.getpid()})
    if lines.readline():
        say(outcome(function, request["arguments"]))


def outcome(function: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    log = Memory()
    logger = logging.getLogger("airflow_oauth_provider")
    logger.addHandler(log)
    logger.setLevel(logging.INFO)
    value, error, message, facts, began = None, None, "", {}, time.monotonic()
    try:
        value = function(**arguments)
    except BaseException as raised:
        error, message, facts = type(raised).__name__, str(raised), worker.facts_of(raised)
    seconds = time.monotonic() - began
    return {"value": value, "error": error, "message": message, "facts": facts, "seconds": seconds, "log": log.lines}


class Memory(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.getMessage()}")


if __name__ == "__main__":
    main(sys.argv[1])
