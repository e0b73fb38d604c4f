from __future__ import annotations

import pickle

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_oauth_provider import exceptions
from airflow_oauth_provider.exceptions import OAuth2Error, PermanentError, TransientError

CLASSES = [getattr(exceptions, name) for name in exceptions.__all__]


def test_every_class_of_the_module_is_public() -> None:
    defined = {
        name
        for name, value in vars(exceptions).items()
        if isinstance(value, type) and value.__module__ == exceptions.__name__
    }
    assert defined == set(exceptions.__all__)


@pytest.mark.parametrize("error_class", CLASSES)
def test_every_error_has_a_sentence_and_is_an_airflow_exception(error_class: type[OAuth2Error]) -> None:
    assert issubclass(error_class, OAuth2Error)
    assert issubclass(error_class, AirflowException)
    assert error_class.__doc__


@pytest.mark.parametrize("error_class", [c for c in CLASSES if c is not OAuth2Error])
def test_the_base_class_says_whether_trying_again_can_help(error_class: type[OAuth2Error]) -> None:
    assert issubclass(error_class, PermanentError) != issubclass(error_class, TransientError)
    assert issubclass(error_class, AirflowFailException) == issubclass(error_class, PermanentError)


@pytest.mark.parametrize(
    ("name", "permanent"),
    [
        ("InvalidClientError", True), ("InvalidScopeError", True), ("InvalidTargetError", True),
        ("UnauthorizedClientError", True), ("ApiRefusedError", True), ("OriginError", True),
        ("CertificateError", True), ("SettingsError", True),
        ("InvalidGrantError", False), ("TokenEndpointUnavailableError", False), ("ApiUnavailableError", False),
        ("TokenResponseError", False), ("ApiRefusedTokenError", False),
    ],
)  # fmt: skip
def test_what_helps_is_what_the_design_says(name: str, permanent: bool) -> None:
    assert issubclass(getattr(exceptions, name), PermanentError) is permanent


@pytest.mark.parametrize("error_class", CLASSES)
def test_an_error_carries_what_a_caller_can_act_upon(error_class: type[OAuth2Error]) -> None:
    error = error_class("What happened.", status_code=429, error="slow", retry_after_s=7.5, request_id="r-1")
    assert str(error) == "What happened."
    assert (error.status_code, error.error, error.retry_after_s, error.request_id) == (429, "slow", 7.5, "r-1")
    plain = error_class("x")
    assert (plain.status_code, plain.error, plain.retry_after_s, plain.request_id) == (None, None, None, None)


def test_a_message_is_cut_to_2500_characters() -> None:
    assert str(OAuth2Error("x" * 2500)) == "x" * 2500
    assert str(OAuth2Error("x" * 2501)) == "x" * 2499 + "…"


@pytest.mark.parametrize("error_class", CLASSES)
def test_an_error_survives_the_way_to_another_process(error_class: type[OAuth2Error]) -> None:
    error = error_class("What happened.", status_code=429, error="slow", retry_after_s=7.5, request_id="r-1")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is error_class
    assert str(again) == "What happened."
    assert (again.status_code, again.retry_after_s) == (429, 7.5)
