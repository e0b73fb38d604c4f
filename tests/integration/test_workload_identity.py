"""Workers whom the platform vouches for: nothing that lasts is stored, and their tokens are shared all the same."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import worker
from tests.support.certificates import Authority
from tests.support.processes import Nursery, Outcome
from tests.support.redis_server import RedisServer
from tests.support.servers import OAuthServer, Server
from tests.support.tunnels import Tunnel

Environment = Callable[..., dict[str, str]]

SUBJECT = "system:serviceaccount:airflow:worker"


def assertion_of(number: int, sub: str = SUBJECT) -> str:
    claims = {"iss": "https://cluster.example", "sub": sub, "aud": "https://login.example", "jti": f"made-up-{number}"}
    parts = ({"alg": "RS256"}, claims, f"made-up-signature-{number}")
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


class Platform:
    """Projects an assertion as Kubernetes does: a link to a folder that is replaced as a whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "assertion"
        self.path.symlink_to("data/assertion")
        self._number = 0

    def put(self, assertion: str) -> str:
        self._number += 1
        version = self.folder / f"version-{self._number}"
        version.mkdir()
        (version / "assertion").write_text(assertion + "\n")
        (self.folder / "new").symlink_to(version.name)
        (self.folder / "new").rename(self.folder / "data")
        return assertion


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    (tmp_path / "identity").mkdir()
    return Platform(tmp_path / "identity")


@pytest.fixture
def workload(server: OAuthServer, environment: Environment, platform: Platform) -> Environment:
    """Return a function that makes the environment of a worker whom the platform vouches for."""

    def make(**options: str) -> dict[str, str]:
        made = environment(password="", auth_method="workload_identity", assertion_file=str(platform.path))
        allowed = {
            "AIRFLOW__OAUTH2__KEY_FOLDERS": str(platform.folder),
            "AIRFLOW__OAUTH2__ALLOWED_TOKEN_ENDPOINTS": server.url,
        }
        return made | allowed | {f"AIRFLOW__OAUTH2__{name.upper()}": value for name, value in options.items()}

    return make


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


def assertions_sent(server: OAuthServer) -> list[str]:
    return [dict(seen.form)["client_assertion"] for seen in server.token_requests]


def warnings_of(outcomes: list[Outcome]) -> list[list[str]]:
    return [[line for line in outcome.log if "token_store_key" in line] for outcome in outcomes]


@pytest.mark.statement(31)
def test_the_assertion_is_read_anew_for_each_token_request(
    nursery: Nursery, server: OAuthServer, workload: Environment, platform: Platform
) -> None:
    sent = []
    for number in range(3):
        sent.append(platform.put(assertion_of(number)))
        outcome = nursery.run_one(worker.call, workload())
        assert outcome.value == [200]
        server.revoke_all()
        nursery.run_one(forget, workload())
    assert assertions_sent(server) == sent
    form = dict(server.token_requests[0].form)
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert "authorization" not in server.token_requests[0].headers


def forget() -> None:
    worker.hook().forget_token()


@pytest.mark.statement(31)
@pytest.mark.parametrize("content", [None, "", "made up, with blanks"])
def test_a_worker_without_an_assertion_fails_in_a_way_that_can_pass_and_asks_nobody(
    nursery: Nursery, server: OAuthServer, workload: Environment, platform: Platform, content: str | None
) -> None:
    if content is not None:
        platform.put(content)
    outcome = nursery.run_one(worker.get_token, workload())
    assert outcome.error == "AssertionUnavailableError"
    assert str(platform.path) in str(outcome.message)
    assert server.token_requests == []

    platform.put(assertion_of(1))
    assert nursery.run_one(worker.call, workload()).value == [200]


@pytest.mark.statement(50)
def test_twelve_cold_workers_share_one_token_by_a_key_of_the_store(
    nursery: Nursery, server: OAuthServer, workload: Environment, platform: Platform, tmp_path: Path
) -> None:
    assertion = platform.put(assertion_of(1))
    outcomes = nursery.run(12, worker.get_token, workload())

    assert [outcome.error for outcome in outcomes] == [None] * 12
    assert len({outcome.value for outcome in outcomes}) == 1
    assert assertions_sent(server) == [assertion]
    kept = b"".join(path.read_bytes() for path in (tmp_path / "oauth2_tokens").rglob("*") if path.is_file())
    for shown in (kept.decode("latin-1"), *(line for outcome in outcomes for line in outcome.log)):
        assert assertion not in shown
        assert not any(token in shown for token in server.tokens)


