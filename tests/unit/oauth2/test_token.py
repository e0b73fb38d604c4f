from __future__ import annotations

import copy
import importlib
import json
import pickle
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass
from typing import Any

import pytest

from airflow_oauth_provider.exceptions import PermanentError, TokenExposureError
from airflow_oauth_provider.oauth2.dpop import ProofKey
from airflow_oauth_provider.tokens.status import TokenStatus
from airflow_oauth_provider.tokens.stores.base import Counts
from tests.support.made_up import access_token

VALUE = "Zm9vYmFy.QmF6UXV4.MadeUp-1"


def airflow_serialize(value: Any) -> Any:
    """Do what Airflow does first to a task's result."""
    try:
        serde = importlib.import_module("airflow.sdk.serde")
    except ImportError:
        serde = importlib.import_module("airflow.serialization.serde")
    return serde.serialize(value)


def xcom_class() -> Any:
    """Return the class that stores a task's result."""
    try:
        return importlib.import_module("airflow.sdk.bases.xcom").BaseXCom
    except ImportError:
        return importlib.import_module("airflow.models.xcom").BaseXCom


def test_the_repr_shows_type_scope_expiry_and_fingerprint_and_no_part_of_the_token() -> None:
    token = access_token(VALUE, token_type="Bearer", scope="a b", issued_at=1_790_000_000.0, expires_at=1_790_003_600.0)
    assert repr(token) == (
        "AccessToken(token_type='Bearer', scope='a b', expires_at=2026-09-21T15:13:20+00:00, "
        f"fingerprint={token.fingerprint})"
    )
    assert str(token) == f"{token}" == repr(token)
    assert not any(VALUE[i : i + 4] in repr(token) for i in range(len(VALUE) - 4))


def test_the_fingerprint_is_six_digits_that_tell_tokens_apart() -> None:
    one, other = access_token("one"), access_token("other")
    assert len(one.fingerprint) == 6
    assert int(one.fingerprint, 16) >= 0
    assert one.fingerprint != other.fingerprint
    assert one.fingerprint == access_token("one").fingerprint


def test_a_token_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        access_token().value = "another"  # type: ignore[misc]


def test_the_lifetime_is_what_was_granted() -> None:
    assert access_token(lifetime_s=90, age_s=60).lifetime_s == pytest.approx(90)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickling_a_token_is_refused(protocol: int) -> None:
    with pytest.raises(TokenExposureError, match="connection id"):
        pickle.dumps({"token": access_token(VALUE)}, protocol)


@pytest.mark.parametrize("copies", [copy.copy, copy.deepcopy])
def test_copying_a_token_is_refused(copies: Callable[[Any], Any]) -> None:
    with pytest.raises(TokenExposureError):
        copies(access_token(VALUE))


@pytest.mark.parametrize("wrap", [lambda t: t, lambda t: [t], lambda t: {"token": t}, lambda t: (1, {"a": [t]})])
def test_returning_a_token_from_a_task_is_refused_by_airflows_serializer(wrap: Callable[[Any], Any]) -> None:
    with pytest.raises(TokenExposureError, match="XCom"):
        airflow_serialize(wrap(access_token(VALUE)))


def test_the_xcom_backend_itself_refuses_a_token() -> None:
    with pytest.raises((TokenExposureError, TypeError)) as caught:
        xcom_class().serialize_value(access_token(VALUE), key="return_value")
    assert VALUE not in str(caught.value)


def test_json_refuses_a_token() -> None:
    with pytest.raises(TypeError) as caught:
        json.dumps(access_token(VALUE))
    assert VALUE not in str(caught.value)


def test_the_refusal_fails_the_task_at_once_and_does_not_hold_the_token() -> None:
    with pytest.raises(PermanentError) as caught:
        access_token(VALUE).serialize()
    assert VALUE not in repr(caught.value)


@dataclass
class Report:
    """What somebody may return from a task, or log."""

    token: Any


def bound_token() -> Any:
    return access_token(VALUE, token_type="DPoP", proof_key=ProofKey.generate("ES256"))


@pytest.mark.parametrize("token", [access_token(VALUE), bound_token()], ids=["Bearer", "DPoP"])
@pytest.mark.parametrize("leak", [asdict, astuple, airflow_serialize, copy.deepcopy])
def test_a_token_in_a_dataclass_is_not_written_out_with_it(leak: Callable[[Any], Any], token: Any) -> None:
    with pytest.raises(TokenExposureError):
        leak(Report(token))


@pytest.mark.parametrize("part", ["token", "proof_key"])
def test_json_logging_shows_of_a_token_what_its_repr_shows(part: str) -> None:
    msgspec = pytest.importorskip("msgspec", reason="not applicable: this Airflow logs without msgspec")
    token = bound_token()
    shown = token if part == "token" else token.proof_key
    written = msgspec.json.encode({"event": "got", "shown": [Report(shown)]}, enc_hook=repr).decode()
    assert repr(shown) in json.loads(written)["shown"][0]["token"]
    assert VALUE not in written
    assert "PRIVATE KEY" not in written


def test_a_status_cannot_be_returned_from_a_task_and_says_what_can() -> None:
    for token in (bound_token(), None):
        status = TokenStatus("memory://", works=True, token=token, refusal=None, counts=Counts())
        with pytest.raises(TokenExposureError, match=r"members\(time\.time\(\)\)"):
            airflow_serialize({"status": status})
        assert VALUE not in json.dumps(airflow_serialize(status.members(0.0)))
