"""The code of docs/pulling.md, and an API as that page describes one."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tests.support.servers import Reply, Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

README = Path(__file__).parents[2] / "README.md"
GUIDE = README.parent / "docs" / "pulling.md"

_HEADINGS_AND_CODE = r"^#+ (?P<heading>[^\n]+)$|^```{language}\n(?P<code>.*?)^```$"

FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
PAGE = 10
ORDERS: list[dict[str, Any]] = [
    {
        "id": number,
        "status": "open" if number % 3 == 0 else "paid",
        "total": round(number * 7 % 250 + number / 100, 2),
        "updated_at": (FIRST_DAY + timedelta(hours=number - 1)).isoformat().replace("+00:00", "Z"),
        "customer": {"city": f"city {number % 7}"},
    }
    for number in range(1, 251)
]


@dataclass(frozen=True)
class Block:
    """
    A piece of code in a document.

    :param name: the heading above it, and which one below that heading it is
    """

    name: str
    code: str

    def run(self, **names: Any) -> dict[str, Any]:
        """Execute it as a module, and return its names; *names* are there before."""
        # Some libraries look a function's module up.
        module = sys.modules["documented"] = ModuleType("documented")
        vars(module).update(names)
        exec(compile(self.code, self.name, "exec"), vars(module))
        return vars(module)


def blocks(document: Path = GUIDE, language: str = "python") -> dict[str, Block]:
    """Return all pieces of code in a document by their names."""
    pattern = re.compile(_HEADINGS_AND_CODE.format(language=language), re.MULTILINE | re.DOTALL)
    found: dict[str, Block] = {}
    heading, count = "", 0
    for part in pattern.finditer(document.read_text(encoding="utf-8")):
        if part["heading"]:
            heading, count = part["heading"], 0
            continue
        count += 1
        name = f"{heading} {count}"
        found[name] = Block(name, part["code"])
    return found


def rows(first_cell: str) -> Iterator[list[str]]:
    """Yield the cells of each row of the tables in the guide whose header begins with that."""
    is_wanted = False
    for line in GUIDE.read_text(encoding="utf-8").splitlines():
        if line.startswith(f"| {first_cell} |"):
            is_wanted = True
        elif not line.startswith("|"):
            is_wanted = False
        elif is_wanted and not line.startswith("| ---"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def code(cell: str) -> list[str]:
    """Return what stands between backticks."""
    return re.findall(r"`([^`]+)`", cell)


class Shop:
    """Serves the orders, in all ways of paging at once; a page for each day; and exports as CSV."""

    def __call__(self, seen: Seen) -> Reply:
        if "/days/" in seen.path:
            return self._day(seen.path.rpartition("/")[2])
        if "/exports/" in seen.path:
            return Reply(200, "id\r\n1\r\n", {"Content-Type": "text/csv"})
        asked = dict(seen.query)
        if seen.body:
            search = json.loads(seen.body)
            asked = {**search["filter"], "limit": search["page"]["size"], "cursor": search["page"].get("after", "")}
        return self._page(seen.path, asked)

    def _page(self, path: str, asked: dict[str, Any]) -> Reply:
        found = wanted(asked)
        size = min(int(asked.get("limit", PAGE)), 100)
        start = self._start(asked, size)
        end = start + size
        more = end < len(found)
        link = f"{path}?{urlencode({**asked, 'cursor': f'b{end}'})}" if more else None
        counts = {"total": len(found), "pages": -(-len(found) // size)}
        answer = {
            "data": found[start:end],
            "next": link,
            "meta": {"next": f"b{end}" if more else None, "more": more, **counts},
        }
        return Reply(200, answer, {"Link": f'<{link}>; rel="next"', "X-Next": f"b{end}"} if more else {})

    def _start(self, asked: dict[str, Any], size: int) -> int:
        if "after_id" in asked:
            return int(asked["after_id"])
        if "page" in asked:
            return (int(asked["page"]) - 1) * size
        return int(asked.get("offset") or (asked.get("cursor") or "b0").removeprefix("b"))

    def _day(self, day: str) -> Reply:
        following = (datetime.fromisoformat(day) + timedelta(days=1)).date().isoformat()
        there_is_more = bool(wanted({"day": following}))
        return Reply(200, {"data": wanted({"day": day}), "next_day": following if there_is_more else None})


def wanted(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the orders that the parameters of a request let through."""
    return [
        order
        for order in ORDERS
        if order["updated_at"].startswith(asked.get("day", ""))
        and asked.get("status", order["status"]) == order["status"]
        and asked.get("updated_since", "") <= order["updated_at"] < asked.get("updated_before", "9")
    ]
