"""
A connection's extra, read with one canonical type for each key.

Text may arrive as a number or a boolean (a connection URI does that) and the reverse, objects as JSON text,
blank-separated text as a list: all are accepted. Null, ``""``, ``{}`` and ``[]`` mean "not set".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.oauth2.pem import holds_private_key
from airflow_oauth_provider.other_names import advice

MASKED = "***"

_WHOLE = "Extra"

_TRUE, _FALSE = ("true", "yes", "on", "1", "y"), ("false", "no", "off", "0", "n")
_FLAGS = {**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False)}
# Airflow 2.11's Test button sends each field of the form under this name, too, and this for a secret that is not set.
_FORM_PREFIX = "extra__oauth2__"
_FORM_PLACEHOLDER = "RATHER_LONG_SENSITIVE_FIELD_PLACEHOLDER"
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")
_MAX_DEPTH = 50


class _Fraction(str):
    """A JSON number with a fraction or an exponent, as it was written."""

    __slots__ = ()


class Extra:
    """
    The members of a connection's extra.

    :param raw: JSON text of an object, None or empty for none
    :param known: the keys that there are
    :param masked: those of them whose values Airflow hides; no other may hold a private key
    :raises SettingsError: it is not a JSON object, has an unknown key, or holds a masked value that was copied
    """

    def __init__(self, raw: str | None, known: Iterable[str], masked: Iterable[str] = ()) -> None:
        self._members = _as_named_here(_json_object(raw, _WHOLE)) if raw and raw.strip() else {}
        names, hidden = list(known), frozenset(masked)
        for key, value in self._members.items():
            if key not in names:
                raise SettingsError(f"Extra has an unknown key {key[:60]!r}: {advice(key, names)}")
            refuse_half_characters(json_text(value), key)
            _refuse_masked(value, key)
            if key not in hidden:
                refuse_private_key(value, key)

    def has(self, key: str) -> bool:
        """Whether anything is set."""
        value = self._members.get(key)
        return value not in (None, {}, []) and not (isinstance(value, str) and not value.strip())

    def verbatim(self, key: str) -> str | None:
        """Return text as it was written, of any number of lines; a JSON object (as a JWK is one) becomes its text."""
        value = self._members.get(key)
        if not self.has(key):
            return None
        if isinstance(value, dict):
            return json_text(value)
        if isinstance(value, list):
            raise SettingsError(f"{key} is a list, not text.")
        _refuse_fraction(value, key)
        return _as_text(value)  # type: ignore[arg-type]  # None is not set

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

    def json(self, key: str) -> dict[str, Any] | list[Any] | None:
        """Return a JSON object or array of any depth, which may arrive as text."""
        value = self._members.get(key)
        if not self.has(key):
            return None
        if isinstance(value, str):
            value = _json(value, key)
            _refuse_masked(value, key)
        if not isinstance(value, dict | list):
            raise SettingsError(f"{key} is neither a JSON object nor an array.")
        return _with_numbers(value, key)  # type: ignore[no-any-return]

    def number_text(self, key: str) -> str | None:
        """Return text that consists of numbers, such as ``10,60``."""
        value = self._scalar(key)
        if isinstance(value, bool):
            raise SettingsError(f"{key} is {_as_text(value)}, not a number.")
        return _as_text(value).strip() or None if value is not None else None

    def words(self, key: str) -> tuple[str, ...]:
        """Return the words of blank-separated text, or of a list."""
        return tuple(word for item in self._texts(key) for word in item.split())

    def phrases(self, key: str) -> tuple[str, ...]:
        """Return what commas separate in a text, or the items of a list; each may be several words."""
        phrases = (" ".join(phrase.split()) for item in self._texts(key) for phrase in item.split(","))
        return tuple(filter(None, phrases))

    def integer(self, key: str, default: int, *, minimum: int = 0, maximum: int) -> int:
        """Return a whole number from *minimum* to *maximum*."""
        text = self.number_text(key)
        if text is None:
            return default
        if not re.fullmatch(r"[0-9]{1,9}(\.0*)?", text, re.ASCII) or not minimum <= float(text) <= maximum:
            raise SettingsError(f"{key}: {text[:30]!r} is not a whole number from {minimum} to {maximum}.")
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

    def _texts(self, key: str) -> list[str]:
        value = self._members.get(key)
        if not isinstance(value, list):
            return [self.text(key) or ""]
        if any(not isinstance(item, str) for item in value):
            raise SettingsError(f"{key} is a list of something else than text.")
        return value

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


def refuse_half_characters(text: str | None, field: str) -> None:
    """
    Raise for text that cannot be sent, nor written to a log, for want of the other half of a character.

    :raises SettingsError: it has one
    """
    if _HALF_CHARACTER.search(text or ""):
        raise SettingsError(f"{field} holds half a character (a lone UTF-16 surrogate): write it anew.")


def refuse_private_key(value: Any, field: str) -> None:
    """
    Raise when a private key stands where Airflow would show it, or where it would be sent.

    :raises SettingsError: it does
    """
    if _holds_private_key(value):
        raise SettingsError(f"{field} holds a private key: that belongs into private_key, which is masked.")


def _holds_private_key(value: Any) -> bool:
    """Whether a PEM or a JWK (RFC 7517) with its private member stands anywhere in *value*."""
    if isinstance(value, dict):
        return {"kty", "d"} <= value.keys() or any(map(_holds_private_key, value.values()))
    if isinstance(value, list):
        return any(map(_holds_private_key, value))
    return isinstance(value, str) and holds_private_key(value)


def json_text(value: Any) -> str:
    """Return JSON text without blanks, members in the order in which they came."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _as_named_here(members: dict[str, Any]) -> dict[str, Any]:
    """Return the members of an extra as this package names them, whichever form sent them."""
    by_form = {key.removeprefix(_FORM_PREFIX): value for key, value in members.items() if key.startswith(_FORM_PREFIX)}
    plain = {key: value for key, value in members.items() if not key.startswith(_FORM_PREFIX)}
    return {key: value for key, value in {**by_form, **plain}.items() if value != _FORM_PLACEHOLDER}


