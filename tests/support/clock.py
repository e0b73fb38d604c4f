"""A clock that tests set, for code that asks ``time.time`` and ``time.monotonic``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


class Clock:
    """
    Runs like the real clock, from wherever it was set to.

    ``time_machine`` leaves the monotonic clock alone, and the rules on tokens are about both.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._wall, self._monotonic = time.time, time.monotonic
        self._wall_offset_s = self._monotonic_offset_s = 0.0
        self.slept: list[float] = []
        monkeypatch.setattr(time, "time", self.time)
        monkeypatch.setattr(time, "monotonic", self.monotonic)

    def time(self) -> float:
        return self._wall() + self._wall_offset_s

    def monotonic(self) -> float:
        return self._monotonic() + self._monotonic_offset_s

    def stand_still(self) -> None:
        """Let time pass by what the test does alone: a machine that stalls is of no concern then."""
        wall, monotonic = self._wall(), self._monotonic()
        self._wall, self._monotonic = lambda: wall, lambda: monotonic

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self._wall_offset_s += seconds
        self._monotonic_offset_s += seconds

    def set_wall(self, seconds: float) -> None:
        """Set the wall clock forward or back, which the monotonic clock does not notice."""
        self._wall_offset_s += seconds

    def sleep(self, seconds: float) -> None:
        """Sleep without waiting."""
        self.slept.append(seconds)
        self.advance(seconds)

    def skip_sleeps(self) -> None:
        """Let every ``time.sleep`` pass at once, those between two attempts included."""
        from airflow_oauth_provider.retry import RetryPolicy

        self._monkeypatch.setattr(time, "sleep", self.sleep)
        # The default was bound when the module was imported.
        self._monkeypatch.setitem(RetryPolicy.retrying.__kwdefaults__ or {}, "sleep", self.sleep)

    def skip_pauses(self) -> None:
        """Let the pauses of a pull pass at once."""
        self._monkeypatch.setattr("airflow_oauth_provider.http.pace.Pace.sleep", lambda _, seconds: self.sleep(seconds))
