"""A real Airflow user interface, a real browser, and the demo's authorization server for connections to point at."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from demo.server import DemoServer
from tests.support.airflow_ui import AirflowUi
from tests.support.connection_form import ConnectionsPage
from tests.support.patience import be_patient
from tests.support.requirements import require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BROWSER_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


# Playwright gives up after five seconds by itself, for which a busy machine stalls now and then.
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(autouse=True, scope="module")
def _patient_stores() -> Iterator[None]:
    """Let no store be skipped where tests are tasks beside Airflow."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        be_patient(monkeypatch)
        yield


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowUi]:
    with AirflowUi(tmp_path_factory.mktemp("airflow")) as running:
        yield running


@pytest.fixture(scope="session")
def shop() -> Iterator[DemoServer]:
    with DemoServer() as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    require(chromium is not None, "chromium on PATH")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=BROWSER_OPTIONS, timeout=3 * PATIENCE_MS)
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser, airflow: AirflowUi) -> Iterator[Page]:
    context = browser.new_context(
        locale="en-GB",
        viewport={"width": 1280, "height": 1600},
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


@pytest.fixture
def connections(page: Page, airflow: AirflowUi) -> ConnectionsPage:
    return ConnectionsPage(page, airflow.url)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for screenshots that only help to see what a test saw."""
    return tmp_path_factory.mktemp("pictures")
