"""Sessions on an API of our own making."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from airflow_oauth_provider.http.session import ApiSession
from tests.support.made_up import api_settings
from tests.support.servers import Reply, Seen, Server
from tests.support.token_sources import Processes

UNAUTHORIZED = Reply(401, {"error": "no"}, {"WWW-Authenticate": 'Bearer error="invalid_token"'})


class Api(Server):
    """
    An API that answers from a list, and ``ok`` when that is used up.

    :param answers: replies, or functions from what was seen to a reply
    """

    def __init__(self, *answers: Reply | Callable[[Seen], Reply]) -> None:
        super().__init__(self._next)
        self.answers = list(answers)
        self._lock = threading.Lock()

    def _next(self, seen: Seen) -> Reply:
        with self._lock:
            answer = self.answers.pop(0) if self.answers else Reply(200, {"ok": True})
        return answer(seen) if callable(answer) else answer

    @property
    def tokens(self) -> list[str]:
        """The tokens that arrived, in their order."""
        return [seen.headers.get("authorization", "none").removeprefix("Bearer ") for seen in self.seen]


def session_on(api: Server, processes: Processes | None = None, **settings: Any) -> ApiSession:
    """Return a session whose base URL is ``/v1`` of *api*."""
    return session_at(f"{api.url}/v1", processes, **settings)


def session_at(base_url: str, processes: Processes | None = None, **settings: Any) -> ApiSession:
    """Return a session with that base URL."""
    return ApiSession(api_settings(base_url=base_url, **settings), (processes or Processes()).start())
