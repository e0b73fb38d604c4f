"""What is said of a store is what the process can know."""

from __future__ import annotations

import os
import socket

import pytest

from airflow_oauth_provider.tokens.stores.reach import (
    DATABASE,
    FLEET,
    FOLDER,
    MACHINE,
    OWN,
    PROCESS,
    Reach,
    reach_of,
)


@pytest.mark.parametrize(
    ("where", "reach"),
    [
        ("redis://redis.example.com:6379/0", FLEET),
        ("rediss://redis.example.com/0", FLEET),
        ("variable://", DATABASE),
        ("redis://localhost:6379/0", MACHINE),
        ("redis://127.0.0.1/0", MACHINE),
        ("rediss://[::1]:6379/0", MACHINE),
        ("redis:///0", MACHINE),
        ("unix:///run/redis.sock", MACHINE),
        ("file:///opt/airflow/oauth2_tokens/50000", FOLDER),
        ("memory://", PROCESS),
        ("acme.stores:vault", OWN),
        ("the vault [in the cellar", OWN),
        ("vault://[broken", OWN),
    ],
)
def test_how_far_a_store_reaches_follows_from_its_kind_and_address(where: str, reach: Reach) -> None:
    assert reach_of(where) is reach


def test_a_note_names_the_machine_and_the_user_from_which_one_looks() -> None:
    assert socket.gethostname() in MACHINE.note
    assert f"user id {os.geteuid()} on the machine {socket.gethostname()}" in FOLDER.note
