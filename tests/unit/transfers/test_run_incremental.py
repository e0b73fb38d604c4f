"""What a run asks for, its data interval or what is behind the watermark; and what is done last."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests_mock as mocking
from airflow.providers.common.compat.sdk import Asset

from airflow_oauth_provider.exceptions import SettingsError, TransientError
from tests.support.pulls import ORDERS, PAGED, calls
from tests.support.transfer_runs import ListTransfer, StateStore, raising, try_of

ASSET = Asset("s3://bucket/orders")
MARKED: dict[str, Any] = {"watermark": "at", "watermark_param": "since", "outlets": [ASSET]}


def kept(marks: StateStore) -> Any:
    (text,) = marks.values()
    return json.loads(text)["value"]


def test_the_watermark_moves_when_the_data_is_safe_and_the_checkpoint_goes_last(api: mocking.Mocker) -> None:
    events: list[Any] = []
    api.get(ORDERS, json=[{"at": "2026-01-02"}, {"at": "2026-01-01"}])
    marks, store = StateStore(events, "watermark"), StateStore(events, "checkpoint")
    transfer = ListTransfer(**MARKED, events=events)
    transfer.execute(try_of(1, task_state_store=store, asset_state_store={ASSET: marks}))
    assert events[:5] == ["open", "write", "end of page", "finish", "watermark set"]
    assert set(events[5:]) == {"checkpoint deleted"}
    assert kept(marks) == "2026-01-02"


def test_the_next_run_asks_for_what_is_behind_the_watermark(api: mocking.Mocker) -> None:
    marks = StateStore()
    for run, (largest, sent) in enumerate([("1.10", None), ("2.5", "1.10"), ("2", "2.5"), ("3", "2.5")]):
        api.get(ORDERS, text=f'[{{"at": {largest}}}, {{"at": null}}, {{}}]')
        context = try_of(1, run_id=f"run-{run}", asset_state_store={ASSET: marks})
        ListTransfer(**MARKED, use_decimal=True).execute(context)
        assert calls(api)[-1].qs == ({"since": [sent]} if sent else {})
    assert kept(marks) == 3


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
    assert kept(marks) == 9


def test_a_run_that_brings_nothing_new_is_no_reason_to_warn(api: mocking.Mocker, log: pytest.LogCaptureFixture) -> None:
    marks, store = StateStore(), StateStore()
    api.get(ORDERS, json=[{"at": 9}])
    ListTransfer(**MARKED).execute(try_of(1, asset_state_store={ASSET: marks}))
    api.get(ORDERS, json=[{"at": None}, {"at": None}])
    second = ListTransfer(**MARKED, save_every=1)
    second.execute(try_of(1, run_id="run-2", task_state_store=store, asset_state_store={ASSET: marks}))
    assert second.sinks[0].checkpoint.watermark == 9
    assert kept(marks) == 9
    assert "no record has" not in log.text


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


def test_the_pace_of_a_pull_is_its_own(api: mocking.Mocker) -> None:
    killed: ListTransfer = ListTransfer(**PAGED, fail=lambda happens: killed.on_kill() if happens == "write" else None)
    with pytest.raises(TransientError, match="ended from outside"):
        killed.execute(try_of(1))
    api.reset_mock()
    transfer = ListTransfer(**PAGED)
    for _ in range(2):
        assert transfer.execute(try_of(1))["records"] == 25
    assert len(calls(api)) == 8
