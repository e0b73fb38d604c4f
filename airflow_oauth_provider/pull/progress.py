"""How far a pull is: one line each 30 seconds, and one at its end."""

from __future__ import annotations

import time
from typing import Any

from airflow_oauth_provider.http.pace import Pace

LINE_EVERY_S = 30.0


class Progress:
    """
    Counts a pull, over all its tries.

    ``waited_s`` are the seconds that the pull waited for the API, pauses included; ``total`` is how many records there
    are, where the API tells it.

    :param log: takes the lines
    :param pages: of former tries
    :param records: of former tries
    :param seconds: of former tries
    """

    def __init__(self, log: Any, *, pages: int = 0, records: int = 0, seconds: float = 0.0) -> None:
        self._log = log
        self._began = self._said = time.monotonic()
        self._before = (records, seconds)
        self.pages = pages
        self.records = records
        self.bytes = 0
        self.waited_s = 0.0
        self.total: int | None = None
        self.pace = Pace()

    @property
    def seconds(self) -> float:
        """Seconds since the pull began, without the time between tries."""
        return self._before[1] + time.monotonic() - self._began

    def page_came(self, size: int, waited_s: float) -> None:
        """Count a page of so many bytes."""
        self.pages += 1
        self.bytes += size
        self.waited_s += waited_s

    def records_came(self, count: int) -> None:
        """Count records, and say so when it is time."""
        self.records += count
        if time.monotonic() - self._said >= LINE_EVERY_S:
            self.say("So far")

    def say(self, beginning: str) -> None:
        """Write the line."""
        self._said = time.monotonic()
        seconds = max(self._said - self._began, 1e-9)
        of_total = f" of {self.total:,}" if self.total is not None else ""
        self._log.info(
            "%s: %s pages, %s records%s, %s bytes in %.1f s (%s records/s); %d retries, %.1f s waited for the API.",
            beginning,
            f"{self.pages:,}",
            f"{self.records:,}",
            of_total,
            f"{self.bytes:,}",
            self.seconds,
            f"{(self.records - self._before[0]) / seconds:,.0f}",
            self.pace.retries,
            self.waited_s,
        )

    def summary(self) -> dict[str, Any]:
        """Return what a transfer's XCom says of the pull."""
        return {"pages": self.pages, "records": self.records, "seconds": round(self.seconds, 3)}
