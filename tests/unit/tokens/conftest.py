"""The clock of these tests stands still: a machine that stalls would else decide when tokens are replaced."""

from __future__ import annotations

import pytest

from tests.support.clock import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return a clock that goes when the test says so."""
    made = Clock(monkeypatch)
    made.stand_still()
    return made
