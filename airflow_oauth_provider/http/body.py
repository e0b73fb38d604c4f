"""Bodies that can be sent once, and those that can be sent again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from airflow_oauth_provider.exceptions import SettingsError


class Body:
    """
    What a caller wants to send.

    :param data: as requests takes it
    :param files: as requests takes it; not an iterator, which could be read only here
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


def files_of(files: Any) -> Any:
    """
    Return *files* as they can be looked at more than once: requests takes an iterator of pairs, too.

    :raises SettingsError: they are neither a mapping nor pairs
    """
    if files is None or isinstance(files, Mapping):
        return files
    pairs = None
    with suppress(TypeError):
        pairs = list(files)
    if pairs is None or not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
        raise SettingsError("files is neither a mapping of names to files nor a list of such pairs.")
    return pairs


def _file_objects(files: Any) -> list[Any]:
    """``files`` maps or pairs names with a file, or with a tuple whose second item is one."""
    if not files:
        return []
    values = files.values() if isinstance(files, Mapping) else (pair[1] for pair in files)
    return [value[1] if isinstance(value, tuple | list) else value for value in values]
