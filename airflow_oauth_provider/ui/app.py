"""The page's application: what it serves, to whom, and how it is shielded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.api_fastapi.app import API_ROOT_PATH
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import HTMLResponse, RedirectResponse

from airflow_oauth_provider.ui.plugin import NAME
from airflow_oauth_provider.ui.routes import router

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_FORBIDDEN = Path(__file__).parent / "page" / "forbidden.html"

HEADERS = {
    # Nothing from elsewhere, nothing inline, and no frame but Airflow's own.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'self'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def create_app() -> FastAPI:
    """Return the application, without the documents that FastAPI would serve to everybody."""
    app = FastAPI(title="OAuth 2.0 tokens", openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(router)
    app.add_exception_handler(HTTPException, _refused)  # type: ignore[arg-type]  # it is told by its first argument
    app.middleware("http")(_with_headers)
    return app


async def _with_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


async def _refused(request: Request, error: HTTPException) -> Response:
    """Send people to the login, or tell them what they lack; programs get JSON."""
    if "text/html" in request.headers.get("accept", ""):
        if error.status_code == 401:
            page = quote(f"{API_ROOT_PATH}{NAME}/", safe="")
            return RedirectResponse(f"{API_ROOT_PATH}api/v2/auth/login?next={page}", status_code=303)
        if error.status_code == 403 and request.method == "GET":
            # It has its style within: the style sheet is for those who may read connections.
            policy = HEADERS["Content-Security-Policy"].replace("style-src 'self'", "style-src 'unsafe-inline'")
            content = _FORBIDDEN.read_text(encoding="utf-8")
            return HTMLResponse(content, status_code=403, headers={"Content-Security-Policy": policy})
    return await http_exception_handler(request, error)
