"""How far the memory of this process grows."""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc/self")


class MemoryGrowth:
    """What this process holds at its peak beyond what it holds when this object is made."""

    def __init__(self) -> None:
        gc.collect()
        with suppress(OSError, AttributeError):
            # What the imports freed would otherwise be taken again, and no growth would show.
            ctypes.CDLL(None).malloc_trim(0)
        with suppress(OSError):
            (_PROC / "clear_refs").write_text("5")  # the peak begins anew
        self._before = _held_bytes("VmRSS")

    def mib(self) -> float:
        """Return the growth so far, in MiB."""
        return max(0, _held_bytes("VmHWM") - self._before) / 2**20


def _held_bytes(name: str) -> int:
    """Return a figure of ``/proc/self/status``; where there is none, the highest peak ever, which shows less growth."""
    if not (_PROC / "status").exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    lines = (_PROC / "status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))
