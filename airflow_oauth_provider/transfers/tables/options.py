"""What a Dag author may ask of a table, held against itself before anything is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.pull.paginator import whole_number
from airflow_oauth_provider.transfers.tables.rows import getters
from airflow_oauth_provider.transfers.tables.statements import split_table

MODES = ("append", "replace", "upsert")


def check_options(known: Mapping[str, Any]) -> None:
    """
    Hold the operator's parameters against each other.

    :param known: by name, without those that come with the run
    :raises SettingsError: they cannot be right
    """
    if known.get("response_format") == "raw":
        raise SettingsError("response_format='raw': bodies as they are have no records that could become rows.")
    for name in ("table", "checkpoint_table"):
        if name in known and (name, known[name]) != ("checkpoint_table", None):
            split_table(known[name], name)
    if "columns" in known:
        getters(known["columns"])
    _check_mode(known)
    if known.get("hook_params") is not None and not isinstance(known["hook_params"], Mapping):
        raise SettingsError("hook_params must be a dict.")
    for name in ("batch_size", "commit_every"):
        value = known.get(name)
        chosen = name in known and (name, value) != ("commit_every", None)
        if chosen and (whole_number(value) or 0) < 1:
            raise SettingsError(f"{name} is {str(value)[:30]!r}, not a whole number of at least 1.")


def _check_mode(known: Mapping[str, Any]) -> None:
    mode = known.get("mode", "append")
    if mode not in MODES:
        raise SettingsError(f"mode: {str(mode)[:40]!r} is none of {', '.join(MODES)}.")
    if "mode" not in known:
        return
    if mode == "replace" and known.get("commit_every") is not None:
        raise SettingsError("commit_every: mode='replace' would lose the old rows before the new ones are all there.")
    if "key_columns" in known:
        _check_keys(known["key_columns"], mode)
        columns = known.get("columns")
        if columns and (unknown := [key for key in known["key_columns"] or () if key not in columns]):
            raise SettingsError(f"key_columns: {str(unknown[0])[:100]!r} is none of the columns.")


def _check_keys(keys: Any, mode: str) -> None:
    if mode != "upsert" and keys is not None:
        raise SettingsError(f"key_columns: mode is {mode!r}, and only 'upsert' goes by keys.")
    if mode == "upsert" and (not isinstance(keys, list | tuple) or not keys or len(set(map(str, keys))) < len(keys)):
        raise SettingsError("key_columns must be a list of columns, each once: mode='upsert' knows rows by them.")
