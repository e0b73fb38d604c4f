"""Pulls from an API that is mocked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests_mock as mocking

from airflow_oauth_provider.http.session import ApiSession
from airflow_oauth_provider.pull.page import Page
from airflow_oauth_provider.pull.plan import PullPlan
from airflow_oauth_provider.pull.progress import Progress
from airflow_oauth_provider.pull.puller import Puller
from airflow_oauth_provider.pull.request import PageRequest
from tests.support.clock import Clock
from tests.support.made_up import SECRET, api_settings
from tests.support.pulls import small_limits
from tests.support.token_sources import Processes

_REQUEST = ("method", "params", "json", "headers")
_CALL = ("retry_args", "idempotent", "start")


@pytest.fixture
def api(requests_mock: mocking.Mocker) -> mocking.Mocker:
    return requests_mock


@pytest.fixture
def huge_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take small bodies for huge."""
    small_limits(monkeypatch)


@pytest.fixture
def pull(api: mocking.Mocker, clock: Clock, huge_early: None) -> Callable[..., Iterator[Page]]:
    """Return what begins a pull; its pauses pass at once, and bodies are huge early."""
    clock.skip_pauses()
    session = ApiSession(api_settings(), Processes().start(), secrets=(SECRET,))

    def pages(endpoint: str = "orders", *, progress: Progress | None = None, **options: Any) -> Iterator[Page]:
        request = PageRequest(endpoint=endpoint, **{name: options.pop(name) for name in _REQUEST if name in options})
        call: dict[str, Any] = {name: options.pop(name) for name in _CALL if name in options}
        progress = progress or Progress(logging.getLogger("made_up_pull"))
        return Puller(session, PullPlan.of(**options), request, progress=progress, **call).pages()

    return pages
