"""However a try ends, the destination is left in order: failures, kills, and what is done last."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import requests_mock as mocking

from airflow_oauth_provider.exceptions import (
    ApiRefusedError,
    InvalidClientError,
    OAuth2Error,
    ResponseFormatError,
    SettingsError,
    TransientError,
)
from airflow_oauth_provider.pull.pagination import LinkHeader, PageNumber
from airflow_oauth_provider.pull.request import PageRequest
from airflow_oauth_provider.transfers.run import _hidden_values
from tests.support.made_up import SECRET, TOKEN_URL
from tests.support.pulls import ORDERS, PAGED, calls
from tests.support.transfer_runs import ListTransfer, StateStore, raising, try_of

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


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("api_key", "made-up-key-1", False),
        ("key", "made up/key+1", False),
        ("Signature", "made-up-key-1", False),
        ("page_size", "made-up-size", True),  # no name of a secret
        ("api_key", "short", True),  # found in any text
    ],
)
def test_a_secret_of_the_query_that_a_link_repeats_gets_into_no_checkpoint(
    api: mocking.Mocker, name: str, value: str, kept: bool
) -> None:
    link = {"Link": f"<{ORDERS}?page=2&{name}={quote(value, safe='')}>; rel=next"}
    api.get(ORDERS, [{"json": [1], "headers": link}, {"json": [2]}])
    transfer = ListTransfer(pagination=LinkHeader(), query={name: value}, save_every=1)
    transfer.execute(try_of(1, task_state_store=StateStore()))
    assert transfer.sinks[0].records == [1, 2]
    assert transfer.sinks[0].checkpoint.active is kept


@pytest.mark.parametrize(
    ("endpoint", "query", "pagination"),
    [
        ("orders?api_key=made-up-key-1", None, LinkHeader()),
        ("orders?page=1&api_key=made-up-key-1", None, PageNumber(total_pages_path="pages")),
        ("orders", [("api_key", "made-up-key-1")], LinkHeader()),
        ("orders", "api_key=made-up-key-1", LinkHeader()),
    ],
)
def test_so_does_one_of_the_endpoint_or_of_another_kind_of_query(
    api: mocking.Mocker, endpoint: str, query: Any, pagination: Any
) -> None:
    link = {"Link": f"<{ORDERS}?page=2&api_key=made-up-key-1>; rel=next"}
    kept: list[str] = []

    class Watched(StateStore):
        def set(self, key: str, value: str) -> None:
            kept.append(value)
            super().set(key, value)

    api.get(ORDERS, [{"json": {"pages": 2, "data": [1]}, "headers": link}, {"json": {"pages": 2, "data": [2]}}])
    transfer = ListTransfer(pagination=pagination, query=query, endpoint=endpoint, records="data", save_every=1)
    transfer.execute(try_of(1, task_state_store=Watched()))
    assert transfer.sinks[0].records == [1, 2]
    assert not [text for text in kept if "made-up-key-1" in text]


@pytest.mark.parametrize(
    ("endpoint", "query"),
    [("http://[", None), ("orders", [1]), ("orders", [("a",)]), ("orders", 7), ("orders", b"\xff")],
)
def test_looking_for_secrets_stumbles_over_no_request_that_cannot_be_right(endpoint: str, query: Any) -> None:
    assert _hidden_values(PageRequest("GET", endpoint, query)) == []


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
