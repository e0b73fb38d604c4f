"""However a try ends, the destination is left in order: failures, kills, and what is done last."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import requests_mock as mocking
from airflow.providers.common.compat.sdk import Asset

from airflow_oauth_provider.exceptions import (
    ApiRefusedError,
    InvalidClientError,
    OAuth2Error,
    ResponseFormatError,
    SettingsError,
    TransientError,
)
from airflow_oauth_provider.http.pace import Pace
from airflow_oauth_provider.pull.pagination import LinkHeader, Offset
from tests.support.clock import Clock
from tests.support.made_up import API_URL, SECRET, TOKEN_URL
from tests.support.pulls import mocked_shop, numbered
from tests.support.transfer_runs import ListTransfer, StateStore, try_of

ORDERS = f"{API_URL}/orders"
ASSET = Asset("s3://bucket/orders")
PAGED: dict[str, Any] = {"pagination": Offset(10), "records": "data"}
MARKED: dict[str, Any] = {"watermark": "at", "watermark_param": "since", "outlets": [ASSET]}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, requests_mock: mocking.Mocker) -> mocking.Mocker:
    """Return an API that has the numbers below 25, by offset and limit."""
    mocked_shop(monkeypatch, requests_mock)
    requests_mock.get(ORDERS, json=numbered(25))
    return requests_mock


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Return what the task logs: Airflow's own loggers differ from version to version."""
    monkeypatch.setattr(ListTransfer, "log", logging.getLogger("made_up_task"))
    caplog.set_level(logging.INFO)
    return caplog


def calls(api: mocking.Mocker) -> list[Any]:
    return [request for request in api.request_history if request.url.startswith(ORDERS)]


def raising(error: BaseException, *at: str) -> Callable[[str], None]:
    def fail(happens: str) -> None:
        if happens in at:
            raise error

    return fail


# Failures -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [RuntimeError("no"), OSError("full"), SettingsError("no"), KeyboardInterrupt(), SystemExit(1)], ids=repr
)
@pytest.mark.parametrize("at", ["write", "end of page", "finish"])
def test_whatever_fails_the_sink_cleans_up_and_the_error_is_what_it_was(
    api: mocking.Mocker, error: BaseException, at: str
) -> None:
    store = StateStore()
    transfer = ListTransfer(**PAGED, fail=raising(error, at), save_every=5)
    with pytest.raises(type(error)) as caught:
        transfer.execute(try_of(1, task_state_store=store))
    assert caught.value is error
    assert transfer.events[-2:] == [at, "abort"]
    assert transfer.events.count("abort") == 1
    assert bool(store) is (at != "write")  # what is safe is kept for the next try


@pytest.mark.parametrize("error", [RuntimeError("the first"), KeyboardInterrupt()], ids=repr)
def test_a_sink_that_cannot_clean_up_does_not_hide_why_it_had_to(
    api: mocking.Mocker, log: pytest.LogCaptureFixture, error: BaseException
) -> None:
    def fail(happens: str) -> None:
        if happens in ("write", "abort"):
            raise error if happens == "write" else OSError("abort broke")

    with pytest.raises(type(error)) as caught:
        ListTransfer(**PAGED, fail=fail).execute(try_of(1))
    assert caught.value is error
    assert "The destination was not left in order" in log.text


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"status_code": 404}, ApiRefusedError),
        ({"text": "<html>"}, ResponseFormatError),
        ({"json": {"other": []}}, ResponseFormatError),
    ],
)
def test_an_api_that_fails_on_the_way_fails_the_task(
    api: mocking.Mocker, answer: dict[str, Any], kind: type[OAuth2Error]
) -> None:
    api.get(ORDERS, [{"json": {"data": [1, 2]}}, answer])
    transfer = ListTransfer(**PAGED)
    with pytest.raises(kind):
        transfer.execute(try_of(1))
    assert transfer.events == ["open", "write", "end of page", "abort"]


def test_a_destination_that_cannot_be_used_fails_before_the_first_request(api: mocking.Mocker) -> None:
    transfer = ListTransfer(**PAGED, fail=raising(SettingsError("no right"), "open"))
    with pytest.raises(SettingsError, match="no right"):
        transfer.execute(try_of(1))
    assert transfer.events == ["open"]
    assert calls(api) == []


