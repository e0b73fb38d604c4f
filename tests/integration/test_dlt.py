"""The recipe for dlt in docs/pulling.md: its RESTClient with our token."""

from __future__ import annotations

import gc
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from dlt.extract.exceptions import ResourceExtractionError

from tests.support import worker
from tests.support.paged_api import serve
from tests.support.pulling_guide import ORDERS, Shop, blocks
from tests.support.servers import OAuthServer, Reply, Seen


@pytest.fixture
def orders(connect: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Any]]:
    """Return the resource of the recipe."""
    # What dlt does by itself when it finds an Airflow and a network: look into its variables, and tell of its use.
    monkeypatch.setenv("PROVIDERS__ENABLE_AIRFLOW_SECRETS", "false")
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    connect()
    yield blocks()["dlt 1"].run()["orders"]
    with warnings.catch_warnings():
        # dlt leaves its sessions open.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def test_the_recipe_brings_every_order_with_one_token(server: OAuthServer, orders: Callable[[], Any]) -> None:
    serve(server, Shop())

    assert list(orders()) == ORDERS
    assert len(server.token_requests) == 1
    assert {seen.headers["authorization"] for seen in server.api_requests} == {f"Bearer {next(iter(server.tokens))}"}


def test_a_token_that_is_revoked_under_way_is_renewed_once_and_never_sent_again(
    server: OAuthServer, orders: Callable[[], Any]
) -> None:
    worker.store_old_token()
    old = "made-up-old-token"
    server.tokens[old] = time.time() + 3600

    def revoked_at_the_fifth_page(seen: Seen) -> Reply:
        if dict(seen.query).get("cursor") == "b40":
            server.tokens.pop(old, None)
        checked = server.checked(seen)
        return Shop()(seen) if checked.status == 200 else checked

    server.api_reply = revoked_at_the_fifth_page

    assert list(orders()) == ORDERS
    assert len(server.token_requests) == 1
    sent = [seen.headers["authorization"].removeprefix("Bearer ") for seen in server.api_requests]
    assert sent == [old] * 5 + list(server.tokens) * 21


def test_a_redirect_to_another_host_takes_no_token_there(server: OAuthServer, orders: Callable[[], Any]) -> None:
    with OAuthServer() as elsewhere:
        moved = Reply(302, b"", {"Location": f"{elsewhere.url}/api/orders"})
        serve(server, lambda seen: moved if dict(seen.query) else Shop()(seen))

        with pytest.raises(ResourceExtractionError, match="401"):
            list(orders())

    assert [seen.headers.get("authorization") for seen in elsewhere.seen] == [None]
