"""Lists the statements of docs/oauth-checklist.md that no test shows: ``python -m tests.support.statements``."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


class Shown:
    """A pytest plugin that collects the numbers that tests are marked with."""

    def __init__(self) -> None:
        self.numbers: set[int] = set()

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        for mark in item.iter_markers("statement"):
            self.numbers.update(mark.args)


def stated() -> set[int]:
    """Return the numbers of the checklist."""
    checklist = (PROJECT / "docs" / "oauth-checklist.md").read_text(encoding="utf-8")
    return {int(number) for number in re.findall(r"^\| (\d+) \|", checklist, re.MULTILINE)}


def main() -> int:
    shown = Shown()
    with contextlib.redirect_stdout(io.StringIO()) as listing:
        collected = pytest.ExitCode(pytest.main(["--collect-only", "-qq", str(PROJECT / "tests")], [shown]))
    if collected != pytest.ExitCode.OK:
        print(listing.getvalue())
        print(f"The tests cannot be collected (exit code {collected.value}).")
        return int(collected)
    numbers = stated()
    missing, unknown = sorted(numbers - shown.numbers), sorted(shown.numbers - numbers)
    print(f"\n{len(numbers)} statements; without a test: {missing or 'none'}")
    if unknown:
        print(f"Tests are marked with numbers that are no statement: {unknown}")
    return 1 if missing or unknown or not numbers else 0


if __name__ == "__main__":
    sys.exit(main())
