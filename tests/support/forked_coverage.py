"""
Forks while coverage is measured in several threads.

Another thread may hold coverage's own lock at that moment, and the child would wait for it for ever. To be imported
before anything that has something done after a fork.
"""

from __future__ import annotations

import os
import sys
import threading


def _free_the_lock() -> None:
    collector = getattr(sys.modules.get("coverage.collector"), "Collector", None)
    for measuring in getattr(collector, "_collectors", ()):
        measuring.data_lock = threading.Lock()


os.register_at_fork(after_in_child=_free_the_lock)
