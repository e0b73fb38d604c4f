"""The table of ``status``, at a glance."""

from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_oauth_provider.cli.table import table
from airflow_oauth_provider.oauth2.token import AccessToken
from airflow_oauth_provider.tokens.refusals import Refusal
from airflow_oauth_provider.tokens.status import TokenStatus
from airflow_oauth_provider.tokens.stores.base import Counts
from airflow_oauth_provider.tokens.stores.reach import FOLDER, MACHINE, OWN, PROCESS
from tests.support.made_up import access_token

NOW = 1_800_000_000.0
STORE = "redis://redis.example.com:6379/0"


def token(age_s: float = 720, lifetime_s: float = 3600, scope: str | None = "orders:read") -> AccessToken:
    return access_token(scope=scope, issued_at=NOW - age_s, expires_at=NOW - age_s + lifetime_s)


def row(
    held: AccessToken | None = None,
    *,
    conn_id: str = "shop",
    refusal: Refusal | None = None,
    counts: Counts = Counts(1, 23),  # noqa: B008
    store: str = STORE,
) -> dict[str, Any]:
    return {"conn_id": conn_id, **TokenStatus(store, True, held, refusal, counts).members(NOW), "error": None}


def refusal(message: str, *, since: float = -20, until: float = 40) -> Refusal:
    return Refusal("InvalidClientError", message, NOW + since, NOW + until)


def cells(*rows: dict[str, Any]) -> list[list[str]]:
    """Return the cells of the table's lines, which two blanks or more tell apart."""
    lines = table(rows, NOW, None).split("\n\n")[0].splitlines()[1:]
    return [re.split("  +", line) for line in lines]


def test_the_table_can_be_read_at_a_glance() -> None:
    billing = row(conn_id="billing", refusal=refusal("invalid_client: wrong secret."), counts=Counts(3, 0))
    assert table([row(token()), billing], NOW, 80).splitlines() == [
        "CONNECTION  STATE    AGE     ENDS IN  FINGERPRINT  REQUESTS  SAVED  SCOPE",
        f"shop        valid    12 min  48 min   {token().fingerprint}       1         23     orders:read",
        "billing     refused  -       -        -            3         0      -",
        "",
        "billing: refused 20 s ago, not asked again for 40 s: invalid_client: wrong",
        "  secret.",
        "",
        f"Store: {STORE}",
    ]


@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    rows = [
        row(token(scope="read write " * 30), refusal=refusal("No such client. " * 30)),
        row(token(), store="file:///opt/airflow/oauth2_tokens/50000"),
    ]
    lines = table(rows, NOW, width).splitlines()
    assert max(map(len, lines)) <= width
    assert lines[1].endswith("…")
    assert lines[2].endswith("orders:read")


def test_a_scope_that_finds_no_room_stands_below() -> None:
    lines = table([row(token(scope="orders:read orders:write"), conn_id="a_connection_of_the_shop")], NOW, 80)
    assert lines.splitlines()[0].endswith("SAVED")
    assert max(map(len, lines.splitlines())) <= 80
    assert "\na_connection_of_the_shop: scope orders:read orders:write\n" in lines


def test_nothing_is_cut_where_there_is_no_terminal() -> None:
    scope = "read write " * 30
    assert scope.strip() in table([row(token(scope=scope))], NOW, None).splitlines()[1]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.4, "0 s"),
        (99.9, "99 s"),
        (100, "1 min"),
        (5999, "99 min"),
        (6000, "1 h"),
        (172_799, "47 h"),
        (172_800, "2 d"),
    ],
)
def test_spans_are_told_in_the_unit_in_which_they_are_short(seconds: float, shown: str) -> None:
    assert cells(row(token(age_s=seconds, lifetime_s=9e9)))[0][2] == shown
    assert cells(row(token(age_s=0, lifetime_s=seconds)))[0][3] == shown


def test_a_token_that_has_ended_says_so() -> None:
    assert cells(row(token(age_s=7200)))[0][1:4] == ["expired", "2 h", "ended"]


def test_what_is_not_known_is_a_dash() -> None:
    assert cells(row(counts=Counts())) == [["shop", "none", "-", "-", "-", "-", "-", "-"]]


def test_a_connection_that_could_not_be_read_has_a_line_too() -> None:
    failed = {"conn_id": "billing", "state": "error", "error": "No such connection."}
    assert cells(failed, row(token()))[0] == ["billing", "error", "-", "-", "-", "-", "-", "-"]
    assert "Store" not in table([failed], NOW, 80)


def test_a_refusal_that_is_over_is_told_without_an_end() -> None:
    over = row(token(), refusal=refusal("invalid_scope.", since=-300, until=-240))
    assert "shop: refused 5 min ago: invalid_scope." in table([over], NOW, None)


def test_a_long_refusal_is_cut_and_says_where_all_of_it_is() -> None:
    shown = table([row(refusal=refusal("Words of a server. " * 60))], NOW, None)
    assert "… (all of it: --output json)" in shown
    assert max(map(len, shown.splitlines())) < 500


def test_nothing_that_a_terminal_obeys_gets_to_it() -> None:
    shown = table([row(token(scope="read\x1b[2J\n"), refusal=refusal("no\x1b]0;title\x07"))], NOW, 120)
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "read\\x1b[2J\\n" in shown


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ("file:///opt/airflow/oauth2_tokens/0", f"  {FOLDER.note}\n"),
        ("unix:///run/redis.sock", f"  {MACHINE.note}\n"),
        ("redis://localhost:6379/0", f"  {MACHINE.note}\n"),
        ("memory://", f"  {PROCESS.note}\n"),
        ("acme.stores:vault", f"  {OWN.note}\n"),
        ("variable://", ""),
        (STORE, ""),
    ],
)
def test_the_store_is_named_with_what_cannot_be_seen_of_it(store: str, said: str) -> None:
    assert table([row(store=store), row(store=store)], NOW, None).endswith(f"\n\nStore: {store}\n{said}")
