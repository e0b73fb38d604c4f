"""The sink of files: records go into parts, and the parts become the result when all of them are whole."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any

from airflow_oauth_provider.transfers.files.output_file import OutputFile
from airflow_oauth_provider.transfers.files.store import described

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_oauth_provider.transfers.checkpoint import Checkpoint
    from airflow_oauth_provider.transfers.files.formats import FileFormat, FileWriter, Limits
    from airflow_oauth_provider.transfers.files.staging import Part, Staging

log = logging.getLogger(__name__)

# A checkpoint takes a tenth of a second: where parts are small, not each of them is worth one.
_PAUSE_PER_COST = 20.0


class FileSink:
    """
    Writes records to the files of a store. When it is ``complete``, what is left to do is to put them in place.

    :param staging: where they stand until all are whole
    :param compression: of each file; None also where the format has its own
    :param limits: of a part
    :param page_by_page: a page is a part
    :param columns: that records should have
    """

    def __init__(
        self,
        staging: Staging,
        file_format: FileFormat,
        checkpoint: Checkpoint,
        *,
        compression: str | None,
        limits: Limits,
        page_by_page: bool,
        columns: Sequence[str] = (),
    ) -> None:
        self._staging = staging
        self._format = file_format
        self._checkpoint = checkpoint
        self._compression = compression
        self._limits = limits
        self._page_by_page = page_by_page
        self._columns = columns
        self._parts: list[Part] = []
        self._writer: FileWriter | None = None
        self._records = 0
        self._records_in_parts = 0
        self._saved_parts = 0
        self._save_after = 0.0
        self.can_start_over = True
        self.saves_on_the_way = not staging.is_single
        self.complete = False

    def begin(self) -> None:
        """
        Go on from the checkpoint where its parts are still there, remove what else former tries left, try the store.

        :raises SettingsError: the store cannot be used
        """
        try:
            with self._staging.store.opening():
                if self._checkpoint.resumed is not None and not self._resume(self._checkpoint.resumed):
                    log.warning("This try starts over: parts of the former one are gone, or stand on another machine.")
                    self._checkpoint.start_over()
                self._staging.clean(self._parts)
                self._staging.prove()
        except BaseException:
            with contextlib.suppress(Exception):
                self._staging.clean(self._parts, own=True)
            raise

    def write(self, batch: list[Any]) -> None:
        """Write the records, to as many parts as they need."""
        if not self._records and self._columns:
            seen = {name for record in batch if isinstance(record, Mapping) for name in record}
            if never := [name for name in self._columns if name not in seen]:
                log.warning("The first %d records have nothing for the columns %s: is that right?", len(batch), never)
        while batch:
            with self._writing():
                writer = self._writer or self._open_part()
                taken = writer.write(batch, self._records + 1)
                self._records += taken
                batch = batch[taken:]
                if writer.full:
                    self._close_part(writer)
            self._save_progress()

    def end_page(self) -> None:
        """Close the part where each page has its own."""
        if self._page_by_page and self._writer is not None:
            with self._writing():
                self._close_part(self._writer)
            self._save_progress()

    def finish(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """Put the parts in the place of the former result; without a record there is an empty one."""
        with self._writing():
            if self._writer is not None or not self._parts:
                self._close_part(self._writer or self._open_part())
            self._staging.verify(self._parts)
        self._save("publish")
        self.complete = True
        with self._staging.store.working("holds only a part of the new result", "A retry completes it."):
            files = self._staging.publish(self._parts)
        return {
            "files": files,
            "records": sum(part.records for part in self._parts),
            "bytes": sum(part.bytes for part in self._parts),
            "pages": summary["pages"],
            "seconds": summary["seconds"],
        }

    def abort(self) -> None:
        """Remove what no retry goes on from, and leave to the next run what cannot be removed now."""
        try:
            if self._writer is not None:
                self._writer.file.abandon()
        except Exception:
            log.debug("The part that was being written was not closed", exc_info=True)
        try:
            self._staging.clean(self._parts[: self._saved_parts], own=True)
        except Exception as error:  # noqa: BLE001  # what ended the try is what shall be raised
            log.warning("What this try has written was not removed (%s); the next run does it.", described(error))

    # Parts -----------------------------------------------------------------------------------------------------------

    def _open_part(self) -> FileWriter:
        file = OutputFile(self._staging.open(len(self._parts)), self._compression)
        self._writer = self._format.writer(file, self._limits)
        return self._writer

    def _close_part(self, writer: FileWriter) -> None:
        writer.close()
        self._writer = None
        said = {"records": writer.records, "bytes": writer.file.bytes, "sha256": writer.file.sha256}
        self._parts.append(self._staging.seal(len(self._parts), self._format.layout, said))
        self._records_in_parts = self._records

    def _writing(self) -> Any:
        return self._staging.store.working(
            "cannot be written to", "The former result is untouched; make room there or mend it, then let it retry."
        )

    # The checkpoint --------------------------------------------------------------------------------------------------

    def _resume(self, state: Mapping[str, Any]) -> bool:
        publishing = state["phase"] == "publish"
        found = self._staging.resume(state["segments"], publishing=publishing)
        if found is None:
            return False
        self._parts, self._format.layout = found
        self._saved_parts = len(self._parts)
        self._records = self._records_in_parts = self._checkpoint.records
        self.complete = publishing
        return True

    def _save_progress(self) -> None:
        """Save that there are new parts, unless the last time is too recent for what it costs."""
        if len(self._parts) > self._saved_parts and time.monotonic() >= self._save_after:
            self._save("pull")

    def _save(self, phase: str) -> None:
        if not self._checkpoint.active:
            return
        began = time.monotonic()
        by_try = groupby(self._parts, lambda part: part.attempt)
        segments = [[attempt, max(part.number for part in parts) + 1] for attempt, parts in by_try]
        self._checkpoint.save(self._records_in_parts, {"segments": segments, "phase": phase})
        ended = time.monotonic()
        self._save_after = ended + _PAUSE_PER_COST * (ended - began)
        if self._checkpoint.active:
            self._saved_parts = len(self._parts)


class Skipped:
    """
    Stands in for a sink where there is a result already.

    :param files: its files
    """

    can_start_over = True
    saves_on_the_way = False
    complete = True

    def __init__(self, files: list[dict[str, Any]]) -> None:
        self._files = files

    def write(self, batch: list[Any]) -> None:
        """Take nothing."""

    def end_page(self) -> None:
        """Take nothing."""

    def finish(self, summary: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Return what is there."""
        return {"skipped": True, "files": self._files}

    def abort(self) -> None:
        """Change nothing."""
