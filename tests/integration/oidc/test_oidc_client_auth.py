"""Each way to prove oneself at a certified server over TLS gets a token that an API takes, or one clear error."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import time_machine

from airflow_oauth_provider.exceptions import (
    AssertionRefusedError,
    CertificateError,
    InvalidClientError,
    PermanentError,
    TransientError,
)
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from tests.support.certificates import Authority, self_signed_pair
from tests.support.keys import PASSPHRASE, everything_in, forms, made_key, pem
from tests.support.secure_oidc_clients import KINDS, KNOWN, UNKNOWN, pair_extras, thumbprint_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.secure_oidc_server import SecureOidcServer

Connect = Callable[..., str]

SECRET_METHODS = ("client_secret_basic", "client_secret_post", "HS256", "HS512")
# What stands in the books for a client whose name is not that of its method.
METHODS = {"HS256": "client_secret_jwt", "HS512": "client_secret_jwt", **dict.fromkeys(KINDS, "private_key_jwt")}


@pytest.mark.statement(25, 26, 30)
@pytest.mark.parametrize("name", [*SECRET_METHODS, *KINDS])
def test_each_method_and_algorithm_gets_a_token_that_the_api_takes(
    secure: SecureOidcServer, connect_securely: Connect, name: str
) -> None:
    watch = secure.watch(name)

    answer = OAuth2Hook(oauth2_conn_id=connect_securely(name)).request("GET", "list").json()

    client_id = secure.clients[name].client_id
    assert answer == {"client_id": client_id, "aud": None, "cnf": None}
    (request,) = watch.token_requests()
    assert (request["status"], request["sent_as"]) == (200, METHODS.get(name, name))
    if name in METHODS:
        header, claims = request["assertion"]["header"], request["assertion"]["claims"]
        assert (header["alg"], claims["iss"], claims["sub"]) == (name, client_id, client_id)


@pytest.mark.statement(27, 28, 29)
def test_an_assertion_says_what_it_must_and_no_more(secure: SecureOidcServer, connect_securely: Connect) -> None:
    watch = secure.watch("with_key_id")
    hook = OAuth2Hook(oauth2_conn_id=connect_securely("with_key_id", issuer=secure.issuer))

    hook.get_token()
    hook.forget_token()
    hook.get_token()

    first, second = (request["assertion"] for request in watch.token_requests())
    assert first["header"] == {"alg": "ES256", "kid": "key-of-2026", "typ": "client-authentication+jwt"}
    claims = first["claims"]
    assert claims.keys() == {"iss", "sub", "aud", "exp", "iat", "nbf", "jti"}
    assert claims["aud"] == secure.issuer
    assert claims["exp"] - claims["iat"] <= 60
    assert claims["iat"] - claims["nbf"] == 10
    assert claims["jti"] != second["claims"]["jti"]


@pytest.mark.statement(27)
@pytest.mark.parametrize(
    ("name", "extra"),
    [
        ("issuer_only", {"issuer": True}),
        ("issuer_only", {"issuer": True, "assertion_audience": "issuer"}),
        ("issuer_only", {"assertion_audience": "the issuer's URL"}),
        ("endpoint_only", {}),
        ("endpoint_only", {"assertion_audience": "endpoint"}),
        ("endpoint_only", {"issuer": True, "assertion_audience": "endpoint"}),
    ],
)
def test_the_audience_is_the_one_that_the_server_wants(
    secure: SecureOidcServer, connect_securely: Connect, name: str, extra: dict[str, Any]
) -> None:
    real = {True: secure.issuer, "the issuer's URL": secure.issuer}
    watch = secure.watch(name)
    hook = OAuth2Hook(
        oauth2_conn_id=connect_securely(name, **{field: real.get(value, value) for field, value in extra.items()})
    )

    assert hook.request("GET", "list").status_code == 200
    (request,) = watch.token_requests()
    assert request["assertion"]["claims"]["aud"] == {"issuer_only": secure.issuer}.get(name, secure.token_url)


@pytest.mark.parametrize(
    ("name", "extra"),
    [
        ("issuer_only", {}),
        ("issuer_only", {"issuer": True, "assertion_audience": "endpoint"}),
        ("issuer_only", {"issuer": "https://127.0.0.1/another"}),
        ("endpoint_only", {"issuer": True}),
        ("endpoint_only", {"assertion_audience": "https://127.0.0.1/another/token"}),
    ],
)
def test_a_wrong_audience_or_issuer_is_one_error_that_names_the_field(
    secure: SecureOidcServer, connect_securely: Connect, name: str, extra: dict[str, Any]
) -> None:
    real = {True: secure.issuer}
    conn_id = connect_securely(name, **{field: real.get(value, value) for field, value in extra.items()})

    error = one_refusal(secure, name, conn_id)

    assert "assertion_audience" in str(error)
    assert "aud" in last_reason(secure, name)


@pytest.mark.statement(29)
def test_the_certificate_of_the_key_is_named_in_the_assertion(
    secure: SecureOidcServer, connect_securely: Connect
) -> None:
    watch = secure.watch("with_certificate")

    OAuth2Hook(oauth2_conn_id=connect_securely("with_certificate")).request("GET", "list")

    (request,) = watch.token_requests()
    certificate = secure.clients["with_certificate"].extra["certificate"]
    assert request["assertion"]["header"]["x5t#S256"] == thumbprint_of(certificate)
    assert request["certificate"] is None


@pytest.mark.parametrize(
    ("name", "mistake"),
    [
        ("with_typ", {"assertion_typ": "client-authentication+jwt"}),
        ("with_key_id", {"key_id": "key-of-2025"}),
        ("endpoint_only", {"assertion_audience": "https://127.0.0.1/another/token"}),
        ("RS256", {"signing_algorithm": "PS256"}),
        ("HS512", {"signing_algorithm": "HS256"}),
        ("ES384", {"private_key": pem(made_key("P-384", UNKNOWN))}),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_a_mistake_that_is_put_right_works_at_once(
    secure: SecureOidcServer, connect_securely: Connect, name: str, mistake: dict[str, str]
) -> None:
    """The refusal is remembered for the connection as it was."""
    one_refusal(secure, name, connect_securely(name, **mistake))

    assert OAuth2Hook(oauth2_conn_id=connect_securely(name)).request("GET", "list").status_code == 200


@pytest.mark.statement(30)
@pytest.mark.parametrize("kind", ["RS256", "ES256"])
def test_each_form_of_one_key_is_the_same_client_and_shares_one_token(
    secure: SecureOidcServer, connect_securely: Connect, kind: str
) -> None:
    watch, tokens = secure.watch(kind), set()
    for _, text, passphrase in forms(made_key(KINDS[kind], KNOWN)):
        conn_id = connect_securely(kind, private_key=text, private_key_passphrase=passphrase)
        tokens.add(OAuth2Hook(oauth2_conn_id=conn_id).get_token().value)

    assert len(tokens) == 1
    assert watch.statuses() == [200]


def test_a_key_in_a_file_below_the_key_folders_signs(
    secure: SecureOidcServer, connect_securely: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_file = tmp_path / "keys" / "shop.pem"
    key_file.parent.mkdir()
    key_file.write_text(pem(made_key("P-256", KNOWN), passphrase=PASSPHRASE))
    monkeypatch.setenv("AIRFLOW__OAUTH2__KEY_FOLDERS", str(key_file.parent))
    conn_id = connect_securely(
        "ES256", without=("private_key",), key_file=str(key_file), private_key_passphrase=PASSPHRASE
    )

    assert OAuth2Hook(oauth2_conn_id=conn_id).request("GET", "list").status_code == 200


@pytest.mark.parametrize("name", [*KINDS])
def test_a_key_that_the_server_does_not_know_is_one_permanent_error(
    secure: SecureOidcServer, connect_securely: Connect, name: str
) -> None:
    wrong = pem(made_key(KINDS[name], UNKNOWN))

    error = one_refusal(secure, name, connect_securely(name, private_key=wrong))

    assert "knows the public key" in str(error)
    assert_shows_nothing_of(error, wrong)


def test_another_algorithm_than_the_registered_one_is_one_permanent_error(
    secure: SecureOidcServer, connect_securely: Connect
) -> None:
    error = one_refusal(secure, "RS256", connect_securely("RS256", signing_algorithm="PS256"))

    assert "signing_algorithm" in str(error)
    assert last_reason(secure, "RS256") == "alg mismatch"


def test_a_certificate_that_does_not_go_with_the_registered_one_is_one_permanent_error(
    secure: SecureOidcServer, connect_securely: Connect
) -> None:
    """The key is the right one; its certificate is not that which the server knows."""
    renewed = self_signed_pair(kind="RSA", number=KNOWN, days=2)

    error = one_refusal(secure, "with_certificate", connect_securely("with_certificate", **pair_extras(renewed)))

    assert "certificate" in str(error)
    assert last_reason(secure, "with_certificate") == "x5t#S256 is wrong"


@pytest.mark.parametrize("name", SECRET_METHODS)
def test_a_wrong_secret_is_one_permanent_error_that_names_the_field(
    secure: SecureOidcServer, connect_securely: Connect, name: str
) -> None:
    wrong = f"made-up wrong+secret/for&{name}=% that is long enough for every one of the algorithms"

    error = one_refusal(secure, name, connect_securely(name, password=wrong))

    assert "Client secret" in str(error)
    assert wrong not in everything_in(error)


def test_a_wrong_client_id_is_one_permanent_error(secure: SecureOidcServer, connect_securely: Connect) -> None:
    conn_id = connect_securely("ES256", login="shop-nobody")

    with pytest.raises(InvalidClientError, match="Client ID"):
        OAuth2Hook(oauth2_conn_id=conn_id).get_token()


@pytest.mark.statement(27)
@pytest.mark.parametrize("behind_s", [90, -90])
def test_a_clock_that_is_off_is_said_and_may_pass(
    secure: SecureOidcServer, connect_securely: Connect, behind_s: int
) -> None:
    """The server takes no assertion that is older than a minute, or not valid yet."""
    watch, hook = secure.watch("ES256"), OAuth2Hook(oauth2_conn_id=connect_securely("ES256"))

    with time_machine.travel(time.time() - behind_s), pytest.raises(AssertionRefusedError) as caught:
        hook.get_token()

    assert isinstance(caught.value, TransientError)
    said = re.search(r"clock is (\d+) s (behind|ahead of)", str(caught.value))
    assert said is not None
    assert said[2] == ("behind" if behind_s > 0 else "ahead of")
    assert int(said[1]) == pytest.approx(abs(behind_s), abs=20)
    assert watch.statuses() == [401]


@pytest.mark.statement(6)
def test_a_server_of_another_ca_is_shown_nothing(
    secure: SecureOidcServer, connect_securely: Connect, tmp_path: Path
) -> None:
    watch = secure.watch("ES256")
    conn_id = connect_securely("ES256", verify=str(Authority.make(tmp_path, "stranger").bundle))

    with pytest.raises(CertificateError, match="verify"):
        OAuth2Hook(oauth2_conn_id=conn_id).get_token()

    assert watch.statuses() == []


def one_refusal(secure: SecureOidcServer, name: str, conn_id: str) -> InvalidClientError:
    """Return the error of two calls that cost one token request: it is remembered, and shows no secret."""
    watch = secure.watch(name)
    with pytest.raises(InvalidClientError) as caught:
        OAuth2Hook(oauth2_conn_id=conn_id).request("GET", "list")
    with pytest.raises(InvalidClientError):
        OAuth2Hook(oauth2_conn_id=conn_id).request("GET", "list")

    assert isinstance(caught.value, PermanentError)
    assert (caught.value.error, caught.value.status_code) == ("invalid_client", 401)
    assert watch.statuses() == [401]
    assert watch.api_calls() == []
    client = secure.clients[name]
    assert_shows_nothing_of(caught.value, client.client_secret, client.extra.get("private_key", ""))
    return caught.value


def assert_shows_nothing_of(error: Exception, *secrets: str) -> None:
    shown = json.dumps(everything_in(error))
    for secret in filter(None, secrets):
        lines = [line for line in secret.splitlines() if len(line) > 40] or [secret]
        assert not [line for line in lines if line in shown]
    assert "eyJ" not in shown  # how every assertion begins


def last_reason(secure: SecureOidcServer, name: str) -> str:
    """Return what the server keeps to itself."""
    return str(secure.book_of(name)["token_requests"][-1]["why"])
