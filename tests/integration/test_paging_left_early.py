"""A pull that is left early, or not begun, leaves no thread, no connection and no file behind; several do not mix."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import OAuth2Error
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.pull.pagination import LinkHeader
from tests.support.paged_api import OFFSET, Numbers, ids, nothing_left, serve
from tests.support.servers import OAuthServer


def leave_by_break(pages: Any) -> None:
    for number, _ in enumerate(pages):
        if number == 1:
            break


def leave_by_error(pages: Any) -> None:
    with suppress(ZeroDivisionError):
        for number, _ in enumerate(pages):
            1 / (1 - number)


def leave_by_close(pages: Any) -> None:
    next(pages)
    next(pages)
    pages.close()


@pytest.mark.parametrize("leave", [leave_by_break, leave_by_error, leave_by_close])
@pytest.mark.parametrize("pull", [{**OFFSET, "concurrency": 4}, {"pagination": LinkHeader(), "records": "items"}])
def test_leaving_early_leaves_nothing_behind(
    server: OAuthServer, hook: OAuth2Hook, leave: Callable[[Any], None], pull: dict[str, Any]
) -> None:
    serve(server, Numbers(total=300, size=3))
    hook.request("GET", "items")
    at_first = {seen.client for seen in server.api_requests}

    with nothing_left():
        leave(hook.pages("items", **pull))
        gc.collect()

    pulled = {seen.client for seen in server.api_requests}
    assert len(server.api_requests) <= 1 + 2 + 4
    hook.request("GET", "items")
    assert server.api_requests[-1].client in at_first | pulled
    assert ids(hook.records("items", **pull)) == list(range(300))


def test_a_pull_that_never_began_asks_for_nothing(server: OAuthServer, hook: OAuth2Hook) -> None:
    with nothing_left():
        hook.pages("items", concurrency=4, **OFFSET).close()  # type: ignore[attr-defined]

    assert server.seen == []


@pytest.mark.parametrize("shared", [True, False], ids=["one hook", "two hooks"])
def test_two_threads_pull_side_by_side(server: OAuthServer, hook: OAuth2Hook, shared: bool) -> None:
    serve(server, Numbers(total=60, size=3))
    got: dict[str, Any] = {}

    def pull(name: str) -> None:
        own = hook if shared else OAuth2Hook(oauth2_conn_id="shop")
        try:
            got[name] = ids(own.records(name, concurrency=4, **OFFSET))
        except OAuth2Error as error:
            got[name] = error

    with nothing_left():
        threads = [threading.Thread(target=pull, args=(name,)) for name in ("orders", "items")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert got == {"orders": list(range(60)), "items": list(range(60))}
    assert len(server.token_requests) == 1
    assert len(server.api_requests) == 40


@pytest.mark.parametrize("leave", [leave_by_break, leave_by_error, leave_by_close])
def test_pages_that_came_in_vain_leave_no_file_open(
    server: OAuthServer, hook: OAuth2Hook, leave: Callable[[Any], None]
) -> None:
    """An unclosed file is a warning, and a warning is an error here."""
    serve(server, Numbers(total=60, size=3, extra={"pad": "x" * (5 << 20)}))

    with nothing_left():
        leave(hook.pages("items", **OFFSET, concurrency=3))
        gc.collect()

    assert len(server.api_requests) > 1


def test_a_page_that_was_not_as_expected_leaves_no_file_open(server: OAuthServer, hook: OAuth2Hook) -> None:
    serve(server, Numbers(total=9, size=2, extra={"pad": "x" * (5 << 20)}))

    with nothing_left():
        assert ids(hook.records("items", **OFFSET, concurrency=3)) == list(range(9))
        gc.collect()