def test_a_client_that_gets_no_token_leaves_the_destination_in_order(api: mocking.Mocker) -> None:
    api.post(TOKEN_URL, json={"error": "invalid_client"}, status_code=401)
    transfer = ListTransfer(**PAGED)
    with pytest.raises(InvalidClientError):
        transfer.execute(try_of(1))
    assert transfer.events == ["open", "abort"]


def test_a_try_that_nobody_supervises_any_more_ends(api: mocking.Mocker) -> None:
    class Gone(StateStore):
        def set(self, key: str, value: str) -> None:
            raise ConnectionResetError

    transfer = ListTransfer(**PAGED, save_every=15)
    with pytest.raises(TransientError, match="another try may be at work"):
        transfer.execute(try_of(1, task_state_store=Gone()))
    assert transfer.events[-1] == "abort"
    assert len(calls(api)) == 2


@pytest.mark.parametrize("secret", ["made-up-access-token", quote(SECRET, safe=""), quote_plus(SECRET)])
def test_a_token_or_a_secret_in_a_link_gets_into_no_checkpoint(
    api: mocking.Mocker, log: pytest.LogCaptureFixture, secret: str
) -> None:
    link = {"Link": f"<{ORDERS}?token={secret}>; rel=next"}
    api.get(ORDERS, [{"json": [1], "headers": link}, {"json": [2]}])
    store = StateStore()
    transfer = ListTransfer(pagination=LinkHeader(), save_every=1)
    transfer.execute(try_of(1, task_state_store=store))
    assert transfer.sinks[0].records == [1, 2]
    assert not transfer.sinks[0].checkpoint.active
    assert store == {}
    assert "no checkpoint can be kept" in log.text


# Kills ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("at", "requests"), [("open", 0), ("write", 1), ("end of page", 1), ("finish", 4)])
def test_a_task_that_is_killed_ends_at_its_next_step(api: mocking.Mocker, at: str, requests: int) -> None:
    transfer: ListTransfer = ListTransfer(**PAGED, fail=lambda happens: transfer.on_kill() if happens == at else None)
    if at == "finish":
        assert transfer.execute(try_of(1))["records"] == 25  # too late: it is done
        return
    with pytest.raises(TransientError, match="ended from outside") as caught:
        transfer.execute(try_of(1))
    assert caught.value.__cause__ is None
    assert transfer.events[-1] == "abort"
    assert len(calls(api)) == requests


def test_a_task_that_is_killed_in_a_pause_does_not_wait_for_its_end(api: mocking.Mocker) -> None:
    def busy(request: Any, context: Any) -> str:
        context.status_code, context.headers["Retry-After"] = 503, "59"
        transfer.on_kill()
        return ""

    api.get(ORDERS, text=busy)
    transfer = ListTransfer(**PAGED)
    with pytest.raises(TransientError, match="ended from outside"):
        transfer.execute(try_of(1))
    assert len(calls(api)) == 1


# What is done last ----------------------------------------------------------------------------------------------------


def test_the_watermark_moves_when_the_data_is_safe_and_the_checkpoint_goes_last(api: mocking.Mocker) -> None:
    events: list[Any] = []
    api.get(ORDERS, json=[{"at": "2026-01-02"}, {"at": "2026-01-01"}])
    marks, store = StateStore(events, "watermark"), StateStore(events, "checkpoint")
    transfer = ListTransfer(**MARKED, events=events)
    transfer.execute(try_of(1, task_state_store=store, asset_state_store={ASSET: marks}))
    assert events == ["open", "write", "end of page", "finish", "watermark set", "checkpoint deleted"]
    assert list(marks.values()) == ['"2026-01-02"']


def test_the_next_run_asks_for_what_is_behind_the_watermark(api: mocking.Mocker) -> None:
    marks = StateStore()
    for largest, sent in ((Decimal("1.10"), None), (Decimal("2.5"), "1.10"), (2, "2.5"), (3, "2.5")):
        api.get(ORDERS, text=f'[{{"at": {largest}}}, {{"at": null}}, {{}}]')
        ListTransfer(**MARKED, use_decimal=True).execute(try_of(1, asset_state_store={ASSET: marks}))
        assert calls(api)[-1].qs == ({"since": [sent]} if sent else {})
    assert list(marks.values()) == ["3"]


