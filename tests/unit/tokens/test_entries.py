from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import InvalidClientError
from airflow_oauth_provider.oauth2.dpop import ProofKey
from airflow_oauth_provider.oauth2.token import AccessToken
from airflow_oauth_provider.tokens.credential import credential_of
from airflow_oauth_provider.tokens.refusals import Refusal, Scope
from airflow_oauth_provider.tokens.seal import seals_for
from tests.support.made_up import access_token, client_settings
from tests.support.token_sources import Processes

NOW = 1_790_000_000.0
SEAL = seals_for(client_settings(), credential_of(client_settings()))[0]


def test_a_token_that_one_process_wrote_is_read_by_another() -> None:
    processes, token = Processes(), access_token("made-up-token", scope="a b")
    assert processes.entries().write_token(token, expected=0) is True
    stored = processes.entries().token()
    assert stored is not None
    assert (stored.token, stored.generation, stored.place) == (token, 1, 0)


def test_nothing_of_a_token_or_refusal_lies_in_the_store_in_clear() -> None:
    processes = Processes()
    entries = processes.entries()
    entries.write_token(access_token("made-up-token", scope="made-up-scope"), expected=0)
    entries.write_refusal(Scope.CREDENTIAL, Refusal.of(InvalidClientError("made-up-message"), None, NOW))
    for suffix in ("token", "failure"):
        for key in (entries.keys.request, entries.keys.credential):
            sealed = processes.store.read(f"{key}.{suffix}").sealed or b""
            assert b"made-up" not in sealed


def test_a_token_sealed_for_one_request_is_a_miss_under_the_name_of_another() -> None:
    processes = Processes()
    one, other = processes.entries(client_settings(scope="a")), processes.entries(client_settings(scope="b"))
    one.write_token(access_token(), expected=0)
    sealed = processes.store.read(f"{one.keys.request}.token").sealed
    processes.store.write(f"{other.keys.request}.token", sealed, expected=None, ttl_s=60)
    assert other.token() is None
    assert one.token() is not None


@pytest.mark.statement(56)
@pytest.mark.parametrize(
    "members",
    [
        [], "text", 7, None, {}, {"value": "x"},
        {"value": "x", "token_type": "Bearer", "scope": None, "issued_at": "soon", "expires_at": 1},
        {"value": "x", "token_type": "Bearer", "scope": None, "issued_at": None, "expires_at": 1},
        {"value": "x", "token_type": "Bearer", "scope": None, "issued_at": 1, "expires_at": float("inf")},
        {"value": "x", "token_type": "Bearer", "scope": None, "issued_at": float("nan"), "expires_at": 1},
    ],
)  # fmt: skip
def test_a_sealed_entry_that_is_no_token_is_a_miss(members: Any) -> None:
    processes = Processes()
    entries = processes.entries()
    sealed = SEAL.close("token", entries.keys.request, json.dumps(members).encode())
    processes.store.write(f"{entries.keys.request}.token", sealed, expected=None, ttl_s=60)
    assert entries.token() is None
    assert entries.generation() == 1


def test_a_bound_token_that_lies_beside_another_ones_key_is_a_miss() -> None:
    processes = Processes()
    entries, key = processes.entries(), ProofKey.generate("ES256")
    members = {"value": "x", "token_type": "DPoP", "scope": None, "issued_at": 1, "expires_at": 2**40, "base_url": None}

    def stored(jkt: str) -> AccessToken | None:
        written = json.dumps({**members, "proof_key": key.private_jwk(), "jkt": jkt}).encode()
        sealed = SEAL.close("token", entries.keys.request, written)
        processes.store.write(f"{entries.keys.request}.token", sealed, expected=None, ttl_s=60)
        found = entries.token()
        return None if found is None else found.token

    assert stored(ProofKey.generate("ES256").thumbprint) is None
    assert (token := stored(key.thumbprint)) is not None
    assert token.proof_key == key


@pytest.mark.statement(56)
@pytest.mark.parametrize("sealed", [b"", b"garbage", b"\xff" * 60_000])
def test_garbage_is_a_miss(sealed: bytes) -> None:
    processes = Processes()
    entries = processes.entries()
    for suffix in ("token", "failure"):
        processes.store.write(f"{entries.keys.request}.{suffix}", sealed, expected=None, ttl_s=60)
    assert entries.token() is None
    assert entries.refusal(Scope.REQUEST, NOW) is None


def test_a_sealed_text_that_is_not_json_is_a_miss() -> None:
    processes = Processes()
    entries = processes.entries()
    sealed = SEAL.close("token", entries.keys.request, b"\xff not json")
    processes.store.write(f"{entries.keys.request}.token", sealed, expected=None, ttl_s=60)
    assert entries.token() is None


def test_whoever_writes_on_an_older_generation_loses() -> None:
    entries = Processes().entries()
    assert entries.write_token(access_token("first"), expected=0) is True
    assert entries.write_token(access_token("late"), expected=0) is False
    assert entries.write_token(access_token("second"), expected=1) is True
    stored = entries.token()
    assert stored is not None
    assert stored.token.value == "second"


def test_a_dropped_token_leaves_a_tombstone_of_the_next_generation() -> None:
    entries = Processes().entries()
    entries.write_token(access_token("first"), expected=0)
    stored = entries.token()
    assert stored is not None
    entries.drop_token(stored)
    assert entries.token() is None
    assert entries.generation() == 2
    assert entries.write_token(access_token("late"), expected=1) is False


def test_dropping_a_token_leaves_a_newer_one_alone() -> None:
    entries = Processes().entries()
    entries.write_token(access_token("first"), expected=0)
    stored = entries.token()
    assert stored is not None
    entries.write_token(access_token("second"), expected=1)
    entries.drop_token(stored)
    kept = entries.token()
    assert kept is not None
    assert kept.token.value == "second"


def test_after_a_rotation_of_the_store_key_the_old_token_is_still_read_and_the_new_key_writes() -> None:
    processes = Processes()
    processes.entries(store_keys=("old",)).write_token(access_token("first"), expected=0)
    rotated = processes.entries(store_keys=("new", "old"))
    stored = rotated.token()
    assert stored is not None
    assert (stored.token.value, stored.place) == ("first", 1)
    rotated.write_token(access_token("second"), expected=rotated.generation())
    newest = rotated.token()
    assert newest is not None
    assert (newest.token.value, newest.place) == ("second", 0)
    rotated.drop_token(stored)
    assert processes.entries(store_keys=("old",)).token() is None
    assert processes.entries(store_keys=("new",)).token() is not None


def test_refusals_are_shared_and_forgotten_by_their_scope_under_every_key() -> None:
    processes = Processes()
    refusal = Refusal.of(InvalidClientError("no"), None, NOW)
    processes.entries(client_settings(scope="a"), ("old",)).write_refusal(Scope.CREDENTIAL, refusal)
    rotated = processes.entries(client_settings(scope="b"), ("new", "old"))
    assert rotated.refusal(Scope.CREDENTIAL, NOW) == refusal
    assert rotated.refusal(Scope.REQUEST, NOW) is None
    rotated.forget_refusal(Scope.CREDENTIAL)
    assert rotated.refusal(Scope.CREDENTIAL, NOW) is None


def test_a_lease_is_held_by_one_at_a_time() -> None:
    processes = Processes()
    lease = processes.entries().try_lease()
    assert lease is not None
    assert processes.entries().try_lease() is None
    assert processes.entries(client_settings(scope="other")).try_lease() is not None
    processes.entries().release(lease)
    assert processes.entries().try_lease() is not None
