"""JSON whose numbers are written as exactly as they came."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import msgspec


@cache
def encoder() -> msgspec.json.Encoder:
    """Return the encoder; msgspec is imported when it is used, not with a Dag file."""
    import msgspec

    return msgspec.json.Encoder(decimal_format="number")


def json_text(value: Any) -> str:
    """Return *value* as JSON text."""
    return encoder().encode(value).decode()