@pytest.mark.parametrize("at", ["write", "finish"])
def test_the_watermark_of_a_run_that_failed_stays(api: mocking.Mocker, at: str) -> None:
    marks = StateStore()
    api.get(ORDERS, json=[{"at": 5}])
    with pytest.raises(RuntimeError):
        ListTransfer(**MARKED, fail=raising(RuntimeError("no"), at)).execute(
            try_of(1, asset_state_store={ASSET: marks})
        )
    assert marks == {}


def test_a_retry_knows_the_watermark_of_the_records_that_the_try_before_it_saw(api: mocking.Mocker) -> None:
    marks, store = StateStore(), StateStore()
    api.get(ORDERS, json=[{"at": 9}, {"at": 1}, {"at": 2}])
    first = ListTransfer(**MARKED, save_every=2, fail=raising(RuntimeError("no"), "end of page"))
    with pytest.raises(RuntimeError):
        first.execute(try_of(1, task_state_store=store, asset_state_store={ASSET: marks}))
    second = ListTransfer(**MARKED)
    second.execute(try_of(2, task_state_store=store, asset_state_store={ASSET: marks}))
    assert second.sinks[0].records == [{"at": 2}]
    assert list(marks.values()) == ["9"]


def test_a_watermark_that_no_record_has_is_told(api: mocking.Mocker, log: pytest.LogCaptureFixture) -> None:
    marks = StateStore()
    for body, told in (("[]", False), ('[{"id": 1}]', True)):
        log.clear()
        api.get(ORDERS, text=body)
        ListTransfer(**MARKED).execute(try_of(1, asset_state_store={ASSET: marks}))
        assert ("watermark: no record has 'at'" in log.text) is told
    assert marks == {}


def test_without_asset_state_a_watermark_fails_before_anything_is_opened(api: mocking.Mocker) -> None:
    transfer = ListTransfer(**MARKED)
    with pytest.raises(SettingsError, match=r"watermark needs Airflow 3\.3"):
        transfer.execute(try_of(1))
    assert transfer.events == []


# The interval ---------------------------------------------------------------------------------------------------------

DAY: dict[str, Any] = {
    "data_interval_start": datetime(2026, 3, 1, tzinfo=UTC),
    "data_interval_end": datetime(2026, 3, 2, tzinfo=UTC),
}


@pytest.mark.parametrize("lookback", [3600, timedelta(hours=1)])
def test_the_interval_of_the_run_is_asked_for(api: mocking.Mocker, lookback: Any) -> None:
    ListTransfer(
        **PAGED,
        query={"status": "open"},
        interval_params={"since": "start", "until": "end"},
        interval_format="%Y-%m-%dT%H",
        interval_lookback=lookback,
    ).execute(try_of(1, **DAY))
    assert calls(api)[0].qs == {
        "status": ["open"], "since": ["2026-02-28t23"], "until": ["2026-03-02t00"], "offset": ["0"], "limit": ["10"],
    }  # fmt: skip


def test_a_run_without_an_interval_fails_before_anything_is_opened(api: mocking.Mocker) -> None:
    transfer = ListTransfer(**PAGED, interval_params={"since": "start"})
    with pytest.raises(SettingsError, match="no data interval"):
        transfer.execute(try_of(1))
    assert transfer.events == []
    assert calls(api) == []


def test_another_interval_is_another_transfer(api: mocking.Mocker) -> None:
    store = StateStore()
    first = ListTransfer(
        **PAGED, interval_params={"since": "start"}, save_every=5, fail=raising(RuntimeError("no"), "end of page")
    )
    with pytest.raises(RuntimeError):
        first.execute(try_of(1, task_state_store=store, **DAY))
    assert json.loads(store["oauth2_transfer"])["records"] == 10
    later = {name: edge + timedelta(days=1) for name, edge in DAY.items()}
    second = ListTransfer(**PAGED, interval_params={"since": "start"})
    assert not second.execute(try_of(2, task_state_store=store, **later))["resumed"]


def test_the_pace_of_a_pull_is_its_own(api: mocking.Mocker, clock: Clock) -> None:
    transfer = ListTransfer(**PAGED)
    for _ in range(2):
        transfer.execute(try_of(1))
    assert Pace().retries == 0
    assert len(calls(api)) == 8
