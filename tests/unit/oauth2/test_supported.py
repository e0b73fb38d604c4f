"""What a document does not list is said before anything secret is sent."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.masking import Redactor
from airflow_oauth_provider.oauth2.metadata import ServerMetadata
from airflow_oauth_provider.oauth2.settings import JWT_BEARER, KeyPair
from airflow_oauth_provider.oauth2.supported import check_supported
from tests.support.keys import made_key, pem
from tests.support.made_up import SECRET, client_settings

ISSUER = "https://login.example.com/tenant"
ASYMMETRIC = ["private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth", "workload_identity"]


@pytest.fixture(scope="module")
def key() -> KeyPair:
    """Return a key that signs by ES256."""
    return KeyPair(pem(made_key("P-256")))


def check(wanted: dict[str, Any], **listed: tuple[str, ...] | None) -> list[str]:
    """Return the warnings for a client that wants *wanted* of a server that lists *listed*."""
    metadata = ServerMetadata(issuer=ISSUER, token_endpoint=f"{ISSUER}/token", **listed)  # type: ignore[arg-type]
    return check_supported(client_settings(issuer=ISSUER, **wanted), metadata, Redactor([SECRET]))


@pytest.mark.statement(38)
@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "client_secret_jwt", *ASYMMETRIC])
def test_an_auth_method_that_is_not_listed_is_an_error_that_names_those_that_are(method: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check({"auth_method": method}, auth_methods=("one", "other"))
    message = str(caught.value)
    assert message.startswith("auth_method: ")
    assert ISSUER in message
    assert "which lists one, other. Choose one of these" in message


@pytest.mark.statement(38)
@pytest.mark.parametrize(
    ("method", "listed"),
    [
        ("client_secret_basic", "client_secret_basic"),
        ("client_secret_post", "client_secret_post"),
        ("client_secret_jwt", "client_secret_jwt"),
        ("private_key_jwt", "private_key_jwt"),
        ("tls_client_auth", "tls_client_auth"),
        ("self_signed_tls_client_auth", "self_signed_tls_client_auth"),
        ("workload_identity", "private_key_jwt"),
        ("none", "none"),
    ],
)
def test_an_auth_method_that_is_listed_passes_without_a_word(method: str, listed: str) -> None:
    assert check({"auth_method": method}, auth_methods=("other", listed)) == []


@pytest.mark.statement(38)
def test_a_missing_list_means_client_secret_basic() -> None:
    assert check({"auth_method": "client_secret_basic"}) == []


@pytest.mark.statement(38)
@pytest.mark.parametrize("listed", [None, ()])
@pytest.mark.parametrize("method", ["client_secret_post", "client_secret_jwt"])
def test_with_a_missing_list_no_other_method_uses_the_secret(method: str, listed: tuple[str, ...] | None) -> None:
    with pytest.raises(SettingsError, match=r"auth_method: .*means client_secret_basic \(RFC 8414 §2\): choose it"):
        check({"auth_method": method}, auth_methods=listed)


@pytest.mark.statement(38)
@pytest.mark.parametrize("method", ASYMMETRIC)
def test_with_a_missing_list_an_asymmetric_method_is_tried_with_a_warning(method: str) -> None:
    (warning,) = check({"auth_method": method})
    assert warning.endswith("which lists nothing. Trying it all the same.")


def test_a_client_that_proves_nothing_is_told_that_it_should() -> None:
    (warning,) = check({"auth_method": "none"}, auth_methods=("client_secret_basic",))
    assert "which lists client_secret_basic." in warning


@pytest.mark.parametrize("listed", [None, ("client_secret_basic",)])
def test_a_jwt_bearer_grant_needs_no_client_authentication(listed: tuple[str, ...] | None) -> None:
    assert check({"auth_method": "none", "grant": JWT_BEARER}, auth_methods=listed) == []


@pytest.mark.statement(38)
@pytest.mark.parametrize("wanted", [None, "ES256"])
def test_a_signing_algorithm_that_is_not_listed_is_an_error(key: KeyPair, wanted: str | None) -> None:
    settings = {"auth_method": "private_key_jwt", "signing_key": key, "signing_algorithm": wanted}
    with pytest.raises(SettingsError, match=r"signing_algorithm: ES256 is not among .*which lists RS256, PS256\."):
        check(settings, auth_methods=("private_key_jwt",), signing_algorithms=("RS256", "PS256"))


@pytest.mark.parametrize("listed", [None, (), ("RS256", "ES256")])
def test_a_signing_algorithm_that_is_listed_passes_and_so_does_one_without_a_list(
    key: KeyPair, listed: tuple[str, ...] | None
) -> None:
    settings = {"auth_method": "private_key_jwt", "signing_key": key}
    assert check(settings, auth_methods=("private_key_jwt",), signing_algorithms=listed) == []


def test_what_a_secret_signs_by_is_looked_at_too() -> None:
    settings = {"auth_method": "client_secret_jwt"}
    with pytest.raises(SettingsError, match="signing_algorithm: HS256 is not among"):
        check(settings, auth_methods=("client_secret_jwt",), signing_algorithms=("HS512",))
    settings |= {"signing_algorithm": "HS512"}
    assert check(settings, auth_methods=("client_secret_jwt",), signing_algorithms=("HS512",)) == []


def test_what_the_platform_signs_by_is_the_platforms_affair() -> None:
    settings = {"auth_method": "workload_identity"}
    assert check(settings, auth_methods=("private_key_jwt",), signing_algorithms=("PS512",)) == []


def test_a_grant_type_that_is_not_listed_is_tried_with_a_warning() -> None:
    (warning,) = check({}, grant_types=("authorization_code",))
    assert warning.startswith("grant_type: client_credentials is not among grant_types_supported")


def test_a_grant_type_of_the_connections_own_is_the_one_that_is_looked_for() -> None:
    own = {"extra_params": (("grant_type", "account_credentials"),)}
    assert check(own, grant_types=("account_credentials",)) == []


@pytest.mark.parametrize("listed", [None, (), ("client_credentials",)])
def test_a_grant_type_that_is_listed_passes_and_so_does_one_without_a_list(listed: tuple[str, ...] | None) -> None:
    assert check({}, grant_types=listed) == []


@pytest.mark.statement(38)
@pytest.mark.parametrize(
    ("listed", "advice"), [(None, "Set dpop to preferred"), ((), "Set dpop to preferred"), (("RS256",), "Choose one")]
)
def test_proofs_that_are_required_and_not_taken_are_an_error(listed: tuple[str, ...] | None, advice: str) -> None:
    with pytest.raises(SettingsError, match=f"dpop_algorithm: ES256 is not among.*{advice}"):
        check({"dpop": "true"}, dpop_algorithms=listed)


def test_proofs_that_are_preferred_are_left_out_with_a_word_only_when_another_algorithm_would_do() -> None:
    assert check({"dpop": "preferred"}) == []
    (warning,) = check({"dpop": "preferred"}, dpop_algorithms=("RS256",))
    assert warning.endswith("which lists RS256. Going on without DPoP.")


@pytest.mark.parametrize("dpop", ["true", "preferred"])
def test_proofs_that_are_taken_are_made_without_a_word(dpop: str) -> None:
    assert check({"dpop": dpop}, dpop_algorithms=("RS256", "ES256")) == []


def test_a_server_cannot_write_into_the_log_nor_echo_the_secret() -> None:
    with pytest.raises(SettingsError) as caught:
        check({}, auth_methods=("a\n[2026-01-01] INFO", SECRET, *("x" * 100 for _ in range(100))))
    message = str(caught.value)
    assert "\n" not in message
    assert SECRET not in message
    assert len(message) < 800
