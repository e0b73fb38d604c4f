"""A plugin of Airflow whose page looks at connections and variables from the API server."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin
from fastapi import FastAPI

app = FastAPI()


@app.get("/look")
def look_from_here() -> dict[str, Any]:
    from tests.system.access.looks import look

    return look("api_server")


class AccessPlugin(AirflowPlugin):
    name = "access"
    fastapi_apps = [{"app": app, "url_prefix": "/access", "name": "access"}]  # noqa: RUF012  # as Airflow declares it
