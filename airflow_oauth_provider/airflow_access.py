"""
Connections and variables, wherever we run.

Tasks, triggers and Dag files ask Airflow's supervisor, through the SDK; the CLI and the API server have none, and read
the metadata database (``airflow.models``). Each way fails in the other's place.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection


def supervised() -> bool:
    """Whether a supervisor answers for this process; Airflow itself tells by the same sign. Never on 2.11."""
    return hasattr(sys.modules.get("airflow.sdk.execution_time.task_runner"), "SUPERVISOR_COMMS")


def threads_may_ask() -> bool:
    """Whether several threads may ask the supervisor: Airflow 3.0 and 3.1 mix up their answers, and a task hangs."""
    comms = getattr(sys.modules.get("airflow.sdk.execution_time.task_runner"), "SUPERVISOR_COMMS", None)
    return comms is None or hasattr(comms, "_thread_lock")


def connection(conn_id: str) -> Connection:
    """
    Return a connection from environment, secrets backends or metadata database.

    :raises AirflowNotFoundException: there is none
    """
    # One in the environment needs no supervisor, and the models take half a second to import.
    if supervised() or f"AIRFLOW_CONN_{conn_id.upper()}" in os.environ:
        from airflow.providers.common.compat.sdk import BaseHook

        return BaseHook.get_connection(conn_id)
    from airflow.models.connection import Connection as ModelConnection

    return ModelConnection.get_connection_from_secrets(conn_id, **_team(ModelConnection, conn_id))


def _team(model: Any, conn_id: str) -> dict[str, str]:
    """Return the team of a connection: without it, Airflow with teams finds only connections of none."""
    from airflow.configuration import conf

    team = model.get_team_name(conn_id) if conf.getboolean("core", "multi_team", fallback=False) else None
    return {"team_name": team} if team else {}


def connection_ids(conn_type: str) -> list[str]:
    """Return the ids of the metadata database's connections; environment and secrets backends cannot be listed."""
    from airflow.models.connection import Connection as ModelConnection
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        query = select(ModelConnection.conn_id).where(ModelConnection.conn_type == conn_type)
        return sorted(session.scalars(query))


def variable(key: str) -> str | None:
    """
    Return a variable's text, None when there is none.

    :raises NotImplementedError: where only one thread may ask for it
    """
    _check_threads()
    if supervised():
        from airflow.sdk import Variable

        found = Variable.get(key, default=None)
    else:
        from airflow.models.variable import Variable as ModelVariable

        found = ModelVariable.get(key, default_var=None)
    return None if found is None else str(found)


def set_variable(key: str, text: str, description: str) -> None:
    """
    Write a variable.

    :raises NotImplementedError: where only one thread may do so
    """
    _check_threads()
    if supervised():
        from airflow.sdk import Variable

        Variable.set(key, text, description=description)
    else:
        from airflow.models.variable import Variable as ModelVariable

        ModelVariable.set(key, text, description=description)


def _check_threads() -> None:
    if not threads_may_ask():
        raise NotImplementedError("Variables are shared from Airflow 3.2 on: before, a second thread may hang a task")
