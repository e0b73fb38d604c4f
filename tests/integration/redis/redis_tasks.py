"""What the processes of these tests do, besides :mod:`tests.support.worker`."""

from __future__ import annotations

import os
import resource

from tests.support.worker import hook

PAUSE = "pause"


def call_as_one_and_another(other: dict[str, str]) -> list[int]:
    """
    Return the statuses of calls by one connection, and then by another.

    :param other: the environment from then on; nothing is held in memory for that connection
    """
    statuses = [hook().request("GET", endpoint).status_code for endpoint in ("first", PAUSE)]
    os.environ.update(other)
    return [*statuses, hook().request("GET", "second").status_code]


def call_and_weigh() -> tuple[int, int]:
    """Return the status of a call, and by how many MiB the process grew."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status = hook().request("GET", "orders").status_code
    return status, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
