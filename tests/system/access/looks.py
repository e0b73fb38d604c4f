"""What connections and variables look like from where this runs: a task, a trigger, the API server, the CLI."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import sys
import threading
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_oauth_provider import airflow_access
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

THREADS = 8
ROUNDS = 12


def look(place: str) -> dict[str, Any]:
    """
    Use connections, variables and the shared token from here.

    :param place: where this is, for the log
    """
    stored = airflow_access.connection("shop")
    logging.getLogger("airflow.task").warning("careless in the %s: %s", place, stored.password)
    name = f"written_by_{place}_{secrets.token_hex(4)}"
    missing = airflow_access.variable(name)
    airflow_access.set_variable(name, f"first, by {place}", "made up")
    airflow_access.set_variable(name, f"by {place}", "made up")
    return {
        "supervised": airflow_access.supervised(),
        "stored": [stored.conn_type, stored.login, stored.extra_dejson["scope"]],
        "environment": airflow_access.connection("in_the_environment").host,
        "missing connection": what_is_raised("nobody_made_this"),
        "missing variable": missing,
        "variable": airflow_access.variable(name),
        "other variable": airflow_access.variable("made_up"),
        "token": OAuth2Hook("shop").get_token().token_type,
        "store": OAuth2Hook("shop").token_status().store,
        "ids": airflow_access.connection_ids("oauth2") if not airflow_access.supervised() else None,
    }


def what_is_raised(conn_id: str) -> list[str]:
    """Return class and message of what the hook raises without its connection."""
    try:
        OAuth2Hook(conn_id).get_token()
    except Exception as error:
        return [type(error).__name__, str(error)]
    return []


def ask_from_many_threads() -> list[str]:
    """Return every answer that a thread got to another one's question; all of them share the way to the supervisor."""
    crossed: list[str] = []

    def ask(number: int) -> None:
        name = f"thread_{number}"
        for turn in range(ROUNDS):
            text = f"{number} in turn {turn}"
            airflow_access.set_variable(name, text, "made up")
            found = [airflow_access.variable(name), airflow_access.variable("made_up")]
            if found != [text, "made up"]:
                crossed.append(f"{text}: {found}")

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return crossed


class LookTrigger(BaseTrigger):
    """Looks from a thread of the triggerer, as every sync hook has to be used there."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{__name__}.LookTrigger", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        yield TriggerEvent(await asyncio.to_thread(look, "trigger"))  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    # The CLI: nothing but Airflow's configuration, and no supervisor.
    json.dump(look("cli"), sys.stdout)
