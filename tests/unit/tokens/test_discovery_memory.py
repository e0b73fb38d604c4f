"""How long a server's metadata are used, and by whom; and what an enemy of the store can do to them."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
import requests
import requests_mock as mocking

from airflow_oauth_provider.exceptions import (
    ServerMetadataError,
    SettingsError,
    TokenEndpointUnavailableError,
    TokenResponseError,
)
from airflow_oauth_provider.oauth2.settings import ClientSettings, Transport
from airflow_oauth_provider.retry import TOKEN_REQUEST_POLICY
from airflow_oauth_provider.tokens.endpoint import TokenEndpoint
from airflow_oauth_provider.tokens.entries import METADATA
from airflow_oauth_provider.tokens.exchange import Exchange
from airflow_oauth_provider.tokens.source import TokenSource
from tests.support.clock import Clock
from tests.support.discovery import DAY_S, ISSUER, OAUTH, OPENID, TOKEN_ENDPOINT, Fleet, document, resolve, settings_of


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


# For how long --------------------------------------------------------------------------------------------------------


def test_the_document_is_asked_for_once_a_day_by_all_processes(
    fleet: Fleet, requests_mock: mocking.Mocker, clock: Clock
) -> None:
    requests_mock.get(OAUTH, json=document())
    first = fleet.start()
    for _ in range(3):
        resolve(first)
        resolve(fleet.start())
        clock.advance(DAY_S / 4)
    assert requests_mock.call_count == 1
    clock.advance(DAY_S / 4)
    resolve(fleet.start())
    resolve(first)
    assert requests_mock.call_count == 2


def test_headers_let_it_be_asked_for_earlier(fleet: Fleet, requests_mock: mocking.Mocker, clock: Clock) -> None:
    requests_mock.get(OAUTH, json=document(), headers={"Cache-Control": "max-age=300"})
    discovery = fleet.start()
    resolve(discovery)
    clock.advance(299)
    resolve(discovery)
    assert requests_mock.call_count == 1
    clock.advance(2)
    resolve(discovery)
    assert requests_mock.call_count == 2


def test_what_is_not_to_be_stored_is_kept_by_the_process_for_a_minute(
    fleet: Fleet, requests_mock: mocking.Mocker, clock: Clock
) -> None:
    requests_mock.get(OAUTH, json=document(), headers={"Cache-Control": "no-store"})
    discovery = fleet.start()
    resolve(discovery)
    resolve(discovery)
    assert requests_mock.call_count == 1
    assert fleet.entries().metadata() is None
    clock.advance(61)
    resolve(discovery)
    assert requests_mock.call_count == 2


def test_a_process_whose_store_does_not_work_asks_for_itself_once(
    requests_mock: mocking.Mocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests_mock.get(OAUTH, json=document())
    broken = Fleet()
    monkeypatch.setattr(broken.store, "read", lambda _: 1 / 0)
    monkeypatch.setattr(broken.store, "write", lambda *_, **__: 1 / 0)
    discovery = broken.start()
    assert [resolve(discovery) for _ in range(3)] == [TOKEN_ENDPOINT] * 3
    assert requests_mock.call_count == 1


def test_a_clock_that_was_set_back_does_not_keep_a_document_alive(
    fleet: Fleet, requests_mock: mocking.Mocker, clock: Clock
) -> None:
    requests_mock.get(OAUTH, json=document())
    discovery = fleet.start()
    resolve(discovery)
    clock.set_wall(-3600)
    resolve(discovery)
    assert requests_mock.call_count == 2


@pytest.mark.parametrize(
    "down", [{"status_code": 503}, {"exc": requests.ConnectionError}, {"text": "<html>Sorry</html>"}]
)
def test_while_the_server_is_down_yesterdays_document_is_used_for_what_is_left_of_its_day(
    fleet: Fleet,
    requests_mock: mocking.Mocker,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    down: dict[str, Any],
) -> None:
    requests_mock.get(OAUTH, json=document(), headers={"Cache-Control": "max-age=300"})
    resolve(fleet.start())
    for url in (OAUTH, OPENID):
        requests_mock.get(url, **down)
    clock.advance(DAY_S / 2)
    late = fleet.start()
    assert resolve(late) == TOKEN_ENDPOINT
    assert "Going on with what it said 720 min ago." in caplog.text
    asked = requests_mock.call_count
    assert resolve(late) == TOKEN_ENDPOINT
    assert requests_mock.call_count == asked, "it is left alone for a minute"
    clock.advance(DAY_S / 2)
    with pytest.raises((TokenEndpointUnavailableError, TokenResponseError)):
        late.resolve(30.0)


def test_who_has_an_older_document_leaves_most_of_the_time_to_the_token(
    fleet: Fleet, requests_mock: mocking.Mocker, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadlines = []

    class Watched(Exchange):
        def __init__(self, *arguments: Any, deadline_s: float, **named: Any) -> None:
            deadlines.append(round(deadline_s))
            super().__init__(*arguments, deadline_s=deadline_s, **named)

    monkeypatch.setattr("airflow_oauth_provider.tokens.discovery.Exchange", Watched)
    requests_mock.get(OAUTH, json=document(), headers={"Cache-Control": "max-age=300"})
    fleet.start().resolve(70.0)
    clock.advance(301)
    fleet.start().resolve(70.0)
    clock.advance(301)
    fleet.start().resolve(4.0)
    assert deadlines == [70, 5, 2]


def test_when_the_server_says_that_there_is_no_document_yesterdays_is_not_used(
    fleet: Fleet, requests_mock: mocking.Mocker, clock: Clock
) -> None:
    requests_mock.get(OAUTH, json=document(), headers={"Cache-Control": "max-age=300"})
    discovery = fleet.start()
    resolve(discovery)
    for url in (OAUTH, OPENID):
        requests_mock.get(url, status_code=404)
    clock.advance(301)
    with pytest.raises(ServerMetadataError):
        discovery.resolve(30.0)


def test_a_server_that_supports_more_than_yesterday_is_noticed_within_a_minute(
    fleet: Fleet, requests_mock: mocking.Mocker, clock: Clock
) -> None:
    listed = {"token_endpoint_auth_methods_supported": ["private_key_jwt"]}
    requests_mock.get(OAUTH, json=document(**listed))
    discovery = fleet.start()
    for _ in range(3):
        with pytest.raises(SettingsError):
            discovery.resolve(30.0)
    assert requests_mock.call_count == 1
    requests_mock.get(OAUTH, json=document())
    clock.advance(61)
    assert resolve(discovery) == TOKEN_ENDPOINT


# Forgetting ----------------------------------------------------------------------------------------------------------


def test_what_is_forgotten_is_asked_for_anew_by_all(fleet: Fleet, requests_mock: mocking.Mocker) -> None:
    requests_mock.get(OAUTH, json=document())
    discovery = fleet.start()
    resolve(discovery)
    requests_mock.get(OAUTH, json=document(token_endpoint=f"{ISSUER}/moved"))
    discovery.forget()
    assert resolve(discovery) == f"{ISSUER}/moved"
    assert resolve(fleet.start()) == f"{ISSUER}/moved"
    assert requests_mock.call_count == 2


def test_who_comes_later_does_not_forget_what_another_process_has_found_out_since(
    fleet: Fleet, requests_mock: mocking.Mocker, clock: Clock
) -> None:
    requests_mock.get(OAUTH, json=document())
    first, other = fleet.start(), fleet.start()
    resolve(first), resolve(other)
    requests_mock.get(OAUTH, json=document(token_endpoint=f"{ISSUER}/moved"))
    clock.advance(10)
    first.forget()
    resolve(first)
    other.forget()
    assert resolve(other) == f"{ISSUER}/moved"
    assert requests_mock.call_count == 2


def test_a_person_who_forgets_a_client_forgets_where_its_server_is(fleet: Fleet, requests_mock: mocking.Mocker) -> None:
    requests_mock.get(OAUTH, json=document())
    discovery, entries = fleet.start(), fleet.entries()
    settings = settings_of()
    endpoint = TokenEndpoint(settings, TOKEN_REQUEST_POLICY, discovery=discovery)
    source = TokenSource(settings, entries, endpoint)
    resolve(discovery)
    source.forget()
    assert entries.metadata() is None
    requests_mock.get(OAUTH, json=document(token_endpoint=f"{ISSUER}/moved"))
    assert resolve(discovery) == f"{ISSUER}/moved"


def test_who_knows_nothing_forgets_what_is_stored(fleet: Fleet, requests_mock: mocking.Mocker) -> None:
    requests_mock.get(OAUTH, json=document())
    resolve(fleet.start())
    fleet.start().forget()
    assert fleet.entries().metadata() is None


# Enemies of the store ------------------------------------------------------------------------------------------------


def sealed(fleet: Fleet, settings: ClientSettings) -> tuple[str, bytes]:
    """Return the name and the bytes of the entry that holds the metadata for *settings*."""
    name = f"{fleet.entries(settings).keys.request}.{METADATA}"
    content = fleet.store.read(name).sealed
    assert content is not None
    return name, content


@pytest.mark.parametrize(
    "other",
    [
        {"issuer": "https://login.example.com/other"},
        {"client_id": "another-client"},
        {"client_secret": "another made-up secret of more than 32 characters"},
        {"transport": Transport(verify=False)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_document_that_was_found_out_in_another_way_is_not_used_wherever_it_is_put(
    fleet: Fleet, requests_mock: mocking.Mocker, other: dict[str, Any]
) -> None:
    issuer = other.get("issuer", ISSUER)
    requests_mock.get(OAUTH, json=document())
    evil = document(issuer=issuer, token_endpoint="https://evil.example/token")
    resolve(fleet.start())
    requests_mock.get(OAUTH.replace("/tenant", issuer.removeprefix("https://login.example.com")), json=evil)
    assert resolve(fleet.start(**other)) == "https://evil.example/token"
    requests_mock.get(OAUTH, json=document())

    name, _ = sealed(fleet, settings_of())
    _, planted = sealed(fleet, settings_of(**other))
    fleet.store.write(name, planted, expected=None, ttl_s=DAY_S)
    assert resolve(fleet.start()) == TOKEN_ENDPOINT


@pytest.mark.parametrize(
    "damage", [lambda _: b"", lambda _: b"x" * 500, lambda sealed: sealed[:-1], lambda sealed: sealed[:-1] + b"x"]
)
def test_an_entry_that_does_not_open_is_a_miss(fleet: Fleet, requests_mock: mocking.Mocker, damage: Any) -> None:
    requests_mock.get(OAUTH, json=document())
    resolve(fleet.start())
    name, content = sealed(fleet, settings_of())
    fleet.store.write(name, damage(content), expected=None, ttl_s=DAY_S)
    assert resolve(fleet.start()) == TOKEN_ENDPOINT
    assert requests_mock.call_count == 2


def test_an_entry_that_is_put_back_when_its_day_is_over_is_a_miss(
    fleet: Fleet, requests_mock: mocking.Mocker, clock: Clock
) -> None:
    requests_mock.get(OAUTH, json=document())
    resolve(fleet.start())
    name, old = sealed(fleet, settings_of())
    requests_mock.get(OAUTH, json=document(token_endpoint=f"{ISSUER}/moved"))
    clock.advance(DAY_S + 1)
    fleet.store.write(name, old, expected=None, ttl_s=DAY_S)
    assert resolve(fleet.start()) == f"{ISSUER}/moved"


def test_of_an_issuer_in_the_store_that_is_another_nothing_is_believed(
    fleet: Fleet, requests_mock: mocking.Mocker
) -> None:
    requests_mock.get(OAUTH, json=document())
    resolve(fleet.start())
    entries = fleet.entries()
    known = entries.metadata()
    assert known is not None
    other = replace(known.metadata, issuer="https://evil.example", token_endpoint="https://evil.example/token")
    entries.write_metadata(replace(known, metadata=other, fetched_at=time.time() + 1))
    assert resolve(fleet.start()) == TOKEN_ENDPOINT


def test_what_is_stored_says_nothing_to_who_reads_it(fleet: Fleet, requests_mock: mocking.Mocker) -> None:
    requests_mock.get(OAUTH, json=document())
    resolve(fleet.start())
    name, content = sealed(fleet, settings_of())
    assert b"example" not in content
    assert "example" not in name
