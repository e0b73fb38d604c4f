"""What the commands do."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

from airflow_oauth_provider import airflow_access
from airflow_oauth_provider.cli.run import FAILED, OK, USAGE, explain
from airflow_oauth_provider.cli.table import table
from airflow_oauth_provider.exceptions import OAuth2Error, SettingsError
from airflow_oauth_provider.get_provider_info import CONNECTION_TYPE
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.masking import escape_control_characters

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable


def status(arguments: Namespace, out: TextIO) -> int:
    """Show what is known of the stored tokens; a connection that cannot be read does not hide the others."""
    named = dict.fromkeys(arguments.conn_ids)
    rows = [_row(conn_id) for conn_id in named or airflow_access.connection_ids(CONNECTION_TYPE)]
    if arguments.output == "json":
        out.write(f"{json.dumps(rows, indent=2)}\n")
    elif rows:
        out.write(table(rows, time.time(), _width_of(out)))
    else:
        out.write(
            f"Airflow's metadata database has no connection of type {CONNECTION_TYPE}. Those of environment variables "
            "and secrets backends cannot be listed: name them (status CONN_ID).\n"
        )
    return FAILED if any(row["state"] in ("error", "unavailable") for row in rows) else OK


def test(arguments: Namespace, out: TextIO) -> int:
    """Fetch a new token and call the test endpoint."""
    worked, message = _hook(arguments.conn_id).test_connection()
    (out if worked else sys.stderr).write(f"{message}\n")
    return OK if worked else FAILED


def forget(arguments: Namespace, out: TextIO) -> int:
    """Forget the stored token and remembered refusals."""
    hook = _hook(arguments.conn_id)
    _reachable_store(hook)
    hook.forget_token()
    store = _reachable_store(hook)  # a store that cannot be written has shown it by now
    out.write(
        f"Forgot the token of {arguments.conn_id!r} in {store}, and refusals that were remembered. "
        "Processes that run keep the token they hold.\n"
    )
    return OK


def revoke(arguments: Namespace, out: TextIO) -> int:
    """End the stored token at the authorization server."""
    hook = _hook(arguments.conn_id)
    store = _reachable_store(hook)
    if not hook.revoke_token():
        raise OAuth2Error(f"No token of {arguments.conn_id!r} is stored in {store}: nothing was revoked.")
    out.write(f"The authorization server ended the token of {arguments.conn_id!r}.\n")
    out.write(f"It is forgotten in {_reachable_store(hook)}.\n")  # as above
    return OK


def token(arguments: Namespace, out: TextIO) -> int:
    """Print the token."""
    if not arguments.reveal:
        sys.stderr.write("A token is shown with --reveal only: whoever sees it can call the API until it ends.\n")
        return USAGE
    out.write(f"{_hook(arguments.conn_id).get_token().value}\n")
    return OK


ACTIONS: dict[str, Callable[[Namespace, TextIO], int]] = {
    "status": status,
    "test": test,
    "forget": forget,
    "revoke": revoke,
    "token": token,
}


def _hook(conn_id: str) -> OAuth2Hook:
    found = airflow_access.connection(conn_id).conn_type
    if found != CONNECTION_TYPE:
        raise SettingsError(f"Connection {conn_id!r} is of type {found!r}, not {CONNECTION_TYPE!r}.")
    return OAuth2Hook(oauth2_conn_id=conn_id)


def _row(conn_id: str) -> dict[str, Any]:
    try:
        return {"conn_id": conn_id, **_hook(conn_id).token_status().members(time.time()), "error": None}
    except Exception as error:  # noqa: BLE001  # whatever it is, the other connections are shown
        problem = explain(error)
        sys.stderr.write(f"{escape_control_characters(conn_id)}: {problem}\n")
        return {"conn_id": conn_id, "state": "error", "error": problem}


def _width_of(out: TextIO) -> int | None:
    """Return the columns of the terminal; None where there is none, or it does not know."""
    return os.get_terminal_size(out.fileno()).columns or None if out.isatty() else None


def _reachable_store(hook: OAuth2Hook) -> str:
    found = hook.token_status()
    if found.store.startswith("memory:"):
        raise SettingsError(f"Tokens are kept in {found.store}: each process has its own, out of reach.")
    if not found.works:
        raise OAuth2Error(f"The token store {found.store} does not work.")
    return found.store