def _refuse_fraction(value: Any, what: str) -> None:
    """Raise for a number that a connection URI may have changed: it turns ``1e5`` into 100000.0, and 1.10 into 1.1."""
    if isinstance(value, _Fraction):
        # Without the number: it may be somebody's secret.
        raise SettingsError(
            f"{what} came as a number with a fraction or an exponent, which may not be what was written: "
            "put it in quotes as JSON text."
        )


def _with_numbers(value: Any, what: str) -> Any:
    """Return *value* with its fractions as numbers; by their value alone, which a connection URI does not change."""
    if isinstance(value, dict):
        return {name: _with_numbers(item, what) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_numbers(item, what) for item in value]
    if not isinstance(value, _Fraction):
        return value
    number = float(value)
    if Decimal(repr(number)) != Decimal(value):
        raise SettingsError(f"{what} holds a number that has too many digits, or is too large: put it in quotes.")
    return number


def _refuse_masked(value: Any, key: str) -> None:
    if isinstance(value, Mapping):
        for name, item in value.items():
            _refuse_masked(item, f"{key}.{name}")
    elif isinstance(value, list):
        for item in value:
            _refuse_masked(item, key)
    elif isinstance(value, str):
        refuse_masked_value(value, key)


def _json_object(raw: str, what: str) -> dict[str, Any]:
    value = _json(raw, what)
    if not isinstance(value, dict):
        raise SettingsError(f"{what} is not a JSON object.")
    return value


def _json(raw: str, what: str) -> Any:
    def refuse(constant: str) -> None:
        raise SettingsError(f"{what} holds {constant}, which is not JSON.")

    problem = None
    try:
        value = json.loads(raw, parse_float=_Fraction, parse_constant=refuse)
    except json.JSONDecodeError as error:
        problem = f"{what} is not JSON: {error.msg} at line {error.lineno} column {error.colno}."
    except (ValueError, RecursionError):
        problem = f"{what} is not JSON that can be read."
    # Not in the handler above: an error's context keeps what the library raised, which holds the text.
    if problem:
        raise SettingsError(problem)
    if _is_deep(value):
        raise SettingsError(f"{what} is nested too deeply.")
    if what != _WHOLE:  # which names the key in question
        refuse_half_characters(json_text(value), what)
    return value


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_MAX_DEPTH):
        nested = [item for item in level if isinstance(item, dict | list)]
        level = [item for one in nested for item in (one.values() if isinstance(one, dict) else one)]
    return bool(level)


def _as_text(value: str | int) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
