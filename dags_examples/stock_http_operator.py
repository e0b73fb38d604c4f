"""
The HttpOperator that you already have, on an ``oauth2`` connection: only the connection id changes.

It asks the connection for its hook, so every page is called with our token; ``next_page`` follows the cursor.

Needs the connection ``shop``: Admin → Connections → Add, type *OAuth 2.0 API*, with the Token URL, Client ID,
Client secret and API base URL of your API. (``make demo`` makes one to a small API of its own.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import DAG
from airflow.providers.http.operators.http import HttpOperator

if TYPE_CHECKING:
    from requests import Response


def next_page(response: Response) -> dict[str, Any] | None:
    """Ask for the page after this one, until there is none."""
    cursor = response.json()["next_cursor"]
    return {"data": {"cursor": cursor}} if cursor else None


def names(pages: list[Response]) -> list[str]:
    """Turn all pages into the value for XCom."""
    return [customer["name"] for page in pages for customer in page.json()["customers"]]


with DAG("shop_stock_http_operator", schedule=None, doc_md=__doc__, tags=["oauth2"]):
    HttpOperator(
        task_id="customers",
        http_conn_id="shop",
        method="GET",
        endpoint="customers",
        pagination_function=next_page,
        response_filter=names,
    )
