from __future__ import annotations

import pytest

from airflow_oauth_provider.oauth2.settings import without_query
from tests.support.made_up import client_settings

URL = "https://api.example.com/v1/orders"


@pytest.mark.parametrize("rest", ["", "?key=made-up", "#made-up", "?key=made#up?", "#made?up#", "?", "#"])
def test_a_url_is_shown_without_query_and_fragment(rest: str) -> None:
    assert without_query(URL + rest) == URL
    assert client_settings(token_endpoint=URL + rest).shown_endpoint == URL
