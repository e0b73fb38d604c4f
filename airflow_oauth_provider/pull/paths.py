"""JMESPath expressions, compiled once; plain dotted ones are walked without the interpreter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from airflow_oauth_provider.exceptions import ResponseFormatError, SettingsError

_KEY = r"""(?:[A-Za-z_][A-Za-z0-9_]*|"[^"\\]+")"""
_PLAIN = re.compile(rf"{_KEY}(\.{_KEY})*")


class Path:
    """
    A place in a document.

    :param text: JMESPath
    :param parameter: where it was given, for the error
    :raises SettingsError: it is no JMESPath
    """

    def __init__(self, text: str, parameter: str) -> None:
        import jmespath

        if not isinstance(text, str) or not text.strip():
            raise SettingsError(f"{parameter}: {text!r} is not a JMESPath such as data.items.")
        self.text = text.strip()
        self._parameter = parameter
        plain = _PLAIN.fullmatch(self.text)
        self.keys = tuple(key.strip('"') for key in re.findall(_KEY, self.text)) if plain else None
        try:
            self._compiled = jmespath.compile(self.text)
        except (jmespath.exceptions.JMESPathError, ValueError, RecursionError) as error:
            why = str(error).splitlines()[0][:200]
            raise SettingsError(f"{parameter}: {self.text[:100]!r} is not a JMESPath: {why}") from None

    def find(self, document: Any) -> Any:
        """
        Return what stands there, None when nothing does.

        :raises ResponseFormatError: a function of the expression cannot take what stands there
        """
        if self.keys is None:
            return self._search(document)
        for key in self.keys:
            if not isinstance(document, Mapping):
                return None
            document = document.get(key)
        return document

    def parent_of_last(self, document: Any) -> Any:
        """Return what holds the last key of a plain path."""
        for key in (self.keys or ())[:-1]:
            document = document.get(key) if isinstance(document, Mapping) else None
        return document

    def _search(self, document: Any) -> Any:
        import jmespath

        try:
            return self._compiled.search(document)
        except jmespath.exceptions.JMESPathError as error:
            # Its text may quote what it was applied to.
            why = type(error).__name__
        raise ResponseFormatError(f"{self._parameter}: {self.text[:100]!r} cannot be applied to the answer ({why}).")


def path(text: str, parameter: str) -> Path:
    """Return the compiled expression; a page does not pay for it again."""
    return _compiled(text, parameter) if isinstance(text, str) else Path(text, parameter)


@lru_cache(maxsize=128)
def _compiled(text: str, parameter: str) -> Path:
    return Path(text, parameter)
