"""Where the parts of a result stand until all of them are whole."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from airflow_oauth_provider.exceptions import SettingsError, TransientError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from airflow_oauth_provider.transfers.files.store import Store

_FOLDER = "_incomplete"
# Written where the former result begins to be replaced: until all parts have come, what stands there is neither.
_TORN = "publishing"
_SIDECAR = ".done"
_STAGED = re.compile(r"(?:part-\d{5,}|probed?)\.(?P<writer>t\d+\.[0-9a-f]+)(?:\..+)?")
_PUBLISHED = re.compile(r"part-\d{5,}\.(jsonl|json|csv|parquet|bin)(\.gz|\.zst)?")


@dataclass(frozen=True)
class Part:
    """
    A part that is whole.

    :param number: its place in the result, from 0
    :param attempt: the try of the task that wrote it
    :param bytes: its size as it stands in the store
    """

    number: int
    attempt: int
    records: int
    bytes: int
    sha256: str


class Staging:
    """
    Beside the result: ``_incomplete/`` in a folder, ``_incomplete-orders.csv/`` beside ``orders.csv``.

    Its name is always the same, so that a run finds what a killed one left. A part bears its writer, the try and a key
    of the task, since a process that was given up may still be writing, and two tasks may have one destination by
    mistake. ``part-00003.t1.5f0c2a91.done`` says what is in ``part-00003.t1.5f0c2a91.csv``, and that it is whole.

    :param store: whose URL is a folder when it ends with a slash, else a file
    :param extension: of the parts
    :param attempt: number of this try
    :param key: hexadecimal, of the task
    """

    def __init__(self, store: Store, extension: str, attempt: int, key: str) -> None:
        self.store = store
        self._attempt = attempt
        self._key = key[:8]
        self._extension = extension
        self.is_single = not store.url.endswith("/")
        self._result, _, name = store.path.rpartition("/") if self.is_single else (store.path, "", "")
        self._single_name = name
        self._folder = f"{self._result}/{_FOLDER}-{name}" if self.is_single else f"{self._result}/{_FOLDER}"
        self._moved: set[int] = set()

    # Before the first record -----------------------------------------------------------------------------------------

    def prove(self) -> None:
        """
        Do what will be done later: make the folder, write, move, delete.

        :raises SettingsError: something of that cannot be done
        """
        with self.store.opening():
            if self.is_single and self.store.is_folder(self.store.path):
                raise SettingsError(f"destination {self.store.url!r} is a folder: end it with a slash, or name a file.")
            probe, probed = (self._at(f"{name}.{self._writer(self._attempt)}") for name in ("probe", "probed"))
            try:
                self.store.write(probe, b"")
            except FileNotFoundError:  # only some stores have folders
                self.store.make_folder(self._folder)
                self.store.write(probe, b"")
            self.store.move(probe, probed)
            self.store.delete(probed)

    def existing(self) -> list[dict[str, Any]]:
        """Return paths and bytes of the files of the former result; none when it was only begun to be put there."""
        with self.store.opening():
            if _TORN in self.store.files(self._folder):
                return []
            names = self._published()
            return [{"path": self._url(name), "bytes": size} for name, size in sorted(names.items())]

    def resume(self, segments: Iterable[tuple[int, int]], *, publishing: bool) -> tuple[list[Part], Any] | None:
        """
        Return the parts of former tries and the layout of their files, None when some are no longer there.

        :param segments: tries, each with the number of parts that stood when it ended
        :param publishing: the parts had begun to move
        """
        with self.store.working("cannot be read"):
            staged = self.store.files(self._folder)
            published = self._published() if publishing else {}
            parts: list[Part] = []
            layout = None
            for attempt, count in segments:
                for number in range(len(parts), count):
                    sidecar = self._name(number, attempt, _SIDECAR)
                    if sidecar not in staged:
                        return None
                    said = json.loads(self.store.read(self._at(sidecar)))
                    layout = said.pop("layout")
                    part = Part(number, attempt, **said)
                    if staged.get(self._name(number, attempt)) != part.bytes:
                        if published.get(self._final(number)) != part.bytes:
                            return None
                        self._moved.add(number)
                    parts.append(part)
            return parts, layout

    # Parts -----------------------------------------------------------------------------------------------------------

    def open(self, number: int) -> IO[bytes]:
        """Return the file of a part, to be written."""
        path = self._at(self._name(number, self._attempt))
        try:
            return self.store.open(path)
        except FileNotFoundError:  # a former try that ended only now has tidied up
            self.store.make_folder(self._folder)
            return self.store.open(path)

    def seal(self, number: int, layout: Any, said: Mapping[str, Any]) -> Part:
        """
        Say that a part is whole.

        :param layout: what its format has settled for all parts
        :param said: ``records``, ``bytes`` and ``sha256``
        """
        content = json.dumps({**said, "layout": layout}).encode()
        self.store.write(self._at(self._name(number, self._attempt, _SIDECAR)), content)
        return Part(number, self._attempt, **said)

    def clean(self, kept: Collection[Part], *, own: bool = False) -> None:
        """
        Delete all parts but these, and the folder when it is empty.

        :param own: only what this try wrote: another one may be at work by now
        """
        names = {self._name(part.number, part.attempt, end) for part in kept for end in (self._extension, _SIDECAR)}
        for name in self.store.files(self._folder):
            staged = _STAGED.fullmatch(name)
            if staged and name not in names and (not own or staged["writer"] == self._writer(self._attempt)):
                self.store.delete(self._at(name))
        self.store.remove_folder(self._folder)

    # The result ------------------------------------------------------------------------------------------------------

    def verify(self, parts: Iterable[Part]) -> None:
        """
        Look whether all parts are still there.

        :raises TransientError: they are not
        """
        staged = self.store.files(self._folder)
        for part in parts:
            if part.number not in self._moved and staged.get(self._name(part.number, part.attempt)) != part.bytes:
                raise TransientError(
                    f"destination {self.store.url!r}: parts of this run are gone. Does another task write there, too?"
                )

    def publish(self, parts: Collection[Part]) -> list[dict[str, Any]]:
        """Put the parts in place of the former result, remove what is left of it, and return what the XCom says."""
        if not self.is_single:
            self.store.write(self._at(_TORN), b"")
        files = []
        for part in parts:
            name = self._final(part.number)
            if part.number not in self._moved:
                self.store.move(self._at(self._name(part.number, part.attempt)), f"{self._result}/{name}")
            files.append({"path": self._url(name), "records": part.records, "bytes": part.bytes, "sha256": part.sha256})
        new = {self._final(part.number) for part in parts}
        for name in self._published():
            if name not in new:
                self.store.delete(f"{self._result}/{name}")
        self.store.delete(self._at(_TORN))
        self.clean(())
        return files

    def _published(self) -> dict[str, int]:
        if self.is_single:
            size = self.store.size(self.store.path)
            return {} if size is None else {self._single_name: size}
        return {name: size for name, size in self.store.files(self._result).items() if _PUBLISHED.fullmatch(name)}

    def _at(self, name: str) -> str:
        return f"{self._folder}/{name}"

    def _name(self, number: int, attempt: int, extension: str | None = None) -> str:
        return f"part-{number:05d}.{self._writer(attempt)}{extension or self._extension}"

    def _writer(self, attempt: int) -> str:
        return f"t{attempt}.{self._key}"

    def _final(self, number: int) -> str:
        return self._single_name or f"part-{number:05d}{self._extension}"

    def _url(self, name: str) -> str:
        return self.store.url if self.is_single else f"{self.store.url}{name}"
