"""The page's routes, each guarded by Airflow's own permissions on connections."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_connection
from airflow.api_fastapi.logging.decorators import action_logging
from fastapi import APIRouter, Depends, HTTPException
from fastapi.responses import FileResponse

from airflow_oauth_provider import airflow_access
from airflow_oauth_provider.exceptions import OAuth2Error
from airflow_oauth_provider.get_provider_info import CONNECTION_TYPE
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.ui.access import permitted, refuse_other_origins, tests_enabled
from airflow_oauth_provider.ui.board import Board
from airflow_oauth_provider.ui.store import store_members

_PAGE = Path(__file__).parent / "page"
_FILES = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "row.js": "text/javascript",
    "theme.js": "text/javascript",
}
_OF_STORE = {"store", "store_works"}

_MAY_READ = Depends(requires_access_connection("GET"))
# Who may edit a connection may have its token fetched: PUT, not POST, which is about new connections of any team.
_MAY_EDIT = Depends(requires_access_connection("PUT"))

router = APIRouter()
board = Board()


@router.get("/", dependencies=[_MAY_READ])
def page() -> FileResponse:
    """Return the page, which is the same for everybody and asks for the rest itself."""
    return FileResponse(_PAGE / "index.html", media_type="text/html")


@router.get("/tokens", dependencies=[_MAY_READ])
def tokens(user: GetUserDep) -> dict[str, Any]:
    """Return the state of the tokens of all connections that the user may read; this costs no token request."""
    listed = airflow_access.connection_ids(CONNECTION_TYPE)
    editable = permitted(user, "PUT", listed)
    rows = board.rows(sorted(permitted(user, "GET", listed)))
    return {
        "now": time.time(),
        "store": store_members(rows),
        "tests_enabled": tests_enabled(),
        "connections": [_shown(row, may_edit=row["conn_id"] in editable) for row in rows],
    }


@router.post(
    "/test/{connection_id:path}",
    dependencies=[Depends(refuse_other_origins), _MAY_READ, _MAY_EDIT, Depends(action_logging("oauth2_token_test"))],
)
def test(connection_id: str) -> dict[str, Any]:
    """Fetch a new token, as the form's Test does."""
    _check_listed(connection_id)
    if not tests_enabled():
        raise HTTPException(403, "Testing connections is off here: [core] test_connection is not Enabled.")
    worked, said = OAuth2Hook(connection_id).test_connection()
    return {"worked": worked, "said": said, "connection": _shown(board.look(connection_id), may_edit=True)}


@router.post(
    "/forget/{connection_id:path}",
    dependencies=[Depends(refuse_other_origins), _MAY_READ, _MAY_EDIT, Depends(action_logging("oauth2_token_forget"))],
)
def forget(connection_id: str) -> dict[str, Any]:
    """Forget the stored token and remembered refusals."""
    _check_listed(connection_id)
    worked, said = True, "Forgotten: the next task that needs a token asks for a new one."
    try:
        OAuth2Hook(connection_id).forget_token()
    except OAuth2Error as error:
        worked, said = False, str(error)
    row = board.look(connection_id)
    if worked and row["state"] == "unavailable":
        worked, said = False, "The token store cannot be reached from here: nothing was forgotten."
    return {"worked": worked, "said": said, "connection": _shown(row, may_edit=True)}


# Last: it takes every name.
@router.get("/{name}", dependencies=[_MAY_READ])
def file(name: str) -> FileResponse:
    """Return one of the page's own files."""
    if name not in _FILES:
        raise HTTPException(404)
    return FileResponse(_PAGE / name, media_type=_FILES[name])


def _check_listed(conn_id: str) -> None:
    if conn_id not in airflow_access.connection_ids(CONNECTION_TYPE):
        raise HTTPException(404, "There is no such connection of type oauth2 in Airflow's database.")


def _shown(row: dict[str, Any], *, may_edit: bool) -> dict[str, Any]:
    return {**{name: value for name, value in row.items() if name not in _OF_STORE}, "may_edit": may_edit}
