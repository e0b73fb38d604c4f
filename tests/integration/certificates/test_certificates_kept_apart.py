"""One certificate, one set of connections; and a key that nobody else gets to see."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from airflow_oauth_provider.exceptions import (
    CertificateError,
    SettingsError,
)
from airflow_oauth_provider.oauth2.settings import KeyPair
from tests.support.certificates import Authority, self_signed_pair
from tests.support.client_certificates import endpoint_at, thumbprint, transport
from tests.support.servers import OAuthServer
from tests.support.sessions import session_at
from tests.support.threads import in_threads_at_once

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_oauth_provider.http.session import ApiSession


def whose(tls: OAuthServer) -> set[tuple[str, str | None]]:
    """Return which client showed which certificate."""
    return {(seen.headers["x-client"], seen.certificate) for seen in tls.api_requests}


@pytest.fixture
def two(tls: OAuthServer, ours: Authority, clients: Authority) -> dict[str, tuple[KeyPair, Callable[[], ApiSession]]]:
    """Return two clients of one API: their certificates, and what makes their sessions."""

    def sessions(name: str, pair: KeyPair) -> Callable[[], ApiSession]:
        return lambda: session_at(f"{tls.url}/api", transport=transport(ours, pair), headers=(("X-Client", name),))

    pairs = {"a": clients.client_pair(number=1), "b": clients.client_pair(number=2)}
    return {name: (pair, sessions(name, pair)) for name, pair in pairs.items()}


@pytest.mark.statement(33)
def test_two_certificates_at_one_api_never_mix(
    tls: OAuthServer, two: dict[str, tuple[KeyPair, Callable[[], ApiSession]]]
) -> None:
    for _ in range(5):
        for _, new_session in two.values():
            new_session().call("GET", "orders")

    assert whose(tls) == {(name, thumbprint(pair)) for name, (pair, _) in two.items()}
    assert (len(tls.api_requests), tls.connections) == (10, 2)


@pytest.mark.statement(33)
def test_two_certificates_never_mix_in_threads_either(
    tls: OAuthServer, two: dict[str, tuple[KeyPair, Callable[[], ApiSession]]]
) -> None:
    def both() -> None:
        for _ in range(5):
            for _, new_session in two.values():
                new_session().call("GET", "orders")

    in_threads_at_once(8, both)

    assert whose(tls) == {(name, thumbprint(pair)) for name, (pair, _) in two.items()}
    assert len(tls.api_requests) == 80


@pytest.mark.statement(33)
def test_without_a_certificate_no_connection_is_used_that_was_made_with_one(
    tls: OAuthServer, ours: Authority, clients: Authority
) -> None:
    session_at(f"{tls.url}/api", transport=transport(ours, clients.client_pair())).call("GET", "orders")

    with pytest.raises(CertificateError, match="demands"):
        session_at(f"{tls.url}/api", transport=transport(ours, None)).call("GET", "orders")

    assert len(tls.seen) == 1


def test_a_certificate_of_one_call_is_refused_beside_that_of_the_connection(
    tls: OAuthServer, ours: Authority, clients: Authority
) -> None:
    session = session_at(f"{tls.url}/api", transport=transport(ours, clients.client_pair()))

    with pytest.raises(SettingsError, match="cert cannot be given"):
        session.get("orders", cert=str(clients.bundle))

    assert tls.seen == []


@pytest.mark.statement(33)
def test_a_forked_child_shows_the_same_certificate_on_connections_of_its_own(
    tls: OAuthServer, ours: Authority, clients: Authority
) -> None:
    pair = clients.client_pair()
    session = session_at(f"{tls.url}/api", transport=transport(ours, pair))
    session.call("GET", "parent")
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if session.call("GET", "child").response.status_code == 200 else 1)
        finally:
            os._exit(2)

    assert os.waitpid(child, 0)[1] == 0
    session.call("GET", "parent")

    assert {seen.certificate for seen in tls.seen} == {thumbprint(pair)}
    assert (len(tls.seen), tls.connections) == (3, 2)


@pytest.fixture(params=["in memory", "on disk"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where temporary files are made, on a system that has them in memory, and on one that has not."""
    made = tmp_path / "tmp"
    made.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    if request.param == "on disk":
        monkeypatch.delattr(os, "memfd_create", raising=False)
    return made


def test_nothing_of_the_key_is_left_on_disk_or_in_a_log(
    tls: OAuthServer, ours: Authority, clients: Authority, everything: pytest.LogCaptureFixture, folder: Path
) -> None:
    pair = clients.client_pair(kind="RSA", number=1)
    shown = transport(ours, pair)
    session = session_at(f"{tls.url}/api", transport=shown)

    endpoint_at(tls.url, shown).fetch()
    session.call("GET", "orders")
    with pytest.raises(CertificateError):
        session_at(f"{tls.url}/api", transport=transport(ours, self_signed_pair())).call("GET", "orders")

    assert list(folder.iterdir()) == []
    assert "/token" in everything.text
    said = everything.text + repr(shown) + repr(session.adapters) + repr(vars(session.get_adapter("https://")))
    assert [line for line in pair.private_key.splitlines() if line in said] == []
