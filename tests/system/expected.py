"""What the example Dags leave, on every version of Airflow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from demo.destinations import records
from demo.shop_api import CUSTOMERS, ORDERS, sales_between

if TYPE_CHECKING:
    from demo.destinations import Destinations

OPEN_ORDERS = [order for order in ORDERS.values() if order["open"]]


def expected_xcoms(day: str) -> dict[str, list[Any]]:
    """
    Return the results by Dag, one for each mapped task.

    :param day: on which the run's data interval begins, which the scheduled Dag sends to the API
    """
    return {
        "shop_scheduled_pull": [{"day": day, "orders": OPEN_ORDERS}],
        "shop_taskflow": [{"all": len(ORDERS), "open": len(OPEN_ORDERS)}],
        "shop_mapped_tasks": list(ORDERS.values()),
        "shop_stock_http_operator": [[customer["name"] for customer in CUSTOMERS]],
    }


def assert_a_day_was_pulled(destinations: Destinations, day: str) -> None:
    """
    Check that the sales of one day, and nothing else, lie in a file and in the table.

    :param day: on which the run's data interval begins
    """
    start = datetime.fromisoformat(day[:10]).replace(tzinfo=UTC)
    sales = sales_between(start, start + timedelta(days=1))
    (file,) = destinations.files()

    assert file.name == f"{day[:10]}.jsonl.gz"
    assert [sale["sold_at"][:10] for sale in sales] == [day[:10]] * 24
    assert records(file) == sales
    assert destinations.rows() == sales
