"""
A connection's extra, read with one canonical type for each key.

Text may arrive as a number or a boolean (a connection URI does that) and the reverse, objects as JSON text,
blank-separated text as a list: all are accepted. Null, ``""``, ``{}`` and ``[]`` mean "not set".
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_oauth_provider.exceptions import SettingsError

MASKED = "***"

_FLAGS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
# What people write who know other tools, and where it belongs here.
_ELSEWHERE = {
    "token_url": "Token URL (the field host)",
    "token_endpoint": "Token URL (the field host)",
    "host": "Token URL (the field host)",
    "client_id": "Client ID (the field login)",
    "client_secret": "Client secret (the field password)",
    "scopes": "scope",
    "endpoint_url": "base_url",
    "verify_ssl": "verify",
    "proxy": "proxies",
    "params": "extra_params",
}


class _Fraction(str):
    """A JSON number with a fraction or an exponent, as it was written."""

    __slots__ = ()


class Extra:
    """
    The members of a connection's extra.

    :param raw: JSON text of an object, None or empty for none
    :param known: the keys that there are
    :raises SettingsError: it is not a JSON object, has an unknown key, or holds a masked value that was copied
    """

    def __init__(self, raw: str | None, known: Iterable[str]) -> None:
        self._members = _json_object(raw, "Extra") if raw and raw.strip() else {}
        names = list(known)
        for key, value in self._members.items():
            if key not in names:
                raise SettingsError(f"Extra has an unknown key {key[:60]!r}: {_advice(key, names)}")
            _refuse_masked(value, key)

    def text(self, key: str, *, among: Iterable[str] = ()) -> str | None:
        """Return text without blanks around it, one of *among* where that is given."""
        value = self._scalar(key)
        if value is None:
            return None
        _refuse_fraction(value, key)
        text = _as_text(value).strip()
        choices = list(among)
        if text and choices and text not in choices:
            raise SettingsError(f"{key}: {text[:60]!r} is none of {', '.join(choices)}.")
        return text or None

    def number_text(self, key: str) -> str | None:
        """Return text that consists of numbers, such as ``10,60``."""
        value = self._scalar(key)
        if isinstance(value, bool):
            raise SettingsError(f"{key} is {_as_text(value)}, not a number.")
        return _as_text(value).strip() or None if value is not None else None

    def words(self, key: str) -> tuple[str, ...]:
        """Return the words of blank-separated text, or of a list."""
        value = self._members.get(key)
        if isinstance(value, list):
            if any(not isinstance(item, str) for item in value):
                raise SettingsError(f"{key} is a list of something else than text.")
            return tuple(word for item in value for word in item.split())
        return tuple((self.text(key) or "").split())

    def integer(self, key: str, default: int, *, maximum: int) -> int:
        """Return a whole number from 0 to *maximum*."""
        text = self.number_text(key)
        if text is None:
            return default
        if not re.fullmatch(r"[0-9]{1,9}(\.0*)?", text, re.ASCII) or float(text) > maximum:
            raise SettingsError(f"{key}: {text[:30]!r} is not a whole number from 0 to {maximum}.")
        return int(float(text))

    def flag(self, key: str) -> bool | None:
        """Return true or false."""
        value = self._scalar(key)
        if value is None or _as_text(value).strip() == "":
            return None
        flag = _FLAGS.get(_as_text(value).strip().lower())
        if flag is None:
            raise SettingsError(f"{key}: {_as_text(value)[:30]!r} is neither true nor false.")
        return flag

    def mapping(self, key: str) -> tuple[tuple[str, str], ...]:
        """Return an object's members, values as text, without those that are not set."""
        value = self._members.get(key)
        if isinstance(value, str) and value.strip():
            value = _json_object(value, key)
            _refuse_masked(value, key)
        if value is None or value in ("", [], {}) or (isinstance(value, str) and not value.strip()):
            return ()
        if not isinstance(value, dict):
            raise SettingsError(f'{key} is not a JSON object such as {{"name": "value"}}.')
        if nested := [name for name, item in value.items() if isinstance(item, dict | list)]:
            raise SettingsError(f"{key}: the value of {nested[0][:60]!r} is not text.")
        for name, item in value.items():
            _refuse_fraction(item, f"{key}: the value of {name[:60]!r}")
        return tuple((name, _as_text(item)) for name, item in value.items() if item is not None and item != "")

    def _scalar(self, key: str) -> str | int | None:
        value = self._members.get(key)
        if value is None or value in ({}, []):
            return None
        if isinstance(value, dict | list):
            raise SettingsError(f"{key} is {'an object' if isinstance(value, dict) else 'a list'}, not text.")
        return value  # type: ignore[no-any-return]


def refuse_masked_value(value: str | None, field: str) -> None:
    """
    Raise when *value* is what Airflow shows in place of a secret.

    :raises SettingsError: it is
    """
    if value is not None and value.strip() == MASKED:
        raise SettingsError(f"{field} is ***: a masked value was copied. Enter the real one.")


def _refuse_fraction(value: Any, what: str) -> None:
    """Raise for a number that a connection URI may have changed: it turns ``1e5`` into 100000.0, and 1.10 into 1.1."""
    if isinstance(value, _Fraction):
        raise SettingsError(
            f"{what} came as the number {value[:30]}, which may not be what was written: put it in quotes as JSON text."
        )


def _refuse_masked(value: Any, key: str) -> None:
    if isinstance(value, Mapping):
        for name, item in value.items():
            _refuse_masked(item, f"{key}.{name}")
    elif isinstance(value, str):
        refuse_masked_value(value, key)


def _json_object(raw: str, what: str) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise SettingsError(f"{what} holds {constant}, which is not JSON.")

    try:
        value = json.loads(raw, parse_float=_Fraction, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise SettingsError(f"{what} is not JSON: {error.msg} at line {error.lineno} column {error.colno}.") from None
    except (ValueError, RecursionError):
        raise SettingsError(f"{what} is not JSON that can be read.") from None
    if not isinstance(value, dict):
        raise SettingsError(f"{what} is not a JSON object.")
    return value


def _as_text(value: str | int) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _advice(key: str, known: list[str]) -> str:
    if elsewhere := _ELSEWHERE.get(key.lower()):
        return f"that belongs into {elsewhere}."
    nearest = difflib.get_close_matches(key.lower(), known, n=1, cutoff=0.0)
    return f"did you mean {nearest[0]!r}? Known are {', '.join(known)}."
