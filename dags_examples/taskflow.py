"""
The hook in a TaskFlow task: several calls, some Python, one result.

``OAuth2Hook.request`` adds the token, retries what it can and hands back a checked ``requests.Response``.
The hook is imported inside the task, so that parsing this file stays quick.

Needs the connection ``shop``: Admin → Connections → Add, type *OAuth 2.0 API*, with the Token URL, Client ID,
Client secret and API base URL of your API. (``make demo`` makes one to a small API of its own.)
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG, task

with DAG("shop_taskflow", schedule=None, doc_md=__doc__, tags=["oauth2"]):

    @task
    def count_orders() -> dict[str, int]:
        """Compare what is open with what there is."""
        from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook

        hook = OAuth2Hook(oauth2_conn_id="shop")
        status = hook.request("GET", "status").json()
        answer = hook.request("GET", "orders", params={"open": "true"}).json()
        return {"all": status["orders"], "open": len(answer["orders"])}

    count_orders()
