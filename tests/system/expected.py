"""What the example Dags leave in XCom, on every version of Airflow."""

from __future__ import annotations

from typing import Any

from demo.shop_api import CUSTOMERS, ORDERS

OPEN_ORDERS = [order for order in ORDERS.values() if order["open"]]


def expected_xcoms(day: str) -> dict[str, list[Any]]:
    """
    Return the results by Dag, one for each mapped task.

    :param day: the date of the run, which the scheduled Dag sends to the API
    """
    return {
        "shop_scheduled_pull": [{"day": day, "orders": OPEN_ORDERS}],
        "shop_taskflow": [{"all": len(ORDERS), "open": len(OPEN_ORDERS)}],
        "shop_mapped_tasks": list(ORDERS.values()),
        "shop_stock_http_operator": [[customer["name"] for customer in CUSTOMERS]],
    }
