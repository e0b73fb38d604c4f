"""What the calls of one pull share: the pause that one of them was asked for, and how many there were."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from airflow_oauth_provider.retry import THROTTLING_STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests


class Stopped(Exception):  # noqa: N818  # nothing went wrong
    """The pull has ended: nobody waits for this call any more."""


class Pace:
    """Shared by the threads of a pull; ``retries`` counts the attempts that failed and were tried again."""

    def __init__(self) -> None:
        self.retries = 0
        self._not_before = 0.0
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._coming: list[requests.Response] = []
        self._broken_off = False

    def wait(self) -> None:
        """
        Return when the next request may be sent.

        :raises Stopped: the pull has ended meanwhile
        """
        while (left_s := self._not_before - time.monotonic()) > 0:
            self.sleep(left_s)
        if self._stopped.is_set():
            raise Stopped

    def sleep(self, seconds: float) -> None:
        """
        Sleep until the time is over.

        :raises Stopped: the pull has ended meanwhile
        """
        if self._stopped.wait(seconds):
            raise Stopped

    def paused(self, error: BaseException | None, seconds: float) -> None:
        """Count an attempt that comes again after a pause; all others wait, too, when the API asked for it."""
        with self._lock:
            self.retries += 1
            if getattr(error, "status_code", None) in THROTTLING_STATUSES:
                self._not_before = max(self._not_before, time.monotonic() + seconds)

    @contextmanager
    def receiving(self, response: requests.Response) -> Iterator[None]:
        """
        Be within this while a body comes, so that :meth:`break_off` ends it.

        :raises Stopped: it was called already
        """
        with self._lock:
            if self._broken_off:
                raise Stopped
            self._coming.append(response)
        try:
            yield
        finally:
            with self._lock:
                self._coming.remove(response)

    def stop(self) -> None:
        """Wake all that sleep, and let nobody send any more."""
        self._stopped.set()

    def break_off(self) -> None:
        """Receive nothing more, however slowly it comes; connections that receive are lost."""
        with self._lock:
            self._broken_off = True
            for response in self._coming:
                # What has no connection any more raises.
                with suppress(Exception):
                    response.raw.shutdown()
