from __future__ import annotations

import csv
import gzip
import hashlib
import importlib.util
import io
import json
import random
import sys
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.transfers.files.formats import (
    CsvFormat,
    FileFormat,
    JsonFormat,
    JsonLinesFormat,
    Limits,
    RawFormat,
)
from airflow_oauth_provider.transfers.files.output_file import OutputFile
from tests.support.requirements import require
from tests.support.written_files import Handle, only, written

HAS_ZSTD = importlib.util.find_spec("backports.zstd") if importlib.util.find_spec("backports") else None


# A file ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [None, "gzip", "zstd"])
def test_the_same_bytes_come_out_however_they_went_in(compression: str | None) -> None:
    require(compression != "zstd" or HAS_ZSTD is not None or sys.version_info >= (3, 14), "backports.zstd")
    drawn = random.Random(7)
    data = "".join(drawn.choice("abcdefgh") for _ in range(1_500_000)).encode()
    hashes = set()
    for size in (len(data), 1_000, 262_144, 70_001):
        handle = Handle()
        file = OutputFile(handle, compression)
        for start in range(0, len(data), size):
            file.write(data[start : start + size])
        file.close()
        assert (file.size, file.bytes) == (len(data), len(handle.content))
        assert file.sha256 == hashlib.sha256(handle.content).hexdigest()
        hashes.add(file.sha256)
    assert len(hashes) == 1


def test_a_compressor_sees_pieces_of_one_size(monkeypatch: pytest.MonkeyPatch) -> None:
    class Recorder:
        def __init__(self) -> None:
            self.sizes: list[int] = []

        def compress(self, data: bytes) -> bytes:
            self.sizes.append(len(data))
            return b""

        def flush(self) -> bytes:
            return b""

    seen = []
    for size in (1_000, 300_000, 1_000_000):
        recorder = Recorder()
        monkeypatch.setattr(
            "airflow_oauth_provider.transfers.files.output_file.compressor", lambda _, made=recorder: made
        )
        file = OutputFile(Handle(), "gzip")
        for _ in range(0, 3_000_000, size):
            file.write(bytes(size))
        file.close()
        seen.append(recorder.sizes)
    assert seen[0] == seen[1] == seen[2]


def test_gzip_names_neither_time_nor_file_and_can_be_read() -> None:
    handle = Handle()
    file = OutputFile(handle, "gzip")
    file.write(b"orders")
    file.close()
    assert gzip.decompress(handle.content) == b"orders"
    assert handle.content[3:8] == bytes(5)


def test_zstd_can_be_read() -> None:
    require(HAS_ZSTD is not None, "backports.zstd")
    from backports import zstd

    handle = Handle()
    file = OutputFile(handle, "zstd")
    file.write(b"orders" * 100_000)
    file.close()
    assert zstd.decompress(handle.content) == b"orders" * 100_000


def test_zstd_without_its_package_is_an_error_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("compression", "compression.zstd", "backports", "backports.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SettingsError, match=r"needs the extra airflow-oauth-provider\[zstd\]"):
        OutputFile(Handle(), "zstd")


# JSON -----------------------------------------------------------------------------------------------------------------

EXACT = '{"a":0.1000,"b":12345678901234567890.123456789,"c":123456789012345678901234567890,"d":1E+400,"e":-0.0}'


def test_numbers_stay_exactly_as_they_came() -> None:
    record = json.loads(EXACT, parse_float=Decimal)
    assert only(written(JsonLinesFormat(), [record])) == f"{EXACT}\n".encode()
    assert json.loads(only(written(JsonFormat(), [record])), parse_float=Decimal) == [record]


def test_lines_and_array_hold_whatever_json_can_hold() -> None:
    records = [{"a": 'Grüße\n\r\t"\\\u2028😀'}, [1, [2]], "text", 7, None, True, {}, {"n": {"m": [None, {"": ""}]}}]
    lines = only(written(JsonLinesFormat(), records, batch=3))
    assert [json.loads(line) for line in lines.decode().split("\n")[:-1]] == records
    array = only(written(JsonFormat(), records, batch=3))
    assert json.loads(array) == records
    assert array.count(b"\n") == len(records) + 2


@pytest.mark.parametrize(
    ("file_format", "content"),
    [(JsonLinesFormat(), b""), (JsonFormat(), b"[\n]\n"), (CsvFormat(), b""), (CsvFormat(["a", "b"]), b"a,b\r\n")],
)
def test_without_records_there_is_an_empty_file_of_the_format(file_format: FileFormat, content: bytes) -> None:
    assert written(file_format, []) == [content]


def test_what_cannot_be_written_is_named_by_its_number() -> None:
    records = [{"id": number} for number in range(2_000)] + [{"id": "\udcff"}]
    with pytest.raises(SettingsError, match=r"record 2,001 cannot be written: .*surrogates not allowed"):
        written(JsonLinesFormat(), records)


# Limits ---------------------------------------------------------------------------------------------------------------

RECORDS = [{"id": number, "text": "x" * (number % 37)} for number in range(1_000)]
TEXTS: list[Any] = [JsonLinesFormat, JsonFormat, CsvFormat]


@pytest.mark.parametrize("make", TEXTS)
def test_files_end_at_the_limit_of_records(make: Any) -> None:
    files = written(make(), RECORDS, limits=Limits(records=300))
    assert [len(read(content, make)) for content in files] == [300, 300, 300, 100]
    assert [record for content in files for record in read(content, make)] == RECORDS
    assert len(written(make(), RECORDS, limits=Limits(records=500))) == 2


@pytest.mark.parametrize("make", TEXTS)
def test_no_file_is_larger_than_the_limit_and_none_smaller_than_it_must_be(make: Any) -> None:
    files = written(make(), RECORDS, limits=Limits(bytes=5_000))
    assert [record for content in files for record in read(content, make)] == RECORDS
    assert len(files) > 3
    for content, following in pairwise(files):
        first = read(following, make)[0]
        assert len(content) <= 5_000
        assert len(only(written(make(), [*read(content, make), first]))) > 5_000


@pytest.mark.parametrize("make", TEXTS)
def test_the_limit_is_that_of_the_whole_file(make: Any) -> None:
    size = len(only(written(make(), RECORDS[:10])))
    for limit, count in ((size, 10), (size - 1, 9)):
        assert len(read(written(make(), RECORDS, limits=Limits(bytes=limit))[0], make)) == count


@pytest.mark.parametrize("make", TEXTS)
@pytest.mark.parametrize("limits", [Limits(records=77), Limits(bytes=3_000), Limits(records=50, bytes=2_000), Limits()])
def test_files_do_not_depend_on_how_the_records_came(make: Any, limits: Limits) -> None:
    files = written(make(), RECORDS, limits=limits)
    for batch in (1, 7, 333):
        assert written(make(), RECORDS, limits=limits, batch=batch) == files


@pytest.mark.parametrize("make", TEXTS)
def test_a_record_that_is_larger_than_the_limit_stands_alone(make: Any) -> None:
    records = [{"id": 0, "text": ""}, {"id": 1, "text": "x" * 500}, {"id": 2, "text": ""}, {"id": 3, "text": ""}]
    files = written(make(), records, limits=Limits(bytes=100))
    assert [[record["id"] for record in read(content, make)] for content in files] == [[0], [1], [2, 3]]


def read(content: bytes, make: Any) -> list[dict[str, Any]]:
    if make is CsvFormat:
        rows = csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True)
        return [{"id": int(row["id"]), "text": row["text"]} for row in rows]
    if make is JsonFormat:
        return list(json.loads(content))
    return [json.loads(line) for line in content.splitlines()]


