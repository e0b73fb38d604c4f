"""What somebody has of it who got hold of an assertion, a bound token or another client's key: nothing."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_oauth_provider.exceptions import InvalidClientError, TokenRefusedError
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.oauth2.dpop import ProofKey
from airflow_oauth_provider.oauth2.settings import Attempt
from airflow_oauth_provider.oauth2.token_request import build_token_request
from airflow_oauth_provider.tls import ClientCertificateAdapter
from airflow_oauth_provider.tokens.endpoint import TokenEndpoint
from tests.support.keys import made_key, pem
from tests.support.secure_oidc_clients import UNKNOWN

if TYPE_CHECKING:
    from airflow_oauth_provider.oauth2.settings import KeyPair
    from tests.support.secure_oidc_server import SecureOidcServer

Connect = Callable[..., str]


@pytest.mark.statement(28)
def test_an_assertion_that_was_used_is_worth_nothing(secure: SecureOidcServer, connect_securely: Connect) -> None:
    settings = OAuth2Hook(oauth2_conn_id=connect_securely("ES256"))._settings.client
    request = build_token_request(settings, Attempt(time.time(), str(uuid.uuid4())))

    def send() -> int:
        sent = requests.post(
            request.url, request.body, headers=request.headers, verify=str(secure.authority.bundle), timeout=60
        )
        return sent.status_code

    assert [send(), send()] == [200, 401]


@pytest.mark.statement(39, 41)
def test_a_token_is_refused_with_a_proof_by_another_key(secure: SecureOidcServer, connect_securely: Connect) -> None:
    watch, token = secure.watch("dpop"), OAuth2Hook(oauth2_conn_id=connect_securely("dpop")).get_token()
    assert token.proof_key is not None

    def status(key: ProofKey) -> int:
        url, value = f"{secure.origin}/api/list", token.value
        proof = key.proof("GET", url, now=time.time(), unique_id=str(uuid.uuid4()), access_token=value)
        return get(secure, url, {"Authorization": f"DPoP {value}", "DPoP": proof})

    assert [status(ProofKey.generate("ES256")), status(token.proof_key)] == [401, 200]
    assert watch.api_calls()[0]["reason"] == "jkt is wrong"


@pytest.mark.statement(33)
def test_a_bound_token_is_refused_with_another_certificate(secure: SecureOidcServer, connect_securely: Connect) -> None:
    hook = OAuth2Hook(oauth2_conn_id=connect_securely("tls_client_auth"))
    watch, token = secure.watch("tls_client_auth"), hook.get_token()
    ours = hook._settings.client.transport.client_certificate
    other = secure.client_authority.client_pair(name="warehouse", number=UNKNOWN)

    def status(pair: KeyPair | None) -> int:
        headers = {"Authorization": f"Bearer {token.value}"}
        return get(secure, f"{secure.mtls_origin}/api/list", headers, pair)

    assert [status(other), status(None), status(ours)] == [401, 401, 200]
    assert watch.api_calls()[0]["reason"] == "the token is bound to another certificate"


@pytest.mark.statement(48)
def test_nobody_else_revokes_a_token(secure: SecureOidcServer, connect_securely: Connect) -> None:
    revocation_url = f"{secure.token_url}/revocation"
    hook = OAuth2Hook(oauth2_conn_id=connect_securely("revocable", revocation_url=revocation_url))
    impostor = OAuth2Hook(oauth2_conn_id=connect_securely("revocable", revocation_url=revocation_url, **stranger()))
    token = hook.get_token()

    with pytest.raises(TokenRefusedError, match=r"revocation endpoint.*401"):
        TokenEndpoint(impostor._settings.client).revoke(token, 10)

    assert hook.request("GET", "list").status_code == 200


def test_a_wrong_key_is_one_clear_error_whatever_proves_the_token(
    secure: SecureOidcServer, connect_securely: Connect
) -> None:
    watch = secure.watch("dpop_key")
    with pytest.raises(InvalidClientError, match="private_key_jwt"):
        OAuth2Hook(oauth2_conn_id=connect_securely("dpop_key", **stranger())).get_token()
    assert 200 not in watch.statuses()


def stranger() -> dict[str, str]:
    """Return a key that the server does not know."""
    return {"private_key": pem(made_key("P-256", UNKNOWN))}


def get(secure: SecureOidcServer, url: str, headers: dict[str, Any], pair: KeyPair | None = None) -> int:
    with requests.Session() as session:
        session.mount("https://", ClientCertificateAdapter(pair))
        return session.get(url, headers=headers, verify=str(secure.authority.bundle), timeout=60).status_code
