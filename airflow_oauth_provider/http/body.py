"""Bodies that can be sent once, and those that can be sent again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class Body:
    """
    What a caller wants to send.

    :param data: as requests takes it
    :param files: as requests takes it
    """

    def __init__(self, data: Any, files: Any) -> None:
        self._readers: list[tuple[Any, int]] = []
        self.repeatable = True
        for part in (data, *_file_objects(files)):
            if hasattr(part, "read"):
                self._add_reader(part)
            elif isinstance(part, Iterator):
                self.repeatable = False

    def _add_reader(self, reader: Any) -> None:
        try:
            self._readers.append((reader, reader.seek(0, 1)))
        except (AttributeError, OSError, ValueError):
            self.repeatable = False

    def rewind(self) -> None:
        """Set files back to where they stood at first."""
        for reader, position in self._readers:
            reader.seek(position)


def _file_objects(files: Any) -> list[Any]:
    """``files`` maps or pairs names with a file, or with a tuple whose second item is one."""
    if not files:
        return []
    values = files.values() if hasattr(files, "values") else (pair[1] for pair in files)
    return [value[1] if isinstance(value, tuple | list) else value for value in values]
