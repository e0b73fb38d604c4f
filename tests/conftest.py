"""What all tests share: a home for Airflow, a marker for each folder, no needless skip, and what tasks log."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from tests.support import forked_coverage  # noqa: F401  # before what has something done after a fork

if TYPE_CHECKING:
    from collections.abc import Generator

# Airflow reads this when it is first imported: the developer's own home is not for tests.
HOME = tempfile.mkdtemp(prefix="airflow-tests-")
MADE_IN = os.getpid()


@atexit.register
def _remove_home() -> None:
    if os.getpid() == MADE_IN:  # and not in a forked child that ends as Python ends
        shutil.rmtree(HOME, ignore_errors=True)


os.environ["AIRFLOW_HOME"] = HOME
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"

TESTS = Path(__file__).parent
MARKED_FOLDERS = {"unit", "integration", "contract", "system", "browser", "celery"}
NOT_APPLICABLE = "not applicable"

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test with the name of its folder."""
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0] if item.path.is_relative_to(TESTS) else ""
        if folder in MARKED_FOLDERS:
            item.add_marker(folder)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return refuse_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return refuse_skip((yield))


def refuse_skip(report: Report) -> Report:
    """
    Turn a skip into a failure under ``OAUTH2_REQUIRE_ALL=1``.

    Skips whose reason begins with "not applicable" stay: nothing that could be installed would change them.
    """
    required = os.environ.get("OAUTH2_REQUIRE_ALL") == "1"
    if required and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if NOT_APPLICABLE not in reason:
            report.outcome = "failed"
            report.longrepr = f"skipped although OAUTH2_REQUIRE_ALL=1: {reason}"
    return report


@pytest.fixture(autouse=True)
def _nothing_is_masked_for_earlier_tests() -> None:
    """For each further secret Airflow compiles one pattern of all that it masks in a process: most of our time."""
    from airflow_oauth_provider import masking

    masking._handed_over.clear()
    masking._owed.clear()
    for name, module in list(sys.modules.items()):
        if name.endswith("secrets_masker") and (masker := getattr(module, "_secrets_masker", None)):
            masker().patterns.clear()
            masker().replacer = None


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Return what tasks log: Airflow's own loggers differ from version to version."""
    from airflow_oauth_provider.operators.http import OAuth2HttpOperator
    from airflow_oauth_provider.transfers.base import OAuth2TransferOperator
    from tests.support.made_up import TASK_LOGGER

    for operator in (OAuth2HttpOperator, OAuth2TransferOperator):
        monkeypatch.setattr(operator, "log", logging.getLogger(TASK_LOGGER))
    caplog.set_level(logging.INFO)
    return caplog
