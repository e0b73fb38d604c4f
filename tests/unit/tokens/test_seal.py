from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from airflow_oauth_provider.tokens import seal
from airflow_oauth_provider.tokens.credential import credential_of
from airflow_oauth_provider.tokens.seal import Seal, seals_for
from tests.support.made_up import SECRET, client_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

PLAIN = b'{"value": "made-up-token"}'


@pytest.fixture(autouse=True)
def _a_process_that_derived_no_key_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal, "_roots", {})


def seals(store_keys: Sequence[str] = (), own_key: bytes | None = None, **changes: Any) -> list[Seal]:
    settings = client_settings(**changes)
    return seals_for(settings, credential_of(settings), store_keys, own_key)


def one(**changes: Any) -> Seal:
    return seals(**changes)[0]


def test_what_was_sealed_opens_in_another_process() -> None:
    sealed = one().close("token", "name", PLAIN)
    seal._roots.clear()
    assert one().open("token", "name", sealed) == PLAIN


def test_nothing_is_stored_in_clear_and_no_two_seals_are_alike() -> None:
    first, second = one().close("token", "name", PLAIN), one().close("token", "name", PLAIN)
    assert first != second
    assert first[:12] != second[:12]
    for part in (b"made-up", b"value", SECRET.encode()):
        assert part not in first


@pytest.mark.parametrize(
    ("purpose", "name"), [("failure", "name"), ("token", "other"), ("tokenname", ""), ("", "tokenname")]
)
def test_entries_cannot_be_swapped(purpose: str, name: str) -> None:
    assert one().open(purpose, name, one().close("token", "name", PLAIN)) is None


def test_another_format_version_does_not_open(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = one().close("token", "name", PLAIN)
    monkeypatch.setattr(seal, "VERSION", b"airflow-oauth-provider/2")
    seal._roots.clear()
    assert one().open("token", "name", sealed) is None


@pytest.mark.statement(56)
@pytest.mark.parametrize("wrong", [b"", b"x", b"x" * 11, b"x" * 12, b"x" * 28, b"x" * 70_000])
def test_garbage_does_not_open(wrong: bytes) -> None:
    assert one().open("token", "name", wrong) is None


def test_a_changed_bit_anywhere_does_not_open() -> None:
    sealed = one().close("token", "name", PLAIN)
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        assert one().open("token", "name", bytes(changed)) is None
    assert one().open("token", "name", sealed[:-1]) is None


@pytest.mark.parametrize("secret", [SECRET, "short"])
def test_another_secret_does_not_open_and_has_another_fingerprint(secret: str) -> None:
    mine, others = one(client_secret=secret), one(client_secret=secret + "x")
    assert others.open("token", "name", mine.close("token", "name", PLAIN)) is None
    assert mine.fingerprint != others.fingerprint
    assert len(mine.fingerprint) == 32


def test_a_short_secret_is_stretched_once_a_process_and_salted_by_endpoint_and_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[dict[str, Any]] = []
    scrypt = hashlib.scrypt

    def counted(password: bytes, **parameters: Any) -> bytes:
        calls.append(parameters)
        return scrypt(password, **parameters)

    monkeypatch.setattr(hashlib, "scrypt", counted)
    first = one(client_secret="hunter2")
    again = one(client_secret="hunter2")
    assert first.fingerprint == again.fingerprint
    assert len(calls) == 1
    assert calls[0]["n"] == 2**14
    assert one(client_secret="hunter2", client_id="another").fingerprint != first.fingerprint
    assert one(client_secret="hunter2", token_endpoint="https://other.example/t").fingerprint != first.fingerprint
    assert len({call["salt"] for call in calls}) == 3


@pytest.mark.parametrize("secret", ["s" * 32, "s" * 33])
def test_a_secret_of_32_characters_needs_no_stretching(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(hashlib, "scrypt")
    assert one(client_secret=secret).open("token", "n", one(client_secret=secret).close("token", "n", PLAIN)) == PLAIN


def test_a_secret_of_31_characters_is_stretched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(hashlib, "scrypt")
    with pytest.raises(AttributeError):
        one(client_secret="s" * 31)


def test_a_store_key_replaces_stretching_and_is_needed_to_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(hashlib, "scrypt")
    keyed, other = (seals([key], client_secret="hunter2")[0] for key in ("key one", "key two"))
    sealed = keyed.close("token", "name", PLAIN)
    assert keyed.open("token", "name", sealed) == PLAIN
    assert other.open("token", "name", sealed) is None
    assert keyed.fingerprint != other.fingerprint


def test_the_first_store_key_writes_and_all_read() -> None:
    old = seals(["old"])
    rotated = seals(["new", "old"])
    assert len(rotated) == 2
    assert rotated[1].open("token", "name", old[0].close("token", "name", PLAIN)) == PLAIN
    assert old[0].open("token", "name", rotated[0].close("token", "name", PLAIN)) is None


def test_the_secret_itself_is_kept_nowhere() -> None:
    made = one(client_secret="hunter2-hunter2-hunter2-hunter2-x")
    held = repr(vars(made)) + repr(seal._roots)
    assert "hunter2" not in held