@pytest.mark.statement(51)
def test_another_subject_gets_a_token_of_its_own(
    nursery: Nursery, server: OAuthServer, workload: Environment, platform: Platform
) -> None:
    values: list[Any] = []
    for sub in (SUBJECT, "system:serviceaccount:airflow:another", SUBJECT):
        platform.put(assertion_of(len(values), sub))
        values.append(nursery.run_one(worker.get_token, workload()).value)
    assert values[0] == values[2] != values[1]
    assert len(server.token_requests) == 2


def test_a_redis_without_a_key_of_ones_own_gets_nothing_and_each_process_says_so_once(
    nursery: Nursery, server: OAuthServer, workload: Environment, platform: Platform, redis_server: RedisServer
) -> None:
    platform.put(assertion_of(1))
    outcomes = nursery.run(3, worker.call, workload(token_store=redis_server.url), calls=3)

    assert [outcome.value for outcome in outcomes] == [[200] * 3] * 3
    assert [len(warnings) for warnings in warnings_of(outcomes)] == [1] * 3
    assert len(server.token_requests) == 3
    assert redis_server.client().dbsize() == 0


@pytest.mark.statement(50)
def test_a_redis_with_a_key_of_ones_own_is_shared(
    nursery: Nursery, server: OAuthServer, workload: Environment, platform: Platform, redis_server: RedisServer
) -> None:
    platform.put(assertion_of(1))
    environment = workload(token_store=redis_server.url, token_store_key="made-up store key of a platform")
    outcomes = nursery.run(6, worker.get_token, environment)

    assert len({outcome.value for outcome in outcomes}) == 1
    assert warnings_of(outcomes) == [[]] * 6
    assert len(server.token_requests) == 1
    client = redis_server.client()
    stored: list[Any] = [client.dump(name) for name in client.scan_iter()]
    assert stored
    assert not any(token.encode() in (value or b"") for token in server.tokens for value in stored)


def test_a_proxy_of_the_connections_own_cannot_pass_for_an_allowed_server(
    nursery: Nursery, server: OAuthServer, workload: Environment, platform: Platform, tmp_path: Path
) -> None:
    """The server behind the proxy has a certificate of the editor's own making."""
    platform.put(assertion_of(1))
    evil = Authority.make(tmp_path, "evil")
    allowed = workload(allowed_token_endpoints="https://login.example.com")
    connection = json.loads(allowed["AIRFLOW_CONN_SHOP"]) | {"host": "https://login.example.com/token"}
    with Server(lambda _: server.issue(), context=evil.server_context(address="login.example.com")) as thief:
        with Tunnel(thief.port) as proxy:
            tried = {"verify": "false"}, {"verify": "true"}, {"allow_http": "true"}
            outcomes = []
            for way in tried:
                extra = {**connection["extra"], "proxies": {"https": proxy.url, "http": proxy.url}, **way}
                written = json.dumps({**connection, "extra": extra})
                outcomes.append(nursery.run_one(worker.get_token, {**allowed, "AIRFLOW_CONN_SHOP": written}))
            asked = proxy.asked
        assert thief.seen == []
    assert [outcome.error for outcome in outcomes] == ["SettingsError", "CertificateError", "SettingsError"]
    assert asked == ["login.example.com:443"]


@pytest.mark.parametrize("missing", ["allowed_token_endpoints", "key_folders"])
def test_the_platforms_identity_goes_nowhere_that_its_engineer_has_not_allowed(
    nursery: Nursery, server: OAuthServer, workload: Environment, platform: Platform, missing: str
) -> None:
    platform.put(assertion_of(1))
    outcome = nursery.run_one(worker.get_token, workload(**{missing: ""}))
    assert outcome.error == "SettingsError"
    assert missing in str(outcome.message)
    assert server.token_requests == []
