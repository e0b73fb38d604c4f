"""Runs of the operator: an API on loopback, a folder, and what stands there afterwards."""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import ApiRefusedError, SettingsError
from airflow_oauth_provider.transfers.files import sink as files
from airflow_oauth_provider.transfers.object_storage import OAuth2HttpToObjectStorageOperator
from tests.support.file_tasks import FileTask, Place, local_place, memory_place
from tests.support.paged_api import CURSOR, Numbers, in_turn, items, serve
from tests.support.servers import OAuthServer, Reply
from tests.support.transfer_runs import StateStore, try_of

PAGED = {"pagination": CURSOR, "records": "items"}
EXACT = '{"id":1,"price":10.1000,"huge":123456789012345678901234567890.5,"text":"Grüße"}'


@pytest.fixture
def server(server: OAuthServer) -> OAuthServer:
    """Return an API with seven records."""
    serve(server, Numbers())
    return server


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return local_place(f"{tmp_path}/orders")


class Run:
    """Tries of one task."""

    def __init__(self, destination: str, **parameters: Any) -> None:
        self.operator = OAuth2HttpToObjectStorageOperator(
            task_id="orders", oauth2_conn_id="shop", endpoint="orders", destination=destination, **parameters
        )
        self.kept = StateStore()
        self.number = 0

    def __call__(self) -> Any:
        self.number += 1
        context = try_of(self.number, max_tries=2, ds="2026-01-02", task_state_store=self.kept)
        self.operator.render_template_fields(context)
        return self.operator.execute(context)


def test_pages_become_files_and_the_xcom_says_what_they_are(server: OAuthServer, place: Place) -> None:
    result = Run(place.url, max_records_per_file=4, compression="gzip", **PAGED)()
    found = place.files()
    assert [json.loads(line) for name in sorted(found) for line in gzip.decompress(found[name]).splitlines()] == items(
        *range(7)
    )
    assert result["files"] == [
        {
            "path": f"{place.url}{name}",
            "records": records,
            "bytes": len(found[name]),
            "sha256": hashlib.sha256(found[name]).hexdigest(),
        }
        for name, records in (("part-00000.jsonl.gz", 4), ("part-00001.jsonl.gz", 3))
    ]
    del result["files"]
    assert result.pop("seconds") > 0
    assert result == {"records": 7, "bytes": sum(map(len, found.values())), "pages": 3, "resumed": False}


def test_the_destination_is_templated_and_may_have_any_name(server: OAuthServer, tmp_path: Path) -> None:
    Run(f"{tmp_path}/orders of/{{{{ ds }}}}/ü.jsonl", **PAGED)()
    (written,) = (path for path in (tmp_path / "orders of").rglob("*") if path.is_file())
    assert written == tmp_path / "orders of/2026-01-02/ü.jsonl"
    assert written.read_text().count("\n") == 7


@pytest.mark.parametrize("file_format", ["jsonl", "json", "csv"])
def test_numbers_arrive_as_the_api_wrote_them(server: OAuthServer, tmp_path: Path, file_format: str) -> None:
    serve(server, lambda _: Reply(200, f"[{EXACT}]".encode(), {"Content-Type": "application/json"}))
    Run(f"{tmp_path}/orders", file_format=file_format)()
    content = (tmp_path / "orders").read_bytes().decode()
    csv = "id,price,huge,text\r\n1,10.1000,123456789012345678901234567890.5,Grüße\r\n"
    assert content == {"jsonl": f"{EXACT}\n", "json": f"[\n{EXACT}\n]\n", "csv": csv}[file_format]


def test_a_destination_that_cannot_be_used_fails_before_the_first_request(server: OAuthServer) -> None:
    for destination in ("/no-such-mount/orders/", "nope://bucket/orders/", "orders/"):
        with pytest.raises(SettingsError, match="destination"):
            Run(destination)()
    assert not server.api_requests
    assert not server.token_requests


