"""What a constructor cannot look at yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def has_template(value: Any) -> bool:
    """Whether *value* is, or holds, a Jinja template or a reference to an XCom: its text comes with the run."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, Mapping):
        return any(has_template(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(has_template(item) for item in value)
    return hasattr(value, "iter_references")
