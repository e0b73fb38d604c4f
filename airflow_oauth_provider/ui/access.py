"""Who may see and do what: Airflow's own permissions, and nobody in somebody else's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import ConnectionDetails
from airflow.configuration import conf
from airflow.models.connection import Connection
from fastapi import HTTPException, Request

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow.api_fastapi.auth.managers.base_auth_manager import ResourceMethod

HEADER, HEADER_VALUE = "X-Requested-With", "airflow-oauth2-tokens"


def permitted(user: Any, method: ResourceMethod, conn_ids: Collection[str]) -> set[str]:
    """
    Return those of *conn_ids* that the auth manager lets *user* read (``GET``) or edit (``PUT``).

    :param user: as Airflow's own dependency found it
    """
    manager = get_auth_manager()
    if hasattr(manager, "get_authorized_connections"):
        return manager.get_authorized_connections(user=user, method=method).intersection(conn_ids)

    def is_permitted(conn_id: str) -> bool:  # Airflow 3.1
        details = ConnectionDetails(conn_id=conn_id, team_name=Connection.get_team_name(conn_id))
        return manager.is_authorized_connection(method=method, details=details, user=user)

    return set(filter(is_permitted, conn_ids))


def tests_enabled() -> bool:
    """Whether ``[core] test_connection`` lets connections be tested; it is off by default."""
    return str(conf.get("core", "test_connection", fallback="")).strip().lower() == "enabled"


def refuse_other_origins(request: Request) -> None:
    """
    Refuse what a page of another origin sends with the user's cookie.

    Airflow's cookie is ``SameSite=Lax``: pages of a neighbouring port or subdomain, which are the same *site*, still
    send it, and some set-ups need no cookie at all. No form can set our header, and no script of another origin may
    without being asked for; and browsers say themselves where a request comes from (Fetch Metadata; over plain http
    they name just the origin).
    """
    headers = request.headers
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        own = site == "same-origin"
    else:
        # A proxy may have rewritten the host.
        hosts = {headers.get("host"), urlsplit(conf.get("api", "base_url", fallback="") or "").netloc}
        own = origin is None or urlsplit(origin).netloc in hosts - {None, ""}
    if not own or headers.get(HEADER) != HEADER_VALUE:
        raise HTTPException(403, "This is for the page itself: a request of another origin is refused.")
