"""The whole way from an API over a socket into a table, over several tries."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import ApiUnavailableError, PermanentError, SettingsError
from tests.integration.conftest import Connection
from tests.support.paged_api import serve
from tests.support.servers import OAuthServer, Reply, Script, Seen
from tests.support.sql_runs import StateStore, Transfer, orders, sqlite_connection, sqlite_rows

TOTAL = 250
PAGES: dict[str, Any] = {"pagination": {"kind": "next_url", "path": "next"}, "records": "data"}
ONE_ATTEMPT = {"stop": lambda _: True}


@pytest.fixture
def file(tmp_path: Path, connect: Connection, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "warehouse.db"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", sqlite_connection(path))
    sqlite_rows(path, "CREATE TABLE orders (id INTEGER, name TEXT)")
    connect()
    return path


@pytest.fixture
def store(tmp_path: Path) -> StateStore:
    return StateStore(tmp_path / "kept_by_airflow")


def api(server: OAuthServer, *, fails_from: int = TOTAL, link: str = "") -> Script:
    """Return an API with pages of a hundred orders, linked by URLs, that fails from an offset on."""

    def script(seen: Seen) -> Reply:
        offset = int(dict(seen.query).get("offset", 0))
        if offset >= fails_from:
            return Reply(503, "out of order")
        end = min(offset + 100, TOTAL)
        following = f"{server.url}/api/orders?offset={end}{link}" if end < TOTAL else None
        return Reply(200, {"data": orders(*range(offset, end)), "next": following})

    return script


def run(transfer: Transfer) -> dict[str, Any]:
    return transfer.operator().execute(transfer.context())


def timed(transfer: Transfer) -> tuple[dict[str, Any], float]:
    """Return what a run returns, and the seconds that it took."""
    began = time.monotonic()
    return run(transfer), time.monotonic() - began


def ids(file: Path) -> list[int]:
    return [number for (number,) in sqlite_rows(file, "SELECT id FROM orders ORDER BY rowid")]


def offsets(server: OAuthServer) -> list[str]:
    return [dict(seen.query).get("offset", "0") for seen in server.api_requests]


def test_a_table_is_filled(server: OAuthServer, file: Path) -> None:
    serve(server, api(server))
    result, took_s = timed(Transfer(**PAGES, mode="replace"))
    assert ids(file) == list(range(TOTAL))
    assert 0 <= result["seconds"] <= took_s + 0.1
    assert result == {
        "table": "orders",
        "mode": "replace",
        "rows": TOTAL,
        "records": TOTAL,
        "pages": 3,
        "seconds": result["seconds"],
        "resumed": False,
    }
    assert json.loads(json.dumps(result)) == result


def test_a_retry_asks_for_what_was_not_committed(server: OAuthServer, file: Path, store: StateStore) -> None:
    transfer = Transfer(store, **PAGES, commit_every=70, retry_args=ONE_ATTEMPT)
    serve(server, api(server, fails_from=200))
    with pytest.raises(ApiUnavailableError):
        run(transfer)
    assert ids(file) == list(range(140))
    server.seen.clear()
    serve(server, api(server))
    result = run(transfer)
    assert ids(file) == list(range(TOTAL))
    assert offsets(server) == ["100", "200"]
    assert (result["rows"], result["records"], result["pages"], result["resumed"]) == (TOTAL, TOTAL, 3, True)
    assert not list(store.folder.iterdir())


def test_behind_the_last_commit_the_api_is_not_asked_again(server: OAuthServer, file: Path, store: StateStore) -> None:
    transfer = Transfer(store, **PAGES)
    serve(server, api(server))
    first = run(transfer)
    server.seen.clear()
    again, took_s = timed(transfer)  # Airflow never heard that it was done
    assert again == {**first, "seconds": again["seconds"], "resumed": True}
    assert first["seconds"] - 0.1 <= again["seconds"] <= first["seconds"] + took_s + 0.1
    assert not server.api_requests
    assert ids(file) == list(range(TOTAL))


def test_below_airflow_3_3_nothing_of_a_failed_try_stays(server: OAuthServer, file: Path) -> None:
    transfer = Transfer(None, **PAGES, retry_args=ONE_ATTEMPT)
    serve(server, api(server, fails_from=200))
    with pytest.raises(ApiUnavailableError):
        run(transfer)
    assert ids(file) == []
    serve(server, api(server))
    assert run(transfer)["resumed"] is False
    assert ids(file) == list(range(TOTAL))


@pytest.mark.parametrize(
    "parameters",
    [{"table": "nowhere"}, {"columns": ["id", "total"]}, {"mode": "upsert", "key_columns": ["id"]}],
)
def test_nothing_is_asked_for_that_cannot_be_written(
    server: OAuthServer, file: Path, parameters: dict[str, Any]
) -> None:
    with pytest.raises(SettingsError):
        run(Transfer(**PAGES, **parameters))
    assert not server.seen
    assert ids(file) == []


def test_a_secret_in_a_link_is_not_kept_in_the_database(
    server: OAuthServer, file: Path, store: StateStore, connect: Connection
) -> None:
    secret = "made-up-api-key-of-30-letters"
    connect(secret_params={"api_key": secret})
    transfer = Transfer(store, **PAGES, commit_every=40)
    serve(server, api(server, link=f"&api_key={secret}"))
    assert run(transfer)["rows"] == TOTAL
    assert ids(file) == list(range(TOTAL))
    for kept in (file, *store.folder.iterdir()):
        assert secret.encode() not in kept.read_bytes()


@pytest.mark.parametrize("checkpoint_table", ["oauth2_checkpoints", None])
def test_behind_such_a_link_no_row_comes_twice(
    server: OAuthServer, file: Path, store: StateStore, connect: Connection, checkpoint_table: str | None
) -> None:
    secret = "made-up-api-key-of-30-letters"
    connect(secret_params={"api_key": secret})
    transfer = Transfer(store, **PAGES, commit_every=40, checkpoint_table=checkpoint_table, retry_args=ONE_ATTEMPT)
    serve(server, api(server, link=f"&api_key={secret}", fails_from=200))
    with pytest.raises(ApiUnavailableError):
        run(transfer)
    assert ids(file) == list(range(80))
    serve(server, api(server, link=f"&api_key={secret}"))
    assert run(transfer)["resumed"] is True
    assert ids(file) == list(range(TOTAL))


def test_what_the_api_calls_a_record_may_be_none(server: OAuthServer, file: Path) -> None:
    server.api_reply = lambda seen: Reply(200, {"data": [{"id": 1}, 5]})
    with pytest.raises(PermanentError, match=r"^Record 2 is a number, not an object"):
        run(Transfer(endpoint="orders", records="data"))
    assert ids(file) == []


def test_decimals_arrive_exactly(server: OAuthServer, file: Path) -> None:
    body = '[{"id": 123456789012345678901234567890, "name": 0.10}, {"id": 1, "name": 12345678901234567.123}]'
    server.api_reply = lambda seen: Reply(200, body, {"Content-Type": "application/json"})
    sqlite_rows(file, "DROP TABLE orders")
    sqlite_rows(file, "CREATE TABLE orders (id TEXT, name TEXT)")
    run(Transfer(use_decimal=True))
    assert sqlite_rows(file, "SELECT * FROM orders") == [
        ("123456789012345678901234567890", "0.10"),
        ("1", "12345678901234567.123"),
    ]
