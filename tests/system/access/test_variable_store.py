"""``token_store = variable://``: tasks without any other store in common share a token."""

from __future__ import annotations

import base64
import binascii
import contextlib
import statistics

from tests.system.access.run import RUNS, AccessRun


def test_24_mapped_tasks_take_three_token_requests_at_most_in_the_median_run(access_run: AccessRun) -> None:
    assert set(access_run.states.values()) == {"success"}
    assert statistics.median(access_run.token_requests) <= 3
    assert min(access_run.token_requests) >= 1


def test_no_token_is_in_clear_in_a_variable(access_run: AccessRun) -> None:
    variables = access_run.airflow.api.call("GET", "variables", params={"limit": 100})["variables"]
    shared = [variable for variable in variables if variable["key"].startswith("oauth2-shared-")]
    assert len(shared) > RUNS
    assert all(variable["description"] for variable in shared)
    texts = [str(variable["value"]) for variable in shared]
    readable = [text.encode() for text in texts] + [decoded(text) for text in texts]
    assert max(map(len, readable)) > 100
    tokens = [token.encode() for token in access_run.server.ledger.issued()]
    assert [token for token in tokens if any(token in text for text in readable)] == []


def decoded(text: str) -> bytes:
    """Return the bytes of an entry; other Variables hold none."""
    with contextlib.suppress(binascii.Error):
        return base64.b64decode(text.partition(":")[2], validate=True)
    return b""
