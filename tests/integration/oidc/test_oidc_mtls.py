"""Client certificates at a certified server, and tokens that are bound to them (RFC 8705)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import requests

from airflow_oauth_provider.exceptions import (
    ApiRefusedTokenError,
    InvalidClientError,
    InvalidGrantError,
    OAuth2Error,
    PermanentError,
)
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from tests.support import worker
from tests.support.certificates import Authority, self_signed_pair
from tests.support.keys import PASSPHRASE, everything_in, made_key, pem
from tests.support.patience import PATIENT
from tests.support.secure_oidc_clients import KNOWN, UNKNOWN, pair_extras, thumbprint_of

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_oauth_provider.oauth2.settings import KeyPair
    from tests.support.processes import Nursery
    from tests.support.secure_oidc_server import SecureOidcServer

Connect = Callable[..., str]

TLS_METHODS = ("tls_client_auth", "self_signed_tls_client_auth")


@pytest.mark.statement(32, 33)
@pytest.mark.parametrize("name", [*TLS_METHODS, "bound_secret", "bound_key"])
def test_a_token_is_bound_to_the_certificate_and_used_with_it(
    secure: SecureOidcServer, connect_securely: Connect, name: str
) -> None:
    """A client with a secret or a signing key gets bound tokens, too, when it shows a certificate besides."""
    watch, client = secure.watch(name), secure.clients[name]
    thumbprint = thumbprint_of(client.extra.get("tls_certificate") or client.extra["certificate"])

    answer = OAuth2Hook(oauth2_conn_id=connect_securely(name)).request("GET", "list").json()

    assert answer["cnf"] == {"x5t#S256": thumbprint}
    methods = {"bound_secret": "client_secret_basic", "bound_key": "private_key_jwt"}
    (request,) = watch.token_requests()
    assert (request["sent_as"], request["certificate"]) == (methods.get(name, "certificate"), thumbprint)


def test_key_and_certificate_from_files_below_the_key_folders(
    secure: SecureOidcServer, connect_securely: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = secure.clients["tls_client_auth"].extra
    key_file, certificate_file = tmp_path / "shop.key", tmp_path / "shop.crt"
    key_file.write_text(pem(made_key("P-256", KNOWN), passphrase=PASSPHRASE))
    certificate_file.write_text(extra["certificate"])
    monkeypatch.setenv("AIRFLOW__OAUTH2__KEY_FOLDERS", str(tmp_path))
    conn_id = connect_securely(
        "tls_client_auth",
        without=("private_key", "certificate"),
        key_file=str(key_file),
        certificate_file=str(certificate_file),
        private_key_passphrase=PASSPHRASE,
    )

    assert OAuth2Hook(oauth2_conn_id=conn_id).request("GET", "list").status_code == 200
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["shop.crt", "shop.key"]


@pytest.mark.statement(33)
def test_another_certificate_of_the_same_client_means_another_token(
    secure: SecureOidcServer, connect_securely: Connect
) -> None:
    """A renewed certificate for the same key is another one, too: tokens are bound to certificates, not to keys."""
    watch = secure.watch("tls_client_auth")
    renewed = secure.client_authority.client_pair(name="warehouse", number=KNOWN, days=2)

    for changes in ({}, pair_extras(renewed)):
        hook = OAuth2Hook(oauth2_conn_id=connect_securely("tls_client_auth", **changes))
        assert hook.request("GET", "list").status_code == 200

    assert watch.statuses() == [200, 200]
    assert [call["status"] for call in watch.api_calls()] == [200, 200]


def test_processes_share_a_bound_token(secure: SecureOidcServer, nursery: Nursery, tmp_path: Path) -> None:
    environment = {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW_CONN_SHOP": secure.connection("bound_key"), **PATIENT}
    watch = secure.watch("bound_key")

    outcomes = nursery.run(4, worker.call, environment, calls=2)

    assert [outcome.value for outcome in outcomes] == [[200, 200]] * 4
    assert watch.statuses() == [200]
    assert {call["status"] for call in watch.api_calls()} == {200}


def test_certificates_of_others_are_one_permanent_error(
    secure: SecureOidcServer, connect_securely: Connect, tmp_path: Path
) -> None:
    stranger = Authority.make(tmp_path, "stranger")
    wrong = {
        "of another authority": stranger.client_pair(name="warehouse", number=UNKNOWN),
        "of another subject": secure.client_authority.client_pair(name="kiosk", number=UNKNOWN),
        "of nobody but itself": self_signed_pair(number=UNKNOWN),
    }

    reasons = {kind: why_refused(secure, connect_securely, "tls_client_auth", pair) for kind, pair in wrong.items()}

    assert reasons == {
        "of another authority": "client certificate was not verified",
        "of another subject": "certificate subject value does not match the registered one",
        "of nobody but itself": "client certificate was not verified",
    }


def test_another_self_signed_certificate_is_one_permanent_error(
    secure: SecureOidcServer, connect_securely: Connect
) -> None:
    """Not even one for the same key."""
    pairs = (self_signed_pair(number=UNKNOWN), self_signed_pair(number=KNOWN, days=2))
    reasons = {why_refused(secure, connect_securely, "self_signed_tls_client_auth", pair) for pair in pairs}

    assert reasons == {"unregistered client certificate provided"}


@pytest.mark.parametrize("name", TLS_METHODS)
def test_a_token_url_where_no_certificate_is_asked_for_is_one_permanent_error(
    secure: SecureOidcServer, connect_securely: Connect, name: str
) -> None:
    watch = secure.watch(name)

    with pytest.raises(InvalidClientError, match=name):
        OAuth2Hook(oauth2_conn_id=connect_securely(name, host=secure.token_url)).get_token()

    (request,) = watch.token_requests()
    assert request["why"] == "client certificate was not provided"


def test_a_client_of_bound_tokens_without_a_certificate_gets_one_error(
    secure: SecureOidcServer, connect_securely: Connect
) -> None:
    watch = secure.watch("bound_secret")
    conn_id = connect_securely("bound_secret", without=("private_key", "certificate"))

    with pytest.raises(InvalidGrantError):
        OAuth2Hook(oauth2_conn_id=conn_id).get_token()

    assert watch.statuses() == [400]


@pytest.mark.statement(33)
def test_a_bound_token_is_worth_nothing_without_the_certificate(
    secure: SecureOidcServer, connect_securely: Connect
) -> None:
    """Whoever steals it from a log or a proxy cannot call the API."""
    hook = OAuth2Hook(oauth2_conn_id=connect_securely("bound_secret"))
    header = {"Authorization": f"Bearer {hook.get_token().value}"}

    stolen = requests.get(
        f"{secure.mtls_origin}/api/list", headers=header, verify=str(secure.authority.bundle), timeout=60
    )

    assert stolen.status_code == 401
    assert "another certificate" in stolen.json()["error_description"]
    assert hook.request("GET", "list").status_code == 200


def test_an_api_where_no_certificate_is_asked_for_is_one_error(
    secure: SecureOidcServer, connect_securely: Connect
) -> None:
    watch = secure.watch("bound_secret")
    hook = OAuth2Hook(oauth2_conn_id=connect_securely("bound_secret", base_url=f"{secure.origin}/api"))

    with pytest.raises(ApiRefusedTokenError):
        hook.request("GET", "list")

    assert watch.statuses() == [200]
    assert [call["reason"] for call in watch.api_calls()] == ["the token is bound to another certificate"]


def why_refused(secure: SecureOidcServer, connect: Connect, name: str, pair: KeyPair) -> str:
    """Return why the server refused *pair*, which it keeps to itself."""
    watch = secure.watch(name)
    conn_id = connect(name, **pair_extras(pair))
    errors: list[OAuth2Error] = []
    for _ in range(2):
        with pytest.raises(InvalidClientError, match="client certificate") as caught:
            OAuth2Hook(oauth2_conn_id=conn_id).request("GET", "list")
        errors.append(caught.value)

    assert all(isinstance(error, PermanentError) and error.status_code == 401 for error in errors)
    shown = "".join(everything_in(error) for error in errors)
    assert not [line for line in pair.private_key.splitlines() if len(line) > 40 and line in shown]
    (request,) = watch.token_requests()
    return str(request["why"])