def test_what_is_not_installed_fails_before_the_first_request(
    server: OAuthServer, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("compression", "compression.zstd", "backports", "backports.zstd", "pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    for parameters in ({"compression": "zstd"}, {"file_format": "parquet"}):
        with pytest.raises(SettingsError, match="needs the extra"):
            Run(place.url, **parameters)()
    assert not server.api_requests


def test_without_a_record_there_is_an_empty_file(server: OAuthServer, place: Place) -> None:
    serve(server, Numbers(total=0))
    place.put("part-00000.jsonl", b"former")
    place.put("part-00001.jsonl", b"former")
    result = Run(place.url, **PAGED)()
    assert place.files() == {"part-00000.jsonl": b""}
    assert (result["records"], result["bytes"], len(result["files"])) == (0, 0, 1)


@pytest.mark.parametrize("single", [True, False])
def test_an_existing_result_is_replaced_refused_or_left(server: OAuthServer, place: Place, single: bool) -> None:
    name = "orders.jsonl" if single else "part-00000.jsonl"
    destination = f"{place.url}{name}" if single else place.url
    place.put("notes.txt", b"mine")
    Run(destination, if_exists="fail", **PAGED)()
    place.put(name, b"former")
    asked = len(server.api_requests)
    with pytest.raises(SettingsError, match=r"holds a result, and if_exists is 'fail'"):
        Run(destination, if_exists="fail", **PAGED)()
    skipped = Run(destination, if_exists="skip", **PAGED)()
    assert skipped == {
        "skipped": True, "files": [{"path": f"{place.url}{name}", "bytes": 6}], "resumed": False,
    }  # fmt: skip
    assert len(server.api_requests) == asked
    assert place.get(name) == b"former"
    Run(destination, **PAGED)()
    assert place.get(name).count(b"\n") == 7


@pytest.mark.parametrize("if_exists", ["fail", "skip"])
def test_a_retry_goes_on_with_its_own_files(
    server: OAuthServer, place: Place, if_exists: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_PAUSE_PER_COST", 0.0)
    run = Run(place.url, if_exists=if_exists, max_records_per_file=2, **PAGED)
    numbers = Numbers()
    serve(server, in_turn(numbers, numbers, Reply(404, "gone"), numbers, numbers))
    with pytest.raises(ApiRefusedError):
        run()
    assert len(place.files()) == 6
    assert all(name.startswith("_incomplete/part-0000") for name in place.files())
    result = run()
    assert (result["resumed"], result["records"], result["pages"]) == (True, 7, 3)
    lines = [json.loads(line) for _, content in sorted(place.files().items()) for line in content.splitlines()]
    assert lines == items(*range(7))
    assert [seen.query for seen in server.api_requests[3:]] == [[("cursor", "3")], [("cursor", "6")]]
    assert not run.kept


@pytest.mark.parametrize("if_exists", ["fail", "skip"])
def test_a_retry_that_starts_over_does_not_replace_the_result_of_another_run(
    server: OAuthServer, place: Place, if_exists: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_PAUSE_PER_COST", 0.0)
    run = Run(place.url, if_exists=if_exists, max_records_per_file=2, **PAGED)
    numbers = Numbers()
    serve(server, in_turn(numbers, numbers, Reply(404, "gone"), numbers, numbers, numbers))
    with pytest.raises(ApiRefusedError):
        run()
    place.empty()  # this try runs on another machine, where another run has left its result
    place.put("part-00000.jsonl", b"former")
    if if_exists == "fail":
        with pytest.raises(SettingsError, match="holds a result"):
            run()
    else:
        assert run()["skipped"] is True
    assert place.files() == {"part-00000.jsonl": b"former"}


def test_raw_bodies_become_a_file_for_each_page_or_one_of_all(
    server: OAuthServer, place: Place, tmp_path: Path
) -> None:
    link = '</api/orders?page=2>; rel="next"'
    first = Reply(200, b"\x00first" * 50_000, {"Link": link, "Content-Type": "application/pdf"})
    second = Reply(200, b"second", {"Content-Type": "application/pdf"})
    raw: dict[str, Any] = {"pagination": {"kind": "link_header"}, "response_format": "raw", "file_format": "raw"}
    serve(server, in_turn(first, second, first, second))
    result = Run(place.url, **raw)()
    assert place.files() == {"part-00000.bin": b"\x00first" * 50_000, "part-00001.bin": b"second"}
    assert (result["pages"], [file["bytes"] for file in result["files"]]) == (2, [300_000, 6])
    Run(f"{tmp_path}/all.pdf", **raw)()
    assert (tmp_path / "all.pdf").read_bytes() == b"\x00first" * 50_000 + b"second"


def test_a_retry_goes_on_behind_the_last_raw_page(
    server: OAuthServer, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_PAUSE_PER_COST", 0.0)
    pages = [Reply(200, f"page {n}", {"Link": f'</api/orders?page={n + 1}>; rel="next"'}) for n in range(3)]
    serve(server, in_turn(*pages, Reply(404, "gone"), pages[2], Reply(200, "page 3")))
    run = Run(place.url, pagination={"kind": "link_header"}, response_format="raw", file_format="raw")
    with pytest.raises(ApiRefusedError):
        run()
    assert run()["resumed"]
    assert [content for _, content in sorted(place.files().items())] == [b"page 0", b"page 1", b"page 2", b"page 3"]


def test_a_result_of_another_format_and_more_parts_is_cleaned_away(server: OAuthServer, place: Place) -> None:
    Run(place.url, file_format="csv", max_records_per_file=1, **PAGED)()
    assert len(place.files()) == 7
    Run(place.url, compression="gzip", **PAGED)()
    assert set(place.files()) == {"part-00000.jsonl.gz"}


def test_the_same_records_give_the_same_bytes_whatever_the_pages(server: OAuthServer, tmp_path: Path) -> None:
    hashes = set()
    for size in (1, 3, 100):
        serve(server, Numbers(total=100, size=size))
        result = Run(f"{tmp_path}/{size}/", compression="gzip", max_bytes_per_file=300, **PAGED)()
        hashes.add(tuple(file["sha256"] for file in result["files"]))
    assert len(hashes) == 1


def test_a_slow_checkpoint_takes_a_twentieth_of_the_time_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("airflow_oauth_provider.transfers.files.sink.time", SimpleNamespace(monotonic=lambda: now[0]))
    task = FileTask(memory_place("bucket/orders").url, max_records_per_file=1)
    task.open()
    saved: list[int] = []

    def slow(key: str, value: str) -> None:
        now[0] += 0.1
        saved.append(json.loads(value)["records"])

    monkeypatch.setattr(task.kept, "set", slow)
    for number in range(1_000):
        now[0] += 0.01
        task.sink.write([{"id": number}])
    assert saved[0] == 1
    assert len(saved) == 5
