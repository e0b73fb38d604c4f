"""By how much this process grows, as Linux counts it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

PROC = Path("/proc/self")


def growth_mb() -> Callable[[], float]:
    """Begin to measure, and return what tells by how many MB the process has grown at most since then."""
    before = _kilobytes("VmRSS")
    (PROC / "clear_refs").write_text("5")  # the peak starts anew
    return lambda: (_kilobytes("VmHWM") - before) / 1024


def _kilobytes(name: str) -> int:
    lines = (PROC / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
