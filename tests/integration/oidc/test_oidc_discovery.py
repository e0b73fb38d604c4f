"""A certified server's metadata name its endpoints (RFC 8414, OpenID Connect); and tokens are ended (RFC 7009)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from airflow_oauth_provider.exceptions import (
    CertificateError,
    OAuth2Error,
    ServerMetadataError,
    SettingsError,
)
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from tests.support import worker
from tests.support.certificates import Authority
from tests.support.patience import PATIENT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Nursery
    from tests.support.secure_oidc_server import SecureOidcServer

Connect = Callable[..., str]

OAUTH = "/.well-known/oauth-authorization-server/shop"
OPENID = "/shop/.well-known/openid-configuration"


@pytest.mark.statement(27, 36)
def test_the_issuer_is_all_that_a_connection_names(secure: SecureOidcServer, connect_securely: Connect) -> None:
    """The assertion is for the issuer alone, which is what this client is held to."""
    before, watch = len(secure.metadata_requests()), secure.watch("discovering")
    hook = OAuth2Hook(oauth2_conn_id=connect_securely("discovering", host=secure.issuer, discover=True))

    assert hook.request("GET", "list").status_code == 200

    assert secure.metadata_requests()[before:] == [OAUTH]
    (request,) = watch.token_requests()
    assert request["assertion"]["claims"]["aud"] == secure.issuer


@pytest.mark.statement(36)
def test_metadata_of_openid_connect_are_the_second_try(secure: SecureOidcServer, connect_securely: Connect) -> None:
    before = len(secure.metadata_requests())
    hook = OAuth2Hook(oauth2_conn_id=connect_securely("discovering", host=secure.issuer, discover=True))

    with secure.only_openid():
        assert hook.request("GET", "list").status_code == 200

    assert secure.metadata_requests()[before:] == [OAUTH, OPENID]


def test_processes_share_metadata_as_they_share_tokens(
    secure: SecureOidcServer, nursery: Nursery, tmp_path: Path
) -> None:
    before, watch = len(secure.metadata_requests()), secure.watch("discovering")
    connection = secure.connection("discovering", host=secure.issuer, discover=True)
    environment = {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW_CONN_SHOP": connection, **PATIENT}

    outcomes = nursery.run(4, worker.call, environment)

    assert [outcome.value for outcome in outcomes] == [[200]] * 4
    assert watch.statuses() == [200]
    assert secure.metadata_requests()[before:] == [OAUTH]


@pytest.mark.statement(34)
@pytest.mark.parametrize("name", ["tls_client_auth", "self_signed_tls_client_auth", "bound_secret", "bound_key"])
def test_endpoints_for_certificates_are_preferred_where_one_is_shown(
    secure: SecureOidcServer, connect_securely: Connect, name: str
) -> None:
    """The other token endpoint asks for none: it would refuse these clients."""
    watch = secure.watch(name)
    hook = OAuth2Hook(oauth2_conn_id=connect_securely(name, host=secure.issuer, discover=True))

    assert hook.request("GET", "list").status_code == 200

    (request,) = watch.token_requests()
    assert request["certificate"] is not None


@pytest.mark.statement(40, 43)
def test_proofs_are_for_the_endpoint_that_was_discovered(secure: SecureOidcServer, connect_securely: Connect) -> None:
    watch = secure.watch("dpop_key")
    hook = OAuth2Hook(oauth2_conn_id=connect_securely("dpop_key", host=secure.issuer, discover=True))

    assert hook.request("GET", "list").status_code == 200

    assert {request["proof"]["claims"]["htu"] for request in watch.token_requests()} == {secure.token_url}


@pytest.mark.statement(37)
def test_metadata_of_another_issuer_are_refused_before_anything_secret_is_sent(
    secure: SecureOidcServer, connect_securely: Connect
) -> None:
    watch, impostor = secure.watch("client_secret_post"), f"{secure.origin}/impostor"
    conn_id = connect_securely("client_secret_post", host=impostor, discover=True)

    with pytest.raises(ServerMetadataError, match=secure.issuer) as caught:
        OAuth2Hook(oauth2_conn_id=conn_id).get_token()

    assert impostor in str(caught.value)
    assert watch.statuses() == []


def test_an_issuer_without_metadata_is_one_error(secure: SecureOidcServer, connect_securely: Connect) -> None:
    before, watch = len(secure.metadata_requests()), secure.watch("client_secret_post")
    conn_id = connect_securely("client_secret_post", host=f"{secure.origin}/nobody", discover=True)

    with pytest.raises(ServerMetadataError, match="nobody"):
        OAuth2Hook(oauth2_conn_id=conn_id).get_token()

    assert len(secure.metadata_requests()) == before + 2
    assert watch.statuses() == []


@pytest.mark.statement(38)
@pytest.mark.parametrize(
    ("name", "extra", "field"),
    [
        ("dpop", {"dpop_algorithm": "RS256"}, "dpop_algorithm"),
        ("RS256", {"signing_algorithm": "RS512"}, "signing_algorithm"),
    ],
)
def test_what_the_metadata_do_not_list_is_an_error_before_anything_is_sent(
    secure: SecureOidcServer, connect_securely: Connect, name: str, extra: dict[str, str], field: str
) -> None:
    watch = secure.watch(name)
    conn_id = connect_securely(name, host=secure.issuer, discover=True, **extra)

    with pytest.raises(SettingsError, match=field):
        OAuth2Hook(oauth2_conn_id=conn_id).get_token()

    assert watch.statuses() == []


def test_discovered_endpoints_are_held_against_the_allowed_ones(
    secure: SecureOidcServer, connect_securely: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The metadata name another origin for certificates than the issuer's."""
    monkeypatch.setenv("AIRFLOW__OAUTH2__ALLOWED_TOKEN_ENDPOINTS", secure.origin)
    watch = secure.watch("tls_client_auth")
    conn_id = connect_securely("tls_client_auth", host=secure.issuer, discover=True)

    with pytest.raises(OAuth2Error, match="allowed_token_endpoints"):
        OAuth2Hook(oauth2_conn_id=conn_id).get_token()

    assert watch.statuses() == []