# CSV ------------------------------------------------------------------------------------------------------------------


def test_csv_has_the_keys_of_the_first_record_as_header_and_values_as_json_writes_them() -> None:
    records = [
        {"id": 1, "price": Decimal("10.50"), "open": True, "tags": ["a", {"b": Decimal("0.10")}], "note": None},
        {"note": "", "id": 2**70, "open": False, "tags": {}, "price": 0.1},
        {"id": 3},
    ]
    assert only(written(CsvFormat(), records)).decode().split("\r\n") == [
        "id,price,open,tags,note",
        '1,10.50,true,"[""a"",{""b"":0.10}]",',
        "1180591620717411303424,0.1,false,{},",
        "3,,,,",
        "",
    ]


@pytest.mark.parametrize("text", ['a"b', "a,b", "a\nb", "a\rb", "a\r\nb", " a ", "😀", "'", "=1+1", "\t", "\ufeff"])
def test_any_text_survives_csv(text: str) -> None:
    content = only(written(CsvFormat(), [{"a": text, "b": text}, {"a": "", "b": ""}]))
    rows = list(csv.reader(io.StringIO(content.decode(), newline=""), strict=True))
    assert rows == [["a", "b"], [text, text], ["", ""]]


def test_a_key_that_the_header_has_not_is_an_error_that_names_it() -> None:
    records = [{"a": 1}] * 1_500 + [{"a": 1, "new": 2}]
    with pytest.raises(
        SettingsError, match="record 1,501 has the key 'new', for which there is no column: say by columns"
    ):
        written(CsvFormat(), records)


def test_columns_choose_keys_and_their_order_in_every_file() -> None:
    records = [{"a": 1, "b": 2, "c": 3}, {"c": 4, "new": 5}]
    files = written(CsvFormat(["c", "a", "never"]), records, limits=Limits(records=1))
    assert files == [b"c,a,never\r\n3,1,\r\n", b"c,a,never\r\n4,,\r\n"]


def test_every_file_has_the_header_of_the_first_one_also_when_another_try_goes_on() -> None:
    first = CsvFormat()
    (content,) = written(first, [{"b": 1, "a": 2}])
    second = CsvFormat()
    second.layout = json.loads(json.dumps(first.layout))
    assert [content, *written(second, [{"a": 3, "b": 4}])] == [b"b,a\r\n1,2\r\n", b"b,a\r\n4,3\r\n"]


@pytest.mark.parametrize("record", [[1, 2], "text", None, 7])
def test_csv_wants_objects(record: Any) -> None:
    with pytest.raises(SettingsError, match=r"record 1 is .*, not an object: select objects by records, or take jsonl"):
        written(CsvFormat(), [record])
    with pytest.raises(SettingsError, match="record 2 is"):
        written(CsvFormat(), [{"a": 1}, record])


# Raw ------------------------------------------------------------------------------------------------------------------


def test_raw_is_what_came() -> None:
    pieces = [b"\x00\xff", b"", b"\r\n" * 300_000]
    assert only(written(RawFormat(), pieces)) == b"".join(pieces)
