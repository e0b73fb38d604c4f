"""Processes that share nothing but the store use one token of a certified server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support import worker
from tests.support.patience import PATIENT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.oidc_server import OidcServer
    from tests.support.processes import Nursery


def test_cold_processes_that_begin_together_make_one_token_request(
    server: OidcServer, nursery: Nursery, tmp_path: Path
) -> None:
    environment = {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW_CONN_SHOP": server.connection("shared"), **PATIENT}

    outcomes = nursery.run(8, worker.call, environment, calls=3)

    assert [outcome.value for outcome in outcomes] == [[200, 200, 200]] * 8
    assert len(server.token_requests("shared")) == 1
    assert len({call["token"] for call in server.api_calls("shared")}) == 1

    # Processes that begin later, while the token endpoint is down, find the token in the store.
    with server.outage():
        assert [outcome.value for outcome in nursery.run(2, worker.call, environment)] == [[200], [200]]

    assert len(server.token_requests("shared")) == 1
    assert len(server.api_calls("shared")) == 8 * 3 + 2
    assert len({call["token"] for call in server.api_calls("shared")}) == 1
