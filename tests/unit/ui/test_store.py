"""What the page says of its store is what the process can know."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from airflow_oauth_provider.ui.store import store_members

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("url", ["file:///made/up", "memory://", "redis://localhost/0", "acme.stores:vault"])
def test_a_store_that_may_be_another_one_elsewhere_says_what_is_not_visible(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("AIRFLOW__OAUTH2__TOKEN_STORE", url)
    members = store_members([])
    assert members["shared"] is False
    assert "not visible from here" in members["note"]


def test_a_folder_names_the_machine_on_which_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    members = store_members([])
    assert members["where"].startswith((tmp_path / "oauth2_tokens").as_uri())
    assert socket.gethostname() in members["note"]
    assert not (tmp_path / "oauth2_tokens").exists()


def test_a_shared_store_is_named_without_its_password_and_with_its_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__OAUTH2__TOKEN_STORE", "redis://airflow:made-up-password@redis.example.com/0")
    monkeypatch.setenv("AIRFLOW__OAUTH2__TOKEN_STORE_PREFIX", "team-a.")
    members = store_members([])
    assert members["shared"] is True
    assert members["where"] == "redis://redis.example.com/0"
    assert members["prefix"] == "team-a."
    assert "made-up-password" not in str(members)


def test_variables_are_shared_by_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__OAUTH2__TOKEN_STORE", "variable://")
    assert store_members([])["shared"] is True


def test_a_store_works_when_every_look_at_it_did() -> None:
    rows = [{"store": "variable://", "store_works": works} for works in (True, False)]
    assert store_members(rows[:1])["works"] is True
    assert store_members([*rows, {"state": "error"}])["works"] is False


def test_where_tokens_lie_in_the_end_beats_where_they_should(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__OAUTH2__TOKEN_STORE", "file:///cannot/be/written")
    assert store_members([{"store": "memory://", "store_works": True}])["reach"] == "one process"


def test_a_store_that_does_not_exist_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__OAUTH2__TOKEN_STORE", "memcached://example.com")
    members = store_members([])
    assert members["works"] is False
    assert "is not a token store" in members["note"]
