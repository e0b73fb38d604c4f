"""What keeps checkpoints may be missing or fail: that costs the checkpoint, not the task."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_oauth_provider.exceptions import SettingsError, TransientError
from airflow_oauth_provider.pull.plan import Position
from tests.support.transfer_runs import BEGUN, LOGGER, SINK, StateStore, checkpoint, page, saved


@pytest.mark.parametrize(
    ("store", "resume", "why"),
    [(None, True, "Airflow before 3.3 keeps no checkpoints"), (StateStore(), False, "resume=False")],
)
def test_without_a_store_or_when_told_so_nothing_is_kept_and_a_retry_says_why(
    store: Any, resume: bool, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOGGER.name)
    first = checkpoint(store, resume=resume)
    first.save(10, SINK)
    first.clear()
    assert not first.active
    assert not store
    assert caplog.text == ""
    assert checkpoint(store, 2, resume=resume).records == 0
    assert f"This try starts over: {why}." in caplog.text


def test_success_leaves_nothing_behind() -> None:
    store = saved()
    second = checkpoint(store, 2)
    second.clear()
    assert store == {}


class BrokenStore(StateStore):
    """One whose operations fail."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def get(self, key: str, default: Any = None) -> Any:
        raise self.error

    def set(self, key: str, value: str) -> None:
        raise self.error

    def delete(self, key: str) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (ValueError("made-up-secret"), "ValueError"),
        (RuntimeError("made-up-secret"), "RuntimeError"),
        (AirflowException("the store is full"), "AirflowException: the store is full"),
        (AirflowException("x" * 5000), "AirflowException: xxx"),
    ],
)
def test_a_store_that_fails_costs_the_checkpoint_and_not_the_task(
    error: Exception, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = checkpoint(BrokenStore(error), 2)
    found.save(10, SINK)
    found.clear()
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0].startswith(f"The checkpoint cannot be read ({shown}")
    assert lines[1].startswith(f"The checkpoint was not written ({shown}")
    assert lines[2].startswith(f"The checkpoint was not deleted ({shown}")
    assert "made-up-secret" not in caplog.text
    assert all(len(line) < 350 for line in lines)
    assert (found.resumed, found.active) == (None, True)


@pytest.mark.parametrize("error", [ConnectionResetError("gone"), TimeoutError(), BrokenPipeError(), OSError(5, "no")])
def test_a_try_that_nobody_supervises_any_more_ends(error: OSError) -> None:
    store = StateStore()
    first = checkpoint(store)

    def gone(key: str, value: str) -> None:
        raise error

    store.set = gone  # type: ignore[method-assign]
    with pytest.raises(TransientError, match=rf"cannot be reached any more \({type(error).__name__}\)") as caught:
        first.save(10, SINK)
    assert caught.value.__context__ is None


class OutlivedError(Exception):
    """What the task SDK raises when the server answers so."""

    def __init__(self, status: int) -> None:
        super().__init__("made-up-secret")
        self.error = SimpleNamespace(detail={"status_code": status})


def test_a_try_that_airflow_has_given_up_ends() -> None:
    first = checkpoint(store := BrokenStore(OutlivedError(404)))
    for act in (first.prove, lambda: first.save(10, SINK)):
        with pytest.raises(TransientError, match="Airflow has begun another try of this task") as caught:
            act()
        assert "made-up-secret" not in str(caught.value)
    store.error = OutlivedError(500)
    first.prove()
    first.save(10, SINK)


def test_a_try_proves_that_it_counts_by_writing() -> None:
    store = StateStore()
    first = checkpoint(store)
    first.prove()
    assert len(store) == 1
    first.save(10, SINK)
    assert checkpoint(store, 2).records == 10
    first.clear()
    assert store == {}
    for nowhere in (checkpoint(None), checkpoint(store, resume=False)):
        nowhere.prove()
    assert store == {}


def test_a_secret_in_a_link_is_not_kept(caplog: pytest.LogCaptureFixture) -> None:
    store = saved()
    second = checkpoint(store, 2, safe=lambda text: "made-up-token" not in text)
    second.save(25, {"parts": 4})
    second.at_page(Position(BEGUN.at("https://api.example.com/?token=made-up-token"), 4, 30))
    with pytest.raises(SettingsError, match="holds a secret"):
        second.state(30, SINK)
    second.save(30, SINK)
    assert store == {}
    assert not second.active
    assert (
        "The link to a next page holds a secret, so that no checkpoint can be kept. A retry starts over." in caplog.text
    )
    assert "made-up-token" not in caplog.text
    second.save(31, SINK)
    assert store == {}


def test_a_checkpoint_stays_small_however_long_the_pull_is() -> None:
    store = StateStore()
    first = checkpoint(store)
    for number in range(20_000):
        first.at_page(page(number + 1, number * 10))
        if number % 100 == 0:
            first.save(number * 10, SINK)
    assert len(first._positions) <= 101
    assert len(store["oauth2_transfer"]) < 1000


@pytest.mark.parametrize(("store", "only"), [(None, False), (StateStore(), True)], ids=["no store", "one file"])
def test_pages_to_which_no_retry_goes_back_are_not_kept(store: StateStore | None, only: bool) -> None:
    first = checkpoint(store)
    for number in range(100):
        first.at_page(page(number + 1, number * 10), only=only)
    assert len(first._positions) == 1
