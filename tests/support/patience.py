"""
Token stores that may take their time.

A store that takes two seconds is given up for thirty. A machine that stalls takes as long now and then, and then tasks
share less than a test counts on that looks for something else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

LIMIT_S = 30.0
# Variables of the environment of a process of a nursery.
NAME = "TESTS_PATIENCE_WITH_STORES"
PATIENT, OWN_LIMITS = {NAME: "1"}, {NAME: "0"}


def be_patient(monkeypatch: pytest.MonkeyPatch | None = None) -> None:
    """Let operations of stores that are opened from now on take long; without *monkeypatch* for good."""
    # Imported late: a new interpreter of the benchmarks has yet to import them.
    from airflow_oauth_provider.tokens.stores import file, guarded, opening, redis

    limits: tuple[tuple[dict[str, Any], str, float], ...] = (
        # The default was bound when the class was made.
        (guarded.GuardedStore.__init__.__kwdefaults__ or {}, "timeout_s", LIMIT_S),
        (vars(opening), "CONNECTING_TIMEOUT_S", LIMIT_S),
        (vars(file), "_LOCK_TIMEOUT_S", LIMIT_S),
        (vars(file), "_COUNT_TIMEOUT_S", LIMIT_S),
        (vars(redis), "_SOCKET_TIMEOUT_S", LIMIT_S),
        (vars(redis), "_CLAIM_S", 2 * LIMIT_S),
    )
    for holder, name, limit_s in limits:
        if monkeypatch is None:
            holder[name] = limit_s
        else:
            monkeypatch.setitem(holder, name, limit_s)


def be_as_told(environment: Mapping[str, str]) -> None:
    """Be patient where *environment* says so."""
    if environment.get(NAME) == "1":
        be_patient()
