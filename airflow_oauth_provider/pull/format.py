"""How bodies are read: what can be told apart before the first of them has come."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.pull.paths import path

if TYPE_CHECKING:
    from airflow_oauth_provider.pull.paths import Path

# What is asked for; a connection or a caller who names an Accept of his own gets that.
ACCEPT = {
    "json": "application/json",
    "ndjson": "application/x-ndjson, application/jsonl;q=0.9, */*;q=0.5",
    "csv": "text/csv, */*;q=0.5",
    "xml": "application/xml, text/xml;q=0.9, */*;q=0.5",
    "raw": "*/*",
}
DOCUMENTS = ("json", "xml")


@dataclass(frozen=True)
class Format:
    """
    How bodies are read.

    :param name: ``json``, ``ndjson``, ``csv``, ``xml`` or ``raw``
    :param records: JMESPath to the list of records
    :param use_decimal: numbers with a fraction become ``Decimal``, not ``float``
    :param csv_options: for ``csv.reader``; and ``fieldnames`` where the first line is no header
    :raises SettingsError: they contradict each other
    """

    name: str = "json"
    records: str | None = None
    use_decimal: bool = False
    csv_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Hold the choices against each other."""
        if not isinstance(self.name, str) or self.name not in ACCEPT:
            raise SettingsError(f"response_format: {str(self.name)[:30]!r} is none of {', '.join(ACCEPT)}.")
        if self.records is not None:
            if self.name not in DOCUMENTS:
                raise SettingsError(f"records: response_format={self.name!r} has no list to select; leave it out.")
            path(self.records, "records")
        if self.csv_options:
            if self.name != "csv":
                raise SettingsError(f"csv_options are given, but response_format is {self.name!r}.")
            _check_csv_options(self.csv_options)
        if self.name == "xml":
            xmltodict_module()

    @property
    def path(self) -> Path | None:
        """The compiled ``records``."""
        return path(self.records, "records") if self.records is not None else None


def _check_csv_options(options: Mapping[str, Any]) -> None:
    """Raise SettingsError when ``csv.reader`` does not take them."""
    if not isinstance(options, Mapping):
        raise SettingsError("csv_options must be a dict of what csv.reader takes.")
    named = dict(options)
    header = named.pop("fieldnames", None)
    names = list(header) if isinstance(header, list | tuple) else []
    if header is not None and (not names or len(set(map(str, names))) < len(names) or "" in names):
        raise SettingsError("csv_options: fieldnames must be a list of different names.")
    try:
        csv.reader([], **named)
    except (TypeError, ValueError, csv.Error) as error:
        raise SettingsError(f"csv_options: {error}.") from None


def xmltodict_module() -> Any:
    """Return the library, which is an extra."""
    try:
        import xmltodict
    except ImportError:
        pass
    else:
        return xmltodict
    raise SettingsError("response_format='xml' needs the extra airflow-oauth-provider[xml].")
