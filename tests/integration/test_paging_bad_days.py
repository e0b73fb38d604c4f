"""Pulls on bad days: refused tokens, throttled requests, servers that are down, cursors that ended."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from gzip import compress
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import (
    ApiRefusedError,
    ApiRefusedTokenError,
    ApiUnavailableError,
    OAuth2Error,
    PermanentError,
    TransientError,
)
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.pull.pagination import LinkHeader
from tests.support import worker
from tests.support.paged_api import (
    CURSOR,
    OFFSET,
    Numbers,
    ids,
    in_turn,
    items,
    no_pauses,
    pulled,
    queries,
    raw_answer,
    serve,
    with_lines,
)
from tests.support.servers import OAuthServer, Reply, Seen

REFUSED = Reply(401, b"", {"WWW-Authenticate": 'Bearer error="invalid_token"'})


def at_page(page: int, *replies: Reply, api: Numbers | None = None) -> Callable[[Seen], Reply]:
    """Return an API that gives *replies* first when that page is asked for."""
    numbers, waiting = api or Numbers(total=7, size=3), list(replies)
    start = (page - 1) * numbers.size

    def script(seen: Seen) -> Reply:
        return waiting.pop(0) if waiting and numbers.start(seen) == start else numbers(seen)

    return script


# Tokens ---------------------------------------------------------------------------------------------------------------


@pytest.mark.statement(21)
@pytest.mark.parametrize("pull", [OFFSET, {"pagination": LinkHeader(), "records": "items"}], ids=["offset", "link"])
def test_a_token_revoked_before_page_500_is_renewed_once_and_never_sent_again(
    server: OAuthServer, hook: OAuth2Hook, pull: dict[str, Any]
) -> None:
    worker.store_old_token()
    old = hook.get_token()
    server.tokens[old.value] = old.expires_at
    numbers = Numbers(total=1530, size=3)

    def script(seen: Seen) -> Reply:
        if numbers.start(seen) == 499 * 3 and old.value in server.tokens:
            server.revoke_all()
            return REFUSED
        return numbers(seen)

    serve(server, script)

    assert ids(hook.records("items", **pull)) == list(range(1530))
    assert len(server.token_requests) == 1
    sent = [seen.headers["authorization"].removeprefix("Bearer ") for seen in server.api_requests]
    assert sent == [old.value] * 500 + [hook.get_token().value] * 11
    assert len({seen.client for seen in server.api_requests}) == 1


def test_a_token_that_is_revoked_under_way_is_renewed_once_for_all(server: OAuthServer, hook: OAuth2Hook) -> None:
    worker.store_old_token()
    token = hook.get_token().value
    server.tokens[token] = hook.get_token().expires_at
    numbers = Numbers(total=300, size=3)

    def script(seen: Seen) -> Reply:
        if numbers.start(seen) == 49 * 3 and token in server.tokens:
            server.revoke_all()
            return REFUSED
        return numbers(seen)

    serve(server, script)

    assert ids(hook.records("items", concurrency=8, **OFFSET)) == list(range(300))
    assert len(server.token_requests) == 1
    assert len(server.api_requests) <= 100 + 8


def test_an_api_that_refuses_every_token_ends_the_pull_at_once(server: OAuthServer, hook: OAuth2Hook) -> None:
    serve(server, lambda seen: Numbers(total=7, size=3)(seen) if Numbers().start(seen) < 3 else REFUSED)

    came, error = pulled(hook.records("items", **OFFSET))

    assert came == [0, 1, 2]
    assert isinstance(error, ApiRefusedTokenError)
    assert len(server.api_requests) <= 3
    assert len(server.token_requests) <= 2


@pytest.mark.parametrize(
    "members",
    [{"access_token": None}, {}, {"access_token": ""}, {"access_token": {"a": "b"}}, {"access_token": "Bearer None"}],
    ids=str,
)
@pytest.mark.parametrize("when", ["first page", "renewal"])
def test_no_request_is_sent_without_a_token(
    server: OAuthServer, hook: OAuth2Hook, members: dict[str, Any], when: str
) -> None:
    server.token_reply = lambda _: Reply(200, {"token_type": "Bearer", "expires_in": 3600, **members})
    if when == "renewal":
        worker.store_old_token()

    with pytest.raises(OAuth2Error):
        list(hook.pages("items", **OFFSET))

    known = [] if when == "first page" else ["Bearer made-up-old-token"]
    assert [seen.headers.get("authorization") for seen in server.api_requests] == known


# Throttling and what passes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("as_date", [False, True], ids=["seconds", "date"])
def test_a_page_is_asked_for_again_when_the_api_said(
    server: OAuthServer, hook: OAuth2Hook, caplog: pytest.LogCaptureFixture, status: int, as_date: bool
) -> None:
    # The server's own clock counts, here an hour behind ours.
    now = datetime.now(UTC) - timedelta(hours=1)
    later, date = (format_datetime(now + timedelta(seconds=s), usegmt=True) for s in (2, 0))
    headers = [f"Retry-After: {later}", f"Date: {date}"] if as_date else ["Retry-After: 2"]
    serve(server, at_page(2, with_lines(*headers, status=f"{status} Wait")))

    assert ids(hook.records("items", **OFFSET)) == list(range(7))

    _, refused, again, _ = (seen.at for seen in server.api_requests)
    assert again - refused > 1.9
    # And no longer, whatever else may hold this machine up.
    assert re.findall(r"comes in ([0-9.]+) s", caplog.text) == ["2.0"]
    assert [dict(query)["offset"] for query in queries(server)] == ["0", "3", "3", "6"]


@pytest.mark.parametrize("header", [{"Retry-After": "0"}, {"Retry-After": "-1"}, {"Retry-After": "soon"}, {},
                                    {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}], ids=str)  # fmt: skip
@pytest.mark.parametrize("status", [429, 503])
def test_no_pause_or_one_that_is_over_does_not_burn_the_attempts(
    server: OAuthServer, hook: OAuth2Hook, monkeypatch: pytest.MonkeyPatch, status: int, header: dict[str, str]
) -> None:
    pauses = no_pauses(monkeypatch)
    serve(server, at_page(2, *[Reply(status, b"", header)] * 4))

    assert ids(hook.records("items", **OFFSET)) == list(range(7))
    assert pauses == [1.0, 2.0, 4.0, 8.0]


def test_a_pause_longer_than_we_wait_ends_the_pull_and_says_how_long(server: OAuthServer, hook: OAuth2Hook) -> None:
    serve(server, at_page(2, Reply(429, b"", {"Retry-After": "3600"})))

    with pytest.raises(ApiUnavailableError) as caught:
        list(hook.pages("items", **OFFSET))

    assert caught.value.retry_after_s == 3600
    assert len(server.api_requests) == 2


@pytest.mark.parametrize(
    ("reply", "idempotent", "sends"),
    [
        (Reply(503), None, 1),
        (Reply(503), True, 2),
        (Reply(429), None, 2),
        (Reply(raw=raw_answer(body=b'{"items": [', length=1000)), None, 1),
        (Reply(raw=raw_answer(body=b'{"items": [', length=1000)), True, 2),
        (with_lines(body=b'{"items": ['), None, 1),
        (with_lines("Content-Encoding: gzip", body=compress(b'{"items": []}')[:-4]), None, 1),
        (Reply(raw=b""), None, 1),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_search_by_post_is_not_repeated_blindly(
    server: OAuthServer, hook: OAuth2Hook, reply: Reply, idempotent: bool | None, sends: int
) -> None:
    serve(server, in_turn(reply, Reply(200, {"items": items(0)})))
    pull: dict[str, Any] = {"records": "items", "method": "POST", "json": {"q": 1}, "idempotent": idempotent}

    if sends == 1:
        with pytest.raises(TransientError):
            list(hook.pages("items", **pull))
    else:
        assert ids(hook.records("items", **pull)) == [0]

    assert [seen.body for seen in server.api_requests] == [b'{"q": 1}'] * sends


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_cursor_that_ended_is_an_error_that_no_repetition_changes(
    server: OAuthServer, hook: OAuth2Hook, status: int
) -> None:
    serve(server, at_page(2, Reply(status, {"error": "cursor expired"})))

    with pytest.raises(ApiRefusedError, match="cursor expired") as caught:
        list(hook.pages("items", pagination=CURSOR, records="items"))

    assert isinstance(caught.value, PermanentError)
    assert caught.value.status_code == status
    assert len(server.api_requests) == 2
