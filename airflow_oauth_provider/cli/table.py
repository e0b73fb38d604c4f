"""The table of ``status``."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_oauth_provider.masking import escape_control_characters
from airflow_oauth_provider.tokens.stores.reach import reach_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Row = Mapping[str, Any]

_HEADINGS = ("CONNECTION", "STATE", "AGE", "ENDS IN", "FINGERPRINT", "REQUESTS", "SAVED", "SCOPE")
_GAP = "  "
_NARROWEST_SCOPE = 12
_LONGEST_REFUSAL = 400
_UNKNOWN = "-"


def table(rows: Sequence[Row], now: float, width: int | None) -> str:
    """
    Return *rows* as lines of aligned text, with what was refused and which store was read below.

    :param rows: what ``status --output json`` shows
    :param width: of the terminal, where scopes that find no room stand below; None to cut nothing
    """
    lines = [_HEADINGS, *(_cells(row, now) for row in rows)]
    notes = [*_refusals(rows, now)]
    if width is not None and width - _width_without_scope(lines) < _NARROWEST_SCOPE:
        notes = [*_scopes(rows), *notes]
        lines = [cells[:-1] for cells in lines]
    stores = dict.fromkeys(row["store"] for row in rows if "store" in row)
    about = [_about(store, width) for store in stores]
    blocks = [_aligned(lines, width), [_wrapped(note, width) for note in notes], about]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _cells(row: Row, now: float) -> tuple[str, ...]:
    ends_at = row.get("expires_at")
    cells = (
        row["conn_id"],
        row["state"],
        _span(row.get("age_s")),
        "ended" if ends_at is not None and ends_at <= now else _span(None if ends_at is None else ends_at - now),
        row.get("fingerprint"),
        row.get("requests_made"),
        row.get("requests_saved"),
        row.get("scope"),
    )
    # A server's words; and a terminal obeys control characters.
    return tuple(_UNKNOWN if cell is None else escape_control_characters(str(cell)) for cell in cells)


def _span(seconds: float | None) -> str | None:
    """Return seconds in the unit in which they are short."""
    if seconds is None:
        return None
    for size, unit, most in ((1, "s", 100), (60, "min", 100), (3600, "h", 48)):
        if seconds < most * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds // 86_400:.0f} d"


def _width_without_scope(lines: Sequence[tuple[str, ...]]) -> int:
    return sum(max(map(len, column)) + len(_GAP) for column in list(zip(*lines, strict=True))[:-1])


def _aligned(lines: Sequence[tuple[str, ...]], width: int | None) -> list[str]:
    """Return *lines* in columns, the last one cut to what is left of *width*."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    if width is not None:
        widths[-1] = min(widths[-1], max(_NARROWEST_SCOPE, width - _width_without_scope(lines)))
    return [_GAP.join(map(_fitted, cells, widths)).rstrip() for cells in lines]


def _fitted(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else f"{text[: width - 1]}…"


def _scopes(rows: Sequence[Row]) -> Iterator[str]:
    return (f"{row['conn_id']}: scope {row['scope']}" for row in rows if row.get("scope"))


def _refusals(rows: Sequence[Row], now: float) -> Iterator[str]:
    for row in rows:
        if row.get("refusal") is None:
            continue
        ago, left_s = _span(max(0.0, now - row["refused_at"])), row["refused_until"] - now
        until = f", not asked again for {_span(left_s)}" if left_s > 0 else ""
        said = textwrap.shorten(row["refusal"], _LONGEST_REFUSAL, placeholder=" … (all of it: --output json)")
        yield f"{row['conn_id']}: refused {ago} ago{until}: {said}"


def _about(store: str, width: int | None) -> str:
    reach = reach_of(store)
    return f"Store: {store}" + ("" if reach.shared else f"\n{_wrapped(f'  {reach.note}', width)}")


def _wrapped(text: str, width: int | None) -> str:
    shown = escape_control_characters(text)
    if width is None:
        return shown
    return textwrap.fill(shown, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
