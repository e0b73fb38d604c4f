"""What a Dag author may ask of files, held against itself before anything is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.pull.paginator import whole_number
from airflow_oauth_provider.transfers.files.formats import CsvFormat, JsonFormat, JsonLinesFormat, Limits, RawFormat
from airflow_oauth_provider.transfers.files.output_file import COMPRESSIONS
from airflow_oauth_provider.transfers.files.parquet import ParquetFormat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_oauth_provider.transfers.files.formats import FileFormat

FILE_FORMATS = ("jsonl", "json", "csv", "parquet", "raw")
IF_EXISTS = ("replace", "fail", "skip")
_LIMITS = ("max_records_per_file", "max_bytes_per_file")
# Of a part of a folder, where nobody chose: many tools read files of that size best, and a retry loses little.
DEFAULT_MAX_BYTES = 128 << 20


def check_options(known: Mapping[str, Any]) -> None:
    """
    Hold the operator's parameters against each other.

    :param known: by name, without those that come with the run; of the destination its end is enough
    :raises SettingsError: they cannot be right
    """
    _one_of(known, "file_format", FILE_FORMATS)
    _one_of(known, "compression", (None, *COMPRESSIONS))
    _one_of(known, "if_exists", IF_EXISTS)
    _check_raw(known)
    for name in _LIMITS:
        _check_limit(known, name)
    _check_columns(known)
    _check_schema(known)
    _check_destination(known)


def limits_of(max_records: Any, max_bytes: Any, *, is_single: bool) -> Limits:
    """
    Return the limits of a part; a single file has none.

    :param max_bytes: None for the default, 0 for none
    """
    if is_single:
        return Limits()
    return Limits(
        whole_number(max_records), DEFAULT_MAX_BYTES if max_bytes is None else whole_number(max_bytes) or None
    )


def format_of(
    name: str, columns: Sequence[str] | None, schema: Mapping[str, Any] | None, compression: str | None
) -> FileFormat:
    """
    Return the format.

    :raises SettingsError: what it needs is not installed, or there is no such type
    """
    if name == "parquet":
        return ParquetFormat(columns, schema, compression)
    if name == "csv":
        return CsvFormat(columns)
    formats: dict[str, type[JsonLinesFormat | RawFormat]] = {
        "jsonl": JsonLinesFormat,
        "json": JsonFormat,
        "raw": RawFormat,
    }
    return formats[name]()


def _one_of(known: Mapping[str, Any], name: str, choices: Sequence[str | None]) -> None:
    value = known.get(name, choices[0])
    if value not in choices:
        named = ", ".join(choice or "None" for choice in choices)
        raise SettingsError(f"{name}: {str(value)[:40]!r} is none of {named}.")


def _check_raw(known: Mapping[str, Any]) -> None:
    written, read = known.get("file_format"), known.get("response_format")
    if written is not None and read is not None and (written == "raw") != (read == "raw"):
        raise SettingsError(f"file_format={written!r} and response_format={read!r}: raw bodies become raw files only.")


def _check_limit(known: Mapping[str, Any], name: str) -> None:
    value = known.get(name)
    number = whole_number(value)
    if value is None or (number == 0 and name == "max_bytes_per_file"):
        return
    if not number:
        raise SettingsError(f"{name} is {str(value)[:30]!r}, not a whole number of at least 1.")
    if known.get("file_format") == "raw":
        raise SettingsError(f"{name}: raw bodies are not divided, each page is a file.")
    destination = known.get("destination")
    if isinstance(destination, str) and not destination.endswith("/"):
        raise SettingsError(f"{name}: the destination is a single file. End it with a slash to have a folder of files.")


def _check_columns(known: Mapping[str, Any]) -> None:
    columns = known.get("columns")
    if columns is None:
        return
    if known.get("file_format", "csv") not in ("csv", "parquet"):
        raise SettingsError(f"columns: {known['file_format']} has none; they are for csv and parquet.")
    if isinstance(columns, str) or not columns or not all(isinstance(name, str) and name for name in columns):
        raise SettingsError("columns must be a list of names.")
    if len(set(columns)) < len(columns):
        raise SettingsError("columns: a name stands there twice.")


def _check_schema(known: Mapping[str, Any]) -> None:
    schema = known.get("schema")
    if schema is None:
        return
    if known.get("file_format", "parquet") != "parquet":
        raise SettingsError(f"schema: {known['file_format']} has none; it is for parquet.")
    if not isinstance(schema, Mapping) or not schema:
        raise SettingsError("schema must be a dict of names and types.")
    if known.get("columns") is not None:
        raise SettingsError("columns and schema are both given: the schema names the columns.")


def _check_destination(known: Mapping[str, Any]) -> None:
    if "destination" not in known:
        return
    destination = known["destination"]
    if not isinstance(destination, str) or not destination.strip():
        raise SettingsError("destination must be a URL or an absolute path: of a folder when it ends with a slash.")
    if known.get("file_format") not in ("jsonl", "json", "csv"):
        return
    for compression, extension in COMPRESSIONS.items():
        if destination.endswith(extension) and known.get("compression", compression) != compression:
            raise SettingsError(f"destination ends with {extension}, but compression is not {compression!r}.")
