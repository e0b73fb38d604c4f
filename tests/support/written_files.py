"""The files that a format makes of records."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from airflow_oauth_provider.transfers.files.formats import FileFormat, Limits
from airflow_oauth_provider.transfers.files.output_file import OutputFile

NONE = Limits()


class Handle(io.BytesIO):
    """Remembers what was written when it is closed."""

    content = b""

    def close(self) -> None:
        if not self.closed:
            self.content = self.getvalue()
        super().close()


def written(
    file_format: FileFormat, records: Sequence[Any], *, limits: Limits = NONE, batch: int = 1_000
) -> list[bytes]:
    """Return the files that the records become."""
    handles: list[Handle] = []
    writer = None
    for start in range(0, len(records), batch):
        rest, number = records[start : start + batch], start + 1
        while rest:
            if writer is None:
                handles.append(Handle())
                writer = file_format.writer(OutputFile(handles[-1]), limits)
            taken = writer.write(rest, number)
            rest, number = rest[taken:], number + taken
            if writer.full:
                writer.close()
                writer = None
    if writer is None and not handles:
        handles.append(Handle())
        writer = file_format.writer(OutputFile(handles[-1]), limits)
    if writer is not None:
        writer.close()
    return [handle.content for handle in handles]


def only(files: list[bytes]) -> bytes:
    (content,) = files
    return content
