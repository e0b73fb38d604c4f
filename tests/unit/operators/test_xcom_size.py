"""What is too large for XCom fails before it reaches the metadata database."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import conf

from airflow_oauth_provider.exceptions import PermanentError, SettingsError, XComTooLargeError
from tests.support.operator_runs import Run, answers
from tests.support.servers import OAuthServer


def test_a_value_that_is_too_large_for_xcom_fails_and_says_what_to_do(server: OAuthServer) -> None:
    answers(server, json.dumps("x" * 98))
    assert Run(max_xcom_bytes=100)() == "x" * 98
    answers(server, json.dumps("x" * 99))
    with pytest.raises(XComTooLargeError, match=r"101 bytes.*max_xcom_bytes=100.*response_filter") as caught:
        Run(max_xcom_bytes=100)()
    assert isinstance(caught.value, PermanentError)
    assert Run(max_xcom_bytes=None)() == "x" * 99


def test_the_default_limit_is_a_mebibyte(server: OAuthServer) -> None:
    answers(server, json.dumps("x" * 1_048_576))
    with pytest.raises(XComTooLargeError, match="1,048,576"):
        Run()()


def test_the_limit_counts_the_filtered_value(server: OAuthServer) -> None:
    answers(server, json.dumps("x" * 1000))
    assert Run(max_xcom_bytes=100, response_filter=lambda r: len(r.json()))() == 1000
    with pytest.raises(XComTooLargeError):
        Run(max_xcom_bytes=100, response_filter=lambda r: ["é" * 60])()


@pytest.mark.parametrize("value", [{(1, 2): "a"}, {1: object()}, {"a": {1, 2}}, {b"bytes": b"bytes"}])
def test_a_value_that_is_no_json_is_left_to_airflow(server: OAuthServer, value: Any) -> None:
    assert Run(response_filter=lambda _: value)() is value


def test_under_a_custom_xcom_backend_only_a_chosen_limit_counts(
    server: OAuthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__XCOM_BACKEND", "made_up.backend.S3XCom")
    assert conf.get("core", "xcom_backend") == "made_up.backend.S3XCom"
    answers(server, json.dumps("x" * 2_000_000))
    assert len(Run()()) == 2_000_000
    with pytest.raises(XComTooLargeError):
        Run(max_xcom_bytes=1_048_576)()


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_must_be_positive(limit: int) -> None:
    with pytest.raises(SettingsError, match="max_xcom_bytes"):
        Run(max_xcom_bytes=limit)
