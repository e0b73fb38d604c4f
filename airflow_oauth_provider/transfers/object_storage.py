"""An operator that pulls from an API into files: on this machine, or in any store that Airflow knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.pull.templates import has_template
from airflow_oauth_provider.transfers.base import PULL_TEMPLATE_FIELDS, OAuth2TransferOperator
from airflow_oauth_provider.transfers.files.options import check_options, format_of, limits_of
from airflow_oauth_provider.transfers.files.output_file import COMPRESSIONS, compressor
from airflow_oauth_provider.transfers.files.sink import FileSink, Skipped
from airflow_oauth_provider.transfers.files.staging import Staging
from airflow_oauth_provider.transfers.files.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_oauth_provider.transfers.checkpoint import Checkpoint
    from airflow_oauth_provider.transfers.sink import Sink

_FILE_FIELDS = (
    *("destination", "destination_conn_id", "file_format", "compression", "max_records_per_file"),
    *("max_bytes_per_file", "if_exists", "columns", "schema"),
)


class OAuth2HttpToObjectStorageOperator(OAuth2TransferOperator):
    """
    Pulls from an API into files.

    Nothing stands in its place before all of it is there: until then it lies in ``_incomplete`` beside it. A run that
    failed leaves the former result as it was. The XCom holds ``files`` (``path``, ``records``, ``bytes``, ``sha256``),
    ``records``, ``bytes``, ``pages``, ``seconds`` and ``resumed``; or ``skipped``, ``files`` (``path``, ``bytes``) and
    ``resumed``.

    :param destination: URL or absolute path; with a slash at its end a folder of ``part-00000.jsonl``, …, else a file
        (templated)
    :param destination_conn_id: connection of the store (templated)
    :param file_format: ``jsonl``, ``json`` (one array), ``csv``, ``parquet``; or ``raw``: bodies as they come, in a
        folder a file for each page (templated)
    :param compression: ``gzip`` or ``zstd``; in Parquet its own, snappy by default (templated)
    :param max_records_per_file: in a folder, begin the next file behind so many records (templated)
    :param max_bytes_per_file: in a folder, begin the next file before it has more bytes, counted before compression;
        by default 128 MiB, and 0 for no limit; Parquet looks at it each 1,000 records (templated)
    :param if_exists: ``replace`` the former result, ``fail``, or ``skip`` the pull (templated)
    :param columns: of CSV and Parquet, in this order; by default the keys of the first record, of the first 1,000 for
        Parquet, and a record with another key is an error (templated)
    :param schema: columns of Parquet with their types, see :class:`.ParquetFormat`; by default those of the first 1,000
        records, and a record that does not fit is an error (templated)
    :param kwargs: see :class:`.OAuth2TransferOperator`
    """

    template_fields: Sequence[str] = (*PULL_TEMPLATE_FIELDS, *_FILE_FIELDS)

    def __init__(
        self,
        *,
        destination: str,
        destination_conn_id: str | None = None,
        file_format: str = "jsonl",
        compression: str | None = None,
        max_records_per_file: int | str | None = None,
        max_bytes_per_file: int | str | None = None,
        if_exists: str = "replace",
        columns: Sequence[str] | None = None,
        schema: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        # The base asks for some of it.
        self.destination = destination
        self.destination_conn_id = destination_conn_id
        self.file_format = file_format
        self.compression = compression
        self.max_records_per_file = max_records_per_file
        self.max_bytes_per_file = max_bytes_per_file
        self.if_exists = if_exists
        self.columns = columns
        self.schema = schema
        super().__init__(**kwargs)

    def open_sink(self, context: Context, checkpoint: Checkpoint) -> Sink:  # noqa: ARG002
        """
        Return the sink.

        :raises SettingsError: the destination cannot be used, or holds a result that must not be replaced
        """
        file_format = format_of(self.file_format, self.columns, self.schema, self.compression)
        compression = None if self.file_format == "parquet" else self.compression
        compressor(compression)  # what it needs may not be installed
        extension = file_format.extension + COMPRESSIONS.get(compression or "", "")
        store = Store(self.destination, self.destination_conn_id)
        staging = Staging(store, extension, checkpoint.attempt_number, checkpoint.key)
        former = checkpoint.resumed
        if former is None and (skipped := self._result_there(staging)):
            return skipped
        sink = FileSink(
            staging,
            file_format,
            checkpoint,
            compression=compression,
            limits=limits_of(self.max_records_per_file, self.max_bytes_per_file, is_single=staging.is_single),
            page_by_page=self.file_format == "raw" and not staging.is_single,
            columns=tuple(self.columns or self.schema or ()),
        )
        sink.begin()
        # What the former try had put in place itself is no result of another run.
        started_over = former is not None and checkpoint.resumed is None and former.get("phase") != "publish"
        return (self._result_there(staging) if started_over else None) or sink

    def _result_there(self, staging: Staging) -> Skipped | None:
        """Return what stands in for a sink when a result is there that stays; raise when it must not be there."""
        if self.if_exists == "replace" or not (files := staging.existing()):
            return None
        if self.if_exists == "fail":
            raise SettingsError(f"destination {self.destination!r} holds a result, and if_exists is 'fail'.")
        self.log.info("Nothing is pulled: %s holds a result, and if_exists is 'skip'.", self.destination)
        staging.clean(())
        return Skipped(files)

    def destination_identity(self) -> Any:
        """Return all that makes files what they are."""
        return [*(getattr(self, name) for name in _FILE_FIELDS if name != "schema"), repr(self.schema)]

    def reads_decimals(self) -> bool:
        """Whether numbers are read exactly: text takes them as they are, Parquet would make decimals of them."""
        return self.use_decimal or self.file_format != "parquet"

    def _check_pull(self, *, templated: bool) -> None:
        """Raise SettingsError for what cannot be right; templates are looked at when they are rendered."""
        super()._check_pull(templated=templated)
        named = {name: getattr(self, name) for name in ("response_format", *_FILE_FIELDS)}
        known = {name: value for name, value in named.items() if templated or not has_template(value)}
        if isinstance(self.destination, str) and not self.destination.endswith(("}}", "%}")):
            known["destination"] = self.destination
        check_options(known)
