"""The protected API: a shop with orders, customers and a sale each hour, open to tokens of the authorization server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from authlib.integrations.flask_oauth2 import ResourceProtector
from authlib.oauth2.rfc6750 import BearerTokenValidator
from flask import Flask, abort, request

if TYPE_CHECKING:
    from demo.ledger import IssuedToken, Ledger

ORDERS = {
    number: {"id": number, "item": item, "quantity": number % 5 + 1, "open": number % 3 == 0}
    for number, item in enumerate(["lamp", "chair", "table", "shelf"] * 6, start=1)
}
CUSTOMERS = [{"id": number, "name": f"customer {number}"} for number in range(1, 11)]
PRICES = {"lamp": 39.9, "chair": 89.5, "table": 249, "shelf": 119.95}
PAGE_SIZE = 4
HOUR_S = 3600
SCOPES = {"status": "status:read"}


def sales_between(start: datetime, end: datetime) -> list[dict[str, Any]]:
    """Return the sales from *start* on and before *end*: at each full hour the shop sells one thing."""
    first, last = (int(-(-moment.timestamp() // HOUR_S)) for moment in (start, end))
    items = list(PRICES.items())
    return [
        {
            "id": number,
            "item": items[number % len(items)][0],
            "price": items[number % len(items)][1],
            "sold_at": datetime.fromtimestamp(number * HOUR_S, UTC).isoformat(),
        }
        for number in range(first, last)
    ]


class LedgerTokenValidator(BearerTokenValidator):
    """Accepts the tokens of the ledger: known, not expired, not revoked, of the right scope (RFC 6750)."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(realm="shop")
        self._ledger = ledger

    def authenticate_token(self, token_string: str) -> IssuedToken | None:
        return self._ledger.find(token_string)


def create_api_app(ledger: Ledger) -> Flask:
    """Build the application that serves ``/v1``."""
    app = Flask("demo-api")
    require_token = ResourceProtector()
    require_token.register_token_validator(LedgerTokenValidator(ledger))

    @app.before_request
    def check_token() -> None:
        ledger.count("api_requests")
        with require_token.acquire(SCOPES.get(request.endpoint or "", "orders:read")):
            return

    @app.get("/v1/status")
    def status() -> dict[str, Any]:
        return {"status": "ok", "orders": len(ORDERS)}

    @app.get("/v1/orders")
    def orders() -> dict[str, Any]:
        """All orders, or with ``?open=true`` the open ones; ``day`` is handed back as it came."""
        only_open = request.args.get("open") == "true"
        found = [order for order in ORDERS.values() if order["open"] or not only_open]
        return {"day": request.args.get("day"), "orders": found}

    @app.get("/v1/orders/<int:number>")
    def order(number: int) -> dict[str, Any]:
        return ORDERS.get(number) or abort(404)

    @app.get("/v1/customers")
    def customers() -> dict[str, Any]:
        return one_page("customers", CUSTOMERS)

    @app.get("/v1/sales")
    def sales() -> dict[str, Any]:
        """One page of the sales from ``since`` on and before ``until``."""
        return one_page("sales", sales_between(instant("since"), instant("until")))

    return app


def one_page(name: str, records: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the page of *records* that the request asks for; ``next_cursor`` is null on the last one."""
    start = request.args.get("cursor", default=0, type=int)
    end = start + PAGE_SIZE
    return {name: records[start:end], "next_cursor": end if end < len(records) else None}


def instant(parameter: str) -> datetime:
    """Return the moment that the request names, which has to have a zone."""
    try:
        moment = datetime.fromisoformat(request.args[parameter])
    except ValueError:
        abort(400)
    return moment if moment.tzinfo else abort(400)