def test_an_issuer_of_another_ca_is_one_error(
    secure: SecureOidcServer, connect_securely: Connect, tmp_path: Path
) -> None:
    before = len(secure.metadata_requests())
    stranger = str(Authority.make(tmp_path, "stranger").bundle)
    conn_id = connect_securely("discovering", host=secure.issuer, discover=True, verify=stranger)

    with pytest.raises(CertificateError, match="verify"):
        OAuth2Hook(oauth2_conn_id=conn_id).get_token()

    assert len(secure.metadata_requests()) == before


@pytest.mark.statement(48)
@pytest.mark.parametrize(
    ("name", "discover"),
    [("client_secret_basic", False), ("revocable", False), ("revocable", True), ("tls_client_auth", True)],
)
def test_a_revoked_token_is_refused_by_the_api_and_gone_from_the_store(
    secure: SecureOidcServer, connect_securely: Connect, name: str, discover: bool
) -> None:
    watch = secure.watch(name)
    revocation_url = f"{secure.token_url}/revocation"
    where = {"host": secure.issuer, "discover": True} if discover else {"revocation_url": revocation_url}
    conn_id = connect_securely(name, **where)
    hook, keeper = OAuth2Hook(oauth2_conn_id=conn_id), OAuth2Hook(oauth2_conn_id=conn_id)
    revoked = hook.get_token().value

    assert hook.revoke_token() is True
    assert hook.revoke_token() is False

    assert keeper.get_token().value != revoked
    assert [request["status"] for request in watch.revocations()] == [200]
    assert watch.statuses() == [200, 200]


@pytest.mark.statement(48)
def test_a_revoked_token_that_somebody_kept_is_worth_nothing(
    secure: SecureOidcServer, connect_securely: Connect
) -> None:
    kept = connect_securely("revocable", revocation_url=f"{secure.token_url}/revocation")
    hook = OAuth2Hook(oauth2_conn_id=kept)
    assert hook.request("GET", "list").status_code == 200
    token = hook.get_token()
    hook.revoke_token()

    watch = secure.watch("revocable")
    import requests

    response = requests.get(
        f"{secure.origin}/api/list",
        headers={"Authorization": f"Bearer {token.value}"},
        verify=str(secure.authority.bundle),
        timeout=60,
    )
    assert response.status_code == 401
    assert response.json()["error_description"] == "the token is not active"
    assert watch.statuses() == []
