"""A connection that names the issuer alone: the server is asked where its endpoints are, on good days and bad ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_oauth_provider.oauth2.keys import certificate_thumbprint
from tests.support import worker
from tests.support.certificates import Authority
from tests.support.keys import certificate, made_key, pem
from tests.support.servers import OAuthServer, Reply

if TYPE_CHECKING:
    from tests.support.processes import Nursery

Environment = Callable[..., dict[str, str]]

TENANT = "/.well-known/oauth-authorization-server/tenant"
TENANT_OPENID = "/tenant/.well-known/openid-configuration"


def documents(server: OAuthServer, found: dict[str, Reply]) -> None:
    """Let *server* have documents at these paths, and none elsewhere."""
    server.metadata_reply = lambda seen: found.get(seen.path, Reply(404, "nothing here"))


def metadata_entry(environment: dict[str, str]) -> Path:
    (entry,) = Path(environment["AIRFLOW_HOME"]).rglob("*.metadata.entry")
    return entry


# Asking --------------------------------------------------------------------------------------------------------------


@pytest.mark.statement(36)
def test_twelve_cold_processes_ask_for_one_document_and_one_token(
    nursery: Nursery, server: OAuthServer, discovering: Environment
) -> None:
    outcomes = nursery.run(12, worker.call, discovering())

    assert [outcome.value for outcome in outcomes] == [[200]] * 12
    assert [seen.path for seen in server.metadata_requests] == ["/.well-known/oauth-authorization-server"]
    assert len(server.token_requests) == 1


def test_a_process_that_needs_another_token_finds_the_document_in_the_store(
    nursery: Nursery, server: OAuthServer, discovering: Environment
) -> None:
    for _ in range(3):
        assert nursery.run_one(worker.press_test, discovering()).value[0]

    assert len(server.metadata_requests) == 1
    assert len(server.token_requests) == 3


@pytest.mark.statement(36)
def test_the_document_of_a_tenant_is_looked_for_before_its_path_and_then_behind_it(
    nursery: Nursery, server: OAuthServer, discovering: Environment
) -> None:
    issuer = f"{server.url}/tenant"
    documents(server, {TENANT_OPENID: Reply(200, server.metadata(issuer=issuer))})

    assert nursery.run_one(worker.call, discovering(host=issuer)).value == [200]

    assert [seen.path for seen in server.metadata_requests] == [TENANT, TENANT_OPENID]


def test_nothing_that_is_anybodys_secret_is_in_the_question(
    nursery: Nursery, server: OAuthServer, discovering: Environment
) -> None:
    environment = discovering(
        host=f"{server.url}/tenant",
        password="made-up-password-that-nobody-may-see",
        secret_params={"pin": "made-up-pin-that-nobody-may-see"},
        secret_headers={"X-Api-Key": "made-up-header-that-nobody-may-see"},
    )
    documents(server, {TENANT_OPENID: Reply(200, server.metadata(issuer=f"{server.url}/tenant"))})

    assert nursery.run_one(worker.call, environment).error is None

    assert len(server.metadata_requests) == 2
    for seen in server.metadata_requests:
        assert (seen.method, seen.query, seen.body) == ("GET", [], b"")
        assert not {"authorization", "cookie", "x-api-key", "dpop"} & seen.headers.keys()
        assert "made-up" not in json.dumps(seen.headers)


def test_a_token_is_ended_where_the_document_says(server: OAuthServer, connect: Callable[..., str]) -> None:
    from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook

    hook = OAuth2Hook(oauth2_conn_id=connect(host=server.url, discover=True))
    token = hook.get_token()

    assert hook._source.revoke()

    assert token.value not in server.tokens


@pytest.mark.statement(34)
def test_who_shows_a_certificate_asks_at_the_alias(
    nursery: Nursery, server: OAuthServer, discovering: Environment, tmp_path: Path
) -> None:
    authority, key = Authority.make(tmp_path, "root"), made_key("P-256")
    shown = certificate(key)
    with OAuthServer(context=authority.server_context(clients=shown)) as alias:
        aliases = {"token_endpoint": f"{alias.url}/token"}
        listed = {"token_endpoint_auth_methods_supported": ["self_signed_tls_client_auth"]}
        server.metadata_reply = lambda _: Reply(200, server.metadata(mtls_endpoint_aliases=aliases, **listed))
        environment = discovering(
            auth_method="self_signed_tls_client_auth",
            private_key=pem(key),
            certificate=shown,
            verify=str(authority.bundle),
        )

        assert nursery.run_one(worker.get_token, environment).error is None

        assert [seen.certificate for seen in alias.token_requests] == [certificate_thumbprint(shown)]
        assert server.token_requests == []


# Bad days ------------------------------------------------------------------------------------------------------------


def test_after_a_move_the_document_is_asked_for_anew_by_one_fetch(
    nursery: Nursery, server: OAuthServer, discovering: Environment
) -> None:
    assert nursery.run_one(worker.get_token, discovering()).error is None
    with OAuthServer() as moved:
        server.token_reply = lambda _: Reply(404, "nothing here")
        server.metadata_reply = lambda _: Reply(200, server.metadata(token_endpoint=f"{moved.url}/token"))

        assert nursery.run_one(worker.press_test, discovering()).value[0]
        assert nursery.run_one(worker.press_test, discovering()).value[0]

        assert len(moved.token_requests) == 2
    assert len(server.token_requests) == 2
    assert len(server.metadata_requests) == 2


def test_an_endpoint_that_is_gone_is_asked_for_once_more_and_no_oftener(
    nursery: Nursery, server: OAuthServer, discovering: Environment
) -> None:
    server.token_reply = lambda _: Reply(404, "nothing here")

    outcomes = nursery.run(12, worker.get_token, discovering())

    assert {outcome.error for outcome in outcomes} == {"TokenRefusedError"}
    assert len(server.metadata_requests) == 2
    assert len(server.token_requests) == 2


def test_calls_go_on_while_the_server_is_down_and_the_token_lives(
    nursery: Nursery, server: OAuthServer, discovering: Environment
) -> None:
    assert nursery.run_one(worker.call, discovering()).value == [200]
    server.token_reply = server.metadata_reply = lambda _: Reply(503)

    outcomes = nursery.run(4, worker.call, discovering())

    assert [outcome.value for outcome in outcomes] == [[200]] * 4
    assert len(server.metadata_requests) == len(server.token_requests) == 1


def test_a_document_of_two_hours_ago_does_while_the_new_one_cannot_be_had(
    nursery: Nursery, server: OAuthServer, discovering: Environment
) -> None:
    server.metadata_reply = lambda _: Reply(200, server.metadata(), {"Cache-Control": "max-age=300"})
    assert nursery.run_one(worker.get_token, discovering()).error is None
    server.metadata_reply = lambda _: Reply(503)

    outcome = nursery.run_one(worker.get_token, discovering(), clock_shift_s=7200)

    assert outcome.error is None
    assert any("Going on with what it said 120 min ago." in line for line in outcome.log)
    assert len(server.token_requests) == 2


@pytest.mark.parametrize("planted_by", ["another client", "another issuer"])
def test_a_document_that_somebody_plants_in_the_store_leads_nobody_astray(
    nursery: Nursery, server: OAuthServer, discovering: Environment, tmp_path: Path, planted_by: str
) -> None:
    ours = discovering()
    assert nursery.run_one(worker.get_token, ours).error is None
    entry = metadata_entry(ours)
    with OAuthServer() as evil:
        other = {"login": "evil-client"} if planted_by == "another client" else {"host": evil.url}
        reply = Reply(200, evil.metadata(issuer=other.get("host", server.url)))
        server.metadata_reply = evil.metadata_reply = lambda _: reply
        theirs = {**discovering(**other), "AIRFLOW_HOME": str(tmp_path / "evil")}
        assert nursery.run_one(worker.get_token, theirs).error is None
        assert len(evil.token_requests) == 1
        server.metadata_reply = None

        entry.write_bytes(metadata_entry(theirs).read_bytes())
        assert nursery.run_one(worker.press_test, ours).value[0]

        assert len(evil.token_requests) == 1
        assert len(server.token_requests) == 2
