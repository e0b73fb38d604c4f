"""
One process under measurement: ``paging_clients.py CLIENT KIND PAGES CONCURRENCY``; prints one line of JSON.

Every client pulls pages and hands the records of each to the same function, which checks that none is missing.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.memory import MemoryGrowth
from benchmarks.paging_server import FIRST_ID

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests import Response

PAGE_SIZE = 100
WARM_UP_PAGES = 50
AUTHORIZATION = "Bearer of-a-session-that-knows-it"


@dataclass
class Pull:
    """
    What to pull, and how far it came.

    :param kind: ``link``, ``cursor`` or ``slow``
    """

    kind: str
    pages: int
    concurrency: int = 1
    base_url: str = field(default_factory=lambda: os.environ["BENCHMARK_API"])
    records: int = 0

    @property
    def endpoint(self) -> str:
        return f"{self.pages}x{PAGE_SIZE}/{self.kind}"

    def take(self, records: list[dict[str, Any]]) -> None:
        """Count a page's records and raise when they are not the next ones."""
        if records:
            first, last = FIRST_ID + self.records, FIRST_ID + self.records + len(records) - 1
            if (records[0]["id"], records[-1]["id"]) != (first, last):
                raise ValueError(f"after {self.records} records came {records[0]['id']} to {records[-1]['id']}")
            self.records += len(records)

    def following(self, response: Response) -> dict[str, str] | None:
        """Return the query of the next page, as pagination functions of stock hooks and operators do."""
        if self.kind == "link":
            url = response.links.get("next", {}).get("url")
            return {"cursor": url.partition("cursor=")[2]} if url else None
        cursor = response.json()["meta"]["next"]
        return {"cursor": cursor} if cursor else None


def bare(pull: Pull) -> None:
    """Pull by a session and nothing else."""
    import requests

    with requests.Session() as session:
        session.headers["Authorization"] = AUTHORIZATION
        url: str | None = f"{pull.base_url}/{pull.endpoint}"
        params: dict[str, str] | None = None
        while url:
            response = session.get(url, params=params, timeout=30)
            response.raise_for_status()
            page = response.json()
            pull.take(page["data"])
            if pull.kind == "link":
                url = response.links.get("next", {}).get("url")
            else:
                cursor = page["meta"]["next"]
                url, params = (url, {"cursor": cursor}) if cursor else (None, None)


def ours(pull: Pull) -> None:
    """Pull by this package."""
    from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
    from airflow_oauth_provider.pull.pagination import Cursor, LinkHeader, Offset

    pagination = {
        "link": LinkHeader(),
        "cursor": Cursor("meta.next", param="cursor"),
        "slow": Offset(PAGE_SIZE, total_path="meta.total"),
    }[pull.kind]
    hook = OAuth2Hook("benchmark")
    for page in hook.pages(pull.endpoint, pagination=pagination, records="data", concurrency=pull.concurrency):
        pull.take(list(page.records))


def http_hook(pull: Pull) -> None:
    """Pull by one ``HttpHook``."""
    from airflow.providers.http.hooks.http import HttpHook

    hook = HttpHook(method="GET", http_conn_id="peer")
    query: dict[str, str] | None = {}
    while query is not None:
        response = hook.run(pull.endpoint, query)
        pull.take(response.json()["data"])
        query = pull.following(response)


def http_operator(pull: Pull) -> None:
    """Pull by ``HttpOperator``, which keeps all pages until the end."""
    from airflow.providers.http.operators.http import HttpOperator

    def following(response: Response) -> dict[str, Any] | None:
        query = pull.following(response)
        return {"data": query} if query else None

    def take_all(responses: list[Response]) -> None:
        for response in responses:
            pull.take(response.json()["data"])

    HttpOperator(
        task_id="pull",
        http_conn_id="peer",
        method="GET",
        endpoint=pull.endpoint,
        pagination_function=following,
        response_filter=take_all,
    ).execute({})


def dlt(pull: Pull) -> None:
    """Pull by dlt's REST client."""
    from dlt.sources.helpers.rest_client.client import RESTClient
    from dlt.sources.helpers.rest_client.paginators import (
        BasePaginator,
        HeaderLinkPaginator,
        JSONResponseCursorPaginator,
    )

    paginator: BasePaginator = HeaderLinkPaginator()
    if pull.kind == "cursor":
        paginator = JSONResponseCursorPaginator(cursor_path="meta.next", cursor_param="cursor")
    client = RESTClient(pull.base_url, headers={"Authorization": AUTHORIZATION})
    for page in client.paginate(pull.endpoint, paginator=paginator, data_selector="data"):
        pull.take(page)


# With the package that must be installed.
CLIENTS: dict[str, tuple[Callable[[Pull], None], str]] = {
    "bare requests.Session": (bare, "requests"),
    "OAuth2Hook.pages": (ours, "airflow_oauth_provider"),
    "HttpHook.run, one hook": (http_hook, "airflow.providers.http"),
    "HttpOperator": (http_operator, "airflow.providers.http"),
    "dlt RESTClient.paginate": (dlt, "dlt"),
}


def measure(client: Callable[[Pull], None], pull: Pull) -> dict[str, Any]:
    """Return what a pull took, after a short one that warms up."""
    client(Pull(pull.kind, min(pull.pages - 1, WARM_UP_PAGES), pull.concurrency))
    memory = MemoryGrowth()
    began, cpu = time.perf_counter(), time.process_time()
    client(pull)
    return {
        "seconds": time.perf_counter() - began,
        "cpu_s": time.process_time() - cpu,
        "growth_mib": memory.mib(),
        "records": pull.records,
        "endpoint": pull.endpoint,
    }


if __name__ == "__main__":
    name, kind, pages, concurrency = sys.argv[1:]
    if name != "dlt RESTClient.paginate":
        # dlt brings simplejson, which requests would take in place of the faster module of the standard library.
        sys.modules["simplejson"] = None  # type: ignore[assignment]
    print(json.dumps(measure(CLIENTS[name][0], Pull(kind, int(pages), int(concurrency)))))
