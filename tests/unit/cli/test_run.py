"""From a command to its exit code: what is said where, and what is not said."""

from __future__ import annotations

import io
import logging
from argparse import Namespace
from typing import TYPE_CHECKING, NoReturn

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from sqlalchemy.exc import ArgumentError, OperationalError

from airflow_oauth_provider.cli.actions import ACTIONS
from airflow_oauth_provider.cli.run import FAILED, INTERRUPTED, explain, run
from airflow_oauth_provider.exceptions import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

URL = "postgresql://airflow:made-up-password@db.example.com/airflow"


def run_action(monkeypatch: pytest.MonkeyPatch, act: Callable[[], int]) -> int:
    """Run a command that does *act*."""
    monkeypatch.setitem(ACTIONS, "test", lambda *_: act())
    return run("test", Namespace(), io.StringIO())


def raising(error: BaseException) -> Callable[[], NoReturn]:
    def act() -> NoReturn:
        raise error

    return act


def test_an_error_is_one_line_on_stderr(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code = run_action(monkeypatch, raising(SettingsError("base_url is missing.\nWrite scheme and host.")))
    assert code == FAILED
    assert capsys.readouterr() == ("", "base_url is missing. Write scheme and host.\n")


def test_an_error_that_nobody_foresaw_is_told_by_its_name_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_action(monkeypatch, raising(LookupError(URL))) == FAILED
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "LookupError" in said
    assert "made-up-password" not in said


def test_where_it_happened_is_logged_at_debug_level_without_its_text(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    run_action(monkeypatch, raising(LookupError(URL)))
    assert "in act" in caplog.text
    assert "made-up-password" not in caplog.text


def test_an_interrupted_command_ends_in_silence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_action(monkeypatch, raising(KeyboardInterrupt())) == INTERRUPTED
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("error", [OperationalError(URL, {}, Exception(URL)), ArgumentError(URL)])
def test_a_database_that_does_not_work_is_named_without_its_url(error: Exception) -> None:
    said = explain(error)
    assert "metadata database" in said
    assert "airflow db migrate" in said
    assert "made-up-password" not in said


def test_errors_of_airflow_are_quoted_on_one_line() -> None:
    assert explain(AirflowException("The conn_id\n  `shop` isn't defined")) == "The conn_id `shop` isn't defined"
    assert "AirflowException" in explain(AirflowException())


def chatting() -> int:
    logging.getLogger("airflow.models.connection").error("theirs")
    logging.getLogger("airflow_oauth_provider.tokens.endpoint").info("a detail of ours")
    logging.getLogger("airflow_oauth_provider.tokens.stores.guarded").warning("a warning of ours")
    return 0


def test_of_all_logs_only_our_warnings_are_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.getLogger(), "level", logging.INFO)
    before = logging.getLogger().handlers
    assert run_action(monkeypatch, chatting) == 0
    assert capsys.readouterr().err == "a warning of ours\n"
    assert logging.getLogger().handlers is before


def test_everything_is_logged_where_airflow_logs_at_debug_level(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    run_action(monkeypatch, chatting)
    assert [record.getMessage() for record in caplog.records][-3:] == [
        "theirs",
        "a detail of ours",
        "a warning of ours",
    ]
