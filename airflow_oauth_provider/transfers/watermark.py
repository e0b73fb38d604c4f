"""How far the data of an asset reaches: kept with the asset, moved on when the data is safe."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

import msgspec

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.pull.paths import path
from airflow_oauth_provider.transfers.attempt import Attempt
from airflow_oauth_provider.transfers.exact_json import json_text
from airflow_oauth_provider.transfers.interval import later

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context


class Watermark:
    """
    The largest value that a run has seen, where the next one begins.

    :param context: of the task
    :param place: JMESPath to the value in a record
    :param outlets: of the task; one of them is the asset
    :param log: takes where the run begins
    :raises SettingsError: Airflow keeps nothing with assets before 3.3
    """

    def __init__(self, context: Context, place: str, outlets: Sequence[Any], log: Any) -> None:
        stores: Any = context.get("asset_state_store")
        if stores is None:
            raise SettingsError("watermark needs Airflow 3.3 or newer, and an Asset in outlets; use interval_params.")
        ti: Any = context["ti"]
        self._path = path(place, "watermark")
        self._store = stores[_assets(outlets)[0]]
        # Several tasks can write one asset, each from a source of its own.
        self._key = f"oauth2_watermark.{ti.dag_id}.{ti.task_id}"
        if (index := getattr(ti, "map_index", -1)) is not None and index >= 0:
            self._key += f".{index}"
        self._run = Attempt.of(context).key
        kept = self._store.get(self._key)
        self._kept = _Kept.of(kept)
        # The run that has moved it on begins again where it began: what it brought may be replaced by less otherwise.
        self.value: Any = self._kept.began if self._kept.run == self._run else self._kept.value
        if self.value is None:
            log.info("There is no watermark to begin at: everything is pulled.")
        else:
            log.info("Pulls what is behind the watermark %s.", self.value)

    def latest(self, batch: list[Any], before: Any) -> Any:
        """Return the largest value of *batch* and *before*."""
        for record in batch:
            value = self._path.find(record)
            if value is not None and value not in ("", before):
                before = later(before, value)
        return before

    def shown(self) -> Any:
        """Return the value as a query takes it."""
        return f"{self.value:f}" if isinstance(self.value, Decimal) else self.value

    def advance(self, value: Any) -> None:
        """Keep *value* for the next run, when it is larger than what is kept: the data is safe now."""
        if value is None:
            return
        # A run that began later may have come further meanwhile.
        reached = _Kept.of(self._store.get(self._key)).value
        if later(reached, value) != reached:
            self._store.set(self._key, _Kept(value, self.value, self._run).to_text())


@dataclass(frozen=True)
class _Kept:
    """What stands with the asset: the value, and where which run began that brought it there."""

    value: Any = None
    began: Any = None
    run: str | None = None

    @classmethod
    def of(cls, text: Any) -> Self:
        found = from_text(text)
        if isinstance(found, dict) and {"value", "began", "run"} <= set(found):
            return cls(found["value"], found["began"], found["run"])
        return cls(found)

    def to_text(self) -> str | None:
        return to_text({"value": self.value, "began": self.began, "run": self.run})


def to_text(value: Any) -> str | None:
    """Return a watermark as JSON, its number exact; None for none."""
    return None if value is None else json_text(value)


def from_text(text: Any) -> Any:
    """Return the watermark that :func:`to_text` wrote; what somebody typed in by hand is a text."""
    if not isinstance(text, str):
        return None
    try:
        return msgspec.json.Decoder(float_hook=Decimal).decode(text)
    except msgspec.DecodeError:
        return text


def check_watermark(watermark: str | None, param: str | None, outlets: Sequence[Any]) -> None:
    """Raise SettingsError when a watermark cannot be kept or sent."""
    if (watermark is None) != (param is None):
        raise SettingsError("watermark and watermark_param belong together: which value, and how it is sent.")
    if watermark is None:
        return
    path(watermark, "watermark")
    if len(_assets(outlets)) != 1:
        raise SettingsError("watermark needs exactly one Asset in outlets: it is kept with the asset.")


def _assets(outlets: Sequence[Any]) -> list[Any]:
    kinds = {"Asset", "AssetNameRef", "AssetUriRef", "Dataset"}
    return [outlet for outlet in outlets if kinds & {base.__name__ for base in type(outlet).__mro__}]
