"""The protected API: a shop with 24 orders and 10 customers, open to tokens of the authorization server."""

from __future__ import annotations

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
PAGE_SIZE = 4
SCOPES = {"status": "status:read"}


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
        """One page of customers; ``next_cursor`` is null on the last one."""
        start = request.args.get("cursor", default=0, type=int)
        end = start + PAGE_SIZE
        return {"customers": CUSTOMERS[start:end], "next_cursor": end if end < len(CUSTOMERS) else None}

    return app
