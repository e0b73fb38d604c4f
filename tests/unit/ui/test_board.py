"""Many connections are looked at within a bounded time."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from airflow_oauth_provider.tokens.stores.guarded import OPERATION_TIMEOUT_S
from airflow_oauth_provider.tokens.stores.opening import CONNECTING_TIMEOUT_S
from airflow_oauth_provider.tokens.stores.variable import TIMEOUT_S
from airflow_oauth_provider.ui import board as module
from airflow_oauth_provider.ui.board import LOOK_S, ROUND_S, Board, read_status
from tests.support.clock import Clock
from tests.support.made_up import connection_json
from tests.support.processes import wait_until


@pytest.fixture(autouse=True)
def _a_clock_that_stands_still(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no round end and nothing grow old because this machine stalls."""
    monkeypatch.setattr(module, "LOOK_S", 60.0)


def test_a_second_viewer_costs_no_second_look() -> None:
    looked: list[str] = []

    def look(conn_id: str) -> dict[str, Any]:
        looked.append(conn_id)
        return {"state": "none"}

    board = Board(look)
    first, second = board.rows(["a", "b"]), board.rows(["b"])
    assert looked == ["a", "b"]
    assert first == [{"conn_id": "a", "state": "none"}, {"conn_id": "b", "state": "none"}]
    assert second == first[1:]


@pytest.fixture
def _nothing_stays_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FRESH_S", 0.0)
    monkeypatch.setattr(module, "_REST", 0)


@pytest.mark.usefixtures("_nothing_stays_fresh")
def test_what_is_old_is_looked_at_again() -> None:
    numbers = iter(range(9))
    board = Board(lambda _: {"state": "none", "number": next(numbers)})
    assert [board.rows(["a"])[0]["number"] for _ in range(3)] == [0, 1, 2]


def test_a_round_ends_in_time_and_the_next_one_goes_on_where_it_stopped(clock: Clock) -> None:
    looked: list[str] = []

    def slow(conn_id: str) -> dict[str, Any]:
        looked.append(conn_id)
        clock.advance(0.05)
        return {"state": "none"}

    names = [f"conn_{number:02}" for number in range(30)]
    board = Board(slow, round_s=0.42)
    first = board.rows(names)
    seen = len(looked)
    states = [row["state"] for row in first]
    assert seen == 9
    assert states == ["none"] * seen + ["pending"] * (len(names) - seen)
    board.rows(names)
    assert looked[: seen + 1] == names[: seen + 1]


def test_looks_that_cost_much_are_rarer(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(module, "FRESH_S", 0.0)
    looked: list[str] = []

    def costly(conn_id: str) -> dict[str, Any]:
        looked.append(conn_id)
        clock.advance(0.2)
        return {"state": "none"}

    board, names = Board(costly, round_s=30), [str(number) for number in range(10)]
    board.rows(names)
    board.rows(names)
    assert looked == names


@pytest.mark.usefixtures("_nothing_stays_fresh")
def test_a_look_that_hangs_is_given_up_and_not_begun_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.1)
    released, ended = threading.Event(), threading.Event()
    looked: list[str] = []

    def hang(conn_id: str) -> dict[str, Any]:
        looked.append(conn_id)
        released.wait(30)
        ended.set()
        return {"state": "none"}

    board = Board(hang)
    for _ in range(3):
        assert board.rows(["a"])[0]["state"] == "error"
    wait_until(lambda: looked)
    assert looked == ["a"]
    monkeypatch.setattr(module, "LOOK_S", 60.0)
    released.set()
    assert ended.wait(30)
    give_up_at = time.perf_counter() + 30
    while board.rows(["a"])[0]["state"] != "none":
        assert time.perf_counter() < give_up_at
    assert looked == ["a", "a"]


def test_a_look_outlasts_every_store_and_a_round_ends_before_the_browser_gives_up() -> None:
    assert max(OPERATION_TIMEOUT_S, CONNECTING_TIMEOUT_S, TIMEOUT_S) < LOOK_S
    page = (Path(module.__file__).parent / "page" / "page.js").read_text(encoding="utf-8")
    (given_up_ms,) = re.findall(r"REQUEST_TIMEOUT_MS = (\d+);", page)
    assert int(given_up_ms) / 1000 > ROUND_S + LOOK_S


def test_what_nobody_asked_for_in_a_long_time_is_forgotten(clock: Clock) -> None:
    board = Board(lambda _: {"state": "none"})
    board.rows(["a"])
    clock.advance(module._KEPT_S)
    board.rows([])
    assert list(board._seen) == ["a"]
    clock.advance(1)
    board.rows([])
    assert board._seen == {}


def test_a_status_that_cannot_be_read_names_the_kind_of_error_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", connection_json())
    monkeypatch.setattr("airflow_oauth_provider.tokens.source.TokenSource.status", _fail)
    row = read_status("shop")
    assert row["state"] == "error"
    assert "ZeroDivisionError" in row["error"]
    assert "made-up text" not in row["error"]


def _fail(_: object) -> None:
    raise ZeroDivisionError("made-up text")
