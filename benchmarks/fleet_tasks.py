"""What the processes of a fleet do: functions of plain values, run by :mod:`tests.support.nursery`."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from typing import Any

from airflow_oauth_provider.exceptions import OAuth2Error
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from tests.support.worker import stamped

CONN_ID = "shop"
ASKS = 5000


def take_token() -> str:
    """Return the fingerprint of the token: all that the process ever does."""
    return OAuth2Hook(CONN_ID).get_token().fingerprint


def steady_load(start_at: float, seconds: float, pause_s: float, calls_every: int, phase: float) -> dict[str, Any]:
    """
    Ask for the token again and again, as a long task does, and call the API now and then.

    :param start_at: epoch seconds; what happens before warms up and is not counted
    :param pause_s: from one ask to the next
    :param calls_every: so many asks come to one call of the API
    :param phase: share of *pause_s* by which this process is behind the others
    :return: microseconds that asks took: those that brought the token of the one before, those that did so and began or
        met a refresh in the background, and those that brought another token; calls of the API; the least life, in
        seconds, that a token had left; when the tokens were asked for, epoch seconds; and how many of the other tokens
        had been taken over before they were asked for
    """
    hook = OAuth2Hook(CONN_ID)
    known, asks, calls, least_s = "", 0, 0, float("inf")
    took_us: dict[str, list[int]] = {"same": [], "refreshing": [], "other": []}
    issued_at: set[float] = set()
    taken_over = 0
    next_at = time.time() + phase * pause_s
    while next_at < start_at + seconds:
        time.sleep(max(0.0, next_at - time.time()))
        counts, next_at = next_at >= start_at, next_at + pause_s
        held = hook._source._shelf.held  # noqa: SLF001  # what has been taken over shows nowhere else
        began = time.perf_counter()
        token = hook.get_token()
        took = round((time.perf_counter() - began) * 1e6)
        if counts:
            kind = "other" if token.value != known else "refreshing" if _refreshing() else "same"
            took_us[kind].append(took)
            taken_over += kind == "other" and held is not None and held.token.value == token.value
            least_s = min(least_s, token.expires_at - time.time())
        known, asks = token.value, asks + 1
        issued_at.add(token.issued_at)
        if asks % calls_every == 0:
            calls += counts
            hook.request("GET", "orders", headers=stamped())
    facts = {"least_s": least_s, "calls": calls, "issued_at": sorted(issued_at), "taken_over": taken_over}
    return {"took_us": took_us, **facts}


def keep_calling(seconds: float, pause_s: float) -> dict[str, int]:
    """Call the API again and again, by a hook of its own each time; return how often which error came of it."""
    stop_at = time.monotonic() + seconds
    outcomes: Counter[str] = Counter()
    while time.monotonic() < stop_at:
        try:
            OAuth2Hook(CONN_ID).request("GET", "orders")
            outcomes["none"] += 1
        except OAuth2Error as error:
            outcomes[type(error).__name__] += 1
        time.sleep(pause_s)
    return dict(outcomes)


def call_by_dlt() -> int:
    """Call the API as dlt does, with its token for client credentials."""
    return int(_dlt_client().get("orders").status_code)


def cost_of_asking(rounds: int) -> dict[str, float]:
    """Return microseconds, of the best round, that the token costs once it is there: by the hook, and by dlt."""
    import requests

    hook, client = OAuth2Hook(CONN_ID), _dlt_client()
    hook.request("GET", "orders")
    client.get("orders")
    request = requests.Request("GET", f"{_base_url()}/orders").prepare()

    def best_us(ask: Any) -> float:
        times = []
        for _ in range(rounds):
            began = time.perf_counter()
            for _ in range(ASKS):
                ask()
            times.append((time.perf_counter() - began) / ASKS * 1e6)
        return min(times)

    return {
        "hook": best_us(hook.get_token),
        "hook_auth": best_us(lambda: _authorized(hook.auth, request)),
        "dlt_auth": best_us(lambda: _authorized(client.auth, request)),
    }


def _refreshing() -> bool:
    return any(thread.name == "oauth2-refresh" for thread in threading.enumerate())


def _authorized(auth: Any, request: Any) -> None:
    request.hooks["response"] = []  # each request is a new one
    auth(request)


def _dlt_client() -> Any:
    from dlt.sources.helpers.rest_client.auth import OAuth2ClientCredentials
    from dlt.sources.helpers.rest_client.client import RESTClient

    connection = json.loads(os.environ["AIRFLOW_CONN_SHOP"])
    auth = OAuth2ClientCredentials(
        access_token_url=connection["host"], client_id=connection["login"], client_secret=connection["password"]
    )
    return RESTClient(base_url=_base_url(), auth=auth)


def _base_url() -> str:
    return str(json.loads(os.environ["AIRFLOW_CONN_SHOP"])["extra"]["base_url"])
