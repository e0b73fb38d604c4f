"""Against Variables of a test's own; the real ones are in tests/system."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from airflow_oauth_provider import airflow_access
from airflow_oauth_provider.tokens.stores.base import LEASE_S, MAX_ENTRY_BYTES, Counts, Entry
from airflow_oauth_provider.tokens.stores.variable import CLAIM_WAIT_S, VariableStore
from tests.support.clock import Clock


class Variables(dict[str, str]):
    """Airflow's Variables, in memory."""

    def write(self, key: str, text: str, description: str) -> None:
        assert description
        self[key] = text


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Variables:
    made = Variables()
    monkeypatch.setattr(airflow_access, "variable", made.get)
    monkeypatch.setattr(airflow_access, "set_variable", made.write)
    return made


@pytest.fixture
def store(variables: Variables, clock: Clock) -> VariableStore:
    clock.skip_sleeps()
    return VariableStore()


def while_it_waits(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Let something happen in the half second after a claim was written."""
    monkeypatch.setattr(time, "sleep", lambda _: happens())


# Entries --------------------------------------------------------------------------------------------------------------


def test_entries_come_back_with_the_next_generation_each(store: VariableStore) -> None:
    assert store.read("name") == Entry()
    assert store.write("name", bytes(range(256)), expected=0, ttl_s=60)
    assert store.read("name") == Entry(1, bytes(range(256)))
    assert store.write("name", b"x" * MAX_ENTRY_BYTES, expected=1, ttl_s=60)
    assert store.read("name") == Entry(2, b"x" * MAX_ENTRY_BYTES)
    assert store.read("other") == Entry()


def test_a_write_that_builds_on_another_generation_changes_nothing(store: VariableStore) -> None:
    store.write("name", b"one", expected=None, ttl_s=60)
    assert not store.write("name", b"late", expected=0, ttl_s=60)
    assert store.read("name") == Entry(1, b"one")
    assert store.write("name", b"any", expected=None, ttl_s=60)


def test_a_tombstone_keeps_the_generation(store: VariableStore) -> None:
    store.write("name", b"one", expected=0, ttl_s=60)
    store.write("name", None, expected=1, ttl_s=60)
    assert store.read("name") == Entry(2, None)


@pytest.mark.parametrize(
    "text",
    ["", "x", ":", "1", ":QQ==", "-1:QQ==", "1.5:QQ==", "²:QQ==", "9" * 400 + ":QQ==", "1:Q", "1:Q Q==", "1:ä",
     "1:" + "A" * 200_000, "[]", "null"],
)  # fmt: skip
def test_a_variable_in_another_format_is_nothing_and_is_replaced(
    store: VariableStore, variables: Variables, text: str
) -> None:
    store.write("name", b"ours", expected=0, ttl_s=60)
    (key,) = variables
    variables[key] = text
    assert store.read("name").sealed is None
    assert store.write("name", b"next", expected=store.read("name").generation, ttl_s=60)
    assert store.read("name").sealed == b"next"


def test_airflow_finds_nothing_to_mask_in_the_names_of_its_variables(
    store: VariableStore, variables: Variables
) -> None:
    """What it masks stays in a triggerer's memory; and a name has room for 250 characters."""
    for name in ("a" * 64 + ".token", "secret", "password" * 18):
        store.write(name, b"x", expected=0, ttl_s=60)
        store.try_lease(name)
        store.count(name, made=1)
    assert len(variables) == 9
    assert all(name.startswith("oauth2-shared-") and len(name) < 100 for name in variables)
    assert not any(word in name for name in variables for word in ("token", "secret", "password", "key", "auth_"))


# Claims ---------------------------------------------------------------------------------------------------------------


def test_whoever_still_finds_its_claim_after_half_a_second_has_the_lease(store: VariableStore, clock: Clock) -> None:
    lease = store.try_lease("name")
    assert lease is not None
    assert clock.slept == [CLAIM_WAIT_S]
    assert store.try_lease("name") is None
    assert clock.slept == [CLAIM_WAIT_S], "nobody waits where another one claims"
    assert store.try_lease("other") is not None

    lease.release()

    assert store.try_lease("name") is not None


@pytest.mark.parametrize(("took_s", "waits_s"), [(0.01, 0.5), (0.4, 1.2), (5.0, 2.0)])
def test_where_claims_take_long_to_be_written_one_waits_longer_for_those_of_others(
    store: VariableStore, clock: Clock, monkeypatch: pytest.MonkeyPatch, took_s: float, waits_s: float
) -> None:
    airflow_variables = airflow_access.set_variable

    def write_slowly(*args: str) -> None:
        clock.advance(took_s)
        airflow_variables(*args)

    monkeypatch.setattr(airflow_access, "set_variable", write_slowly)
    assert store.try_lease("name") is not None
    assert clock.slept == [pytest.approx(waits_s, abs=0.1)]


def test_of_two_claims_the_later_one_counts(
    store: VariableStore, variables: Variables, monkeypatch: pytest.MonkeyPatch
) -> None:
    def claimed_by_another() -> None:
        (key,) = variables
        variables[key] = f"made-up:{time.time()}"

    while_it_waits(monkeypatch, claimed_by_another)
    assert store.try_lease("name") is None
    while_it_waits(monkeypatch, lambda: None)
    assert store.try_lease("name") is None, "it is the other one's"


def test_a_claim_that_cannot_be_read_back_is_a_failure_of_the_store(
    store: VariableStore, variables: Variables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody could: Airflow shows a team's Variable to no other team."""
    while_it_waits(monkeypatch, variables.clear)
    with pytest.raises(LookupError, match="token_store_prefix"):
        store.try_lease("name")


def test_a_claim_ends_with_the_life_of_a_lease_and_is_then_no_concern_of_its_holder(
    store: VariableStore, clock: Clock
) -> None:
    slept = store.try_lease("name")
    assert slept is not None
    clock.advance(LEASE_S - 2)
    assert store.try_lease("name") is None
    clock.advance(3)
    assert store.try_lease("name") is not None
    slept.release()
    assert store.try_lease("name") is None


@pytest.mark.parametrize(("lasts_s", "ends_after_s"), [(10.0, 10.0), (10 * LEASE_S, LEASE_S)])
def test_a_claim_may_end_earlier_for_all_and_never_later(
    store: VariableStore, clock: Clock, lasts_s: float, ends_after_s: float
) -> None:
    assert store.try_lease("name", lasts_s) is not None
    clock.advance(ends_after_s - 2)
    assert store.try_lease("name") is None
    clock.advance(3)
    assert store.try_lease("name") is not None


@pytest.mark.parametrize("ahead_s", [-90.0, -30.0, 0.0, 30.0, 59.0])
def test_claims_bind_machines_whose_clocks_differ(store: VariableStore, variables: Variables, ahead_s: float) -> None:
    store.try_lease("name")
    (key,) = variables
    variables[key] = f"made-up:{time.time() + ahead_s}"
    assert store.try_lease("name") is None


@pytest.mark.parametrize("claim", ["", "x", "made-up:", "made-up:soon", "made-up:nan", "made-up:inf", "made-up:1e400"])
def test_what_is_no_claim_binds_nobody(store: VariableStore, variables: Variables, claim: str) -> None:
    store.try_lease("name")
    (key,) = variables
    variables[key] = claim
    assert store.try_lease("name") is not None


def test_a_claim_from_an_hour_ahead_binds_nobody(store: VariableStore, variables: Variables) -> None:
    store.try_lease("name")
    (key,) = variables
    variables[key] = f"made-up:{time.time() + 3600}"
    assert store.try_lease("name") is not None


# Counts ---------------------------------------------------------------------------------------------------------------


def test_requests_are_counted_and_those_that_were_saved_are_not(store: VariableStore, variables: Variables) -> None:
    assert store.counts("name") == Counts(0, None)
    store.count("name", made=2)
    store.count("name", saved=5)
    store.count("name", made=1)
    assert store.counts("name") == Counts(3, None)
    (key,) = variables
    variables[key] = "made-up"
    assert store.counts("name") == Counts(0, None)


def test_it_says_where_it_is(store: VariableStore) -> None:
    assert store.describe() == "variable://"
