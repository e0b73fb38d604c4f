"""
A new interpreter that serves several processes: ``python -m benchmarks.fleet_interpreter SOCKET COUNT``.

It has imported what a Dag file does, and used nothing. It forks for all but the last of COUNT, which it is itself.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

from benchmarks import fleet_tasks  # noqa: F401  # what a Dag file imports
from tests.support import nursery


def main(path: str, count: int) -> None:
    """Be a process for each of *count* who connect."""
    nursery.warm_up_airflow()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are reaped by the kernel
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{path}.new")
    listener.listen(count)
    Path(f"{path}.new").rename(path)
    for left in reversed(range(count)):
        connection, _ = listener.accept()
        if left == 0 or os.fork() == 0:
            listener.close()
            nursery.serve_and_end(connection)
        connection.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
