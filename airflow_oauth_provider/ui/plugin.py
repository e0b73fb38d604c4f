"""
The page "OAuth 2.0 tokens" of Airflow's user interface, 3.1 and later.

Every process that loads plugins imports this module, tasks and Airflow 2.11 included: the page itself is imported when
somebody opens it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Message = MutableMapping[str, Any]
    Application = Callable[
        [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
    ]

TITLE = "OAuth 2.0 tokens"
NAME = "oauth2-tokens"

_KEY = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='{colour}' "
    "stroke-width='2' stroke-linecap='round' stroke-linejoin='round'%3E%3Ccircle cx='7.5' cy='15.5' r='4.5'/%3E"
    "%3Cpath d='m10.7 12.3 9.8-9.8M16 7l3 3'/%3E%3C/svg%3E"
)


class LateApp:
    """An ASGI application that is built on its first request."""

    def __init__(self) -> None:
        self._app: Application | None = None

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Serve one request."""
        if self._app is None:
            from airflow_oauth_provider.ui.app import create_app

            self._app = create_app()
        await self._app(scope, receive, send)


class OAuth2TokensPlugin(AirflowPlugin):
    """Puts the page into the menu "Admin", beside the connections."""

    name = "oauth2_tokens"

    # Airflow 3.1 brought pages of plugins: on older ones there is nothing to register.
    if hasattr(AirflowPlugin, "external_views"):
        fastapi_apps = [{"app": LateApp(), "name": TITLE, "url_prefix": f"/{NAME}"}]
        external_views = [
            {
                "name": TITLE,
                # Relative to Airflow's own base, which may have a path.
                "href": f"{NAME}/",
                "destination": "nav",
                "category": "admin",
                "url_route": NAME,
                "icon": _KEY.format(colour="%2352525b"),
                "icon_dark_mode": _KEY.format(colour="%23d4d4d8"),
            }
        ]
