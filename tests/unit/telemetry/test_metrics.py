"""What is counted and timed, and under which tags."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from airflow_oauth_provider.exceptions import ApiUnavailableError, InvalidClientError, OAuth2Error
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.pull.pagination import Offset
from airflow_oauth_provider.tokens.stores.memory import MemoryStore
from tests.support.clock import Clock
from tests.support.made_up import connection_json
from tests.support.paged_api import Numbers
from tests.support.servers import OAuthServer, Reply, Seen, free_port
from tests.support.telemetry import Metric
from tests.support.token_sources import Processes

ONCE = {"stop": lambda _: True}


def tagged(metrics: list[Metric], name: str) -> list[dict[str, str]]:
    """Return the tags of what was counted, but the connection's, which all have."""
    found = [dict(metric.tags) for metric in metrics if metric.name == f"oauth2.{name}"]
    assert all(tags.pop("conn_id") == "shop" for tags in found)
    return found


def values(metrics: list[Metric], name: str) -> list[float]:
    return [metric.value for metric in metrics if metric.name == f"oauth2.{name}"]


# Token requests -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "outcomes"),
    [
        (None, ["granted"]),
        (Reply(401, {"error": "invalid_client"}), ["refused"]),
        (Reply(429), ["throttled"] * 3),
        (Reply(503), ["throttled"] * 3),
        (Reply(500), ["unavailable"] * 3),
        (Reply(raw=b""), ["unavailable"] * 3),
        (Reply(200, "<html>"), ["unavailable"]),
    ],
)
def test_token_requests_are_counted_and_timed_by_their_outcome(
    hook: OAuth2Hook,
    server: OAuthServer,
    metrics: list[Metric],
    clock: Clock,
    *,
    reply: Reply | None,
    outcomes: list[str],
) -> None:
    def answer(_: Seen) -> Reply:
        clock.advance(0.5)
        return reply or server.issue()

    server.token_reply = answer
    try:
        hook.get_token()
    except OAuth2Error:
        assert reply is not None

    expected = [{"outcome": outcome} for outcome in outcomes]
    assert tagged(metrics, "token_requests") == tagged(metrics, "token_request_duration") == expected
    assert len(server.token_requests) == len(outcomes)
    assert values(metrics, "token_request_duration") == [pytest.approx(500)] * len(outcomes)


def test_metadata_that_cannot_be_had_are_no_token_request(
    server: OAuthServer, metrics: list[Metric], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", connection_json({"discover": True}, host=f"{server.url}/no-issuer"))
    with pytest.raises(OAuth2Error):
        OAuth2Hook("shop").get_token()
    assert server.token_requests == []
    assert tagged(metrics, "token_requests") == tagged(metrics, "token_request_duration") == []


def test_a_token_request_that_the_tasks_end_breaks_off_was_not_granted(
    hook: OAuth2Hook, metrics: list[Metric], monkeypatch: pytest.MonkeyPatch
) -> None:
    class TaskTimeout(BaseException):
        pass

    def broken_off(*_: Any) -> None:
        raise TaskTimeout

    monkeypatch.setattr("airflow_oauth_provider.tokens.exchange.Exchange.send", broken_off)
    with pytest.raises(TaskTimeout):
        hook.get_token()
    assert tagged(metrics, "token_requests") == [{"outcome": "unavailable"}]


def test_a_token_at_hand_is_counted_by_where_it_lay(hook: OAuth2Hook, metrics: list[Metric]) -> None:
    from airflow_oauth_provider.tokens import registry

    hook.get_token()
    assert tagged(metrics, "store_hits") == []
    hook.get_token()
    registry._sources.clear()  # as in another process
    OAuth2Hook("shop").get_token()

    assert tagged(metrics, "store_hits") == [{"level": "memory"}, {"level": "store"}]


def test_a_refusal_is_counted_when_it_is_remembered_and_when_it_is_met(
    hook: OAuth2Hook, server: OAuthServer, metrics: list[Metric]
) -> None:
    server.token_reply = lambda _: Reply(401, {"error": "invalid_client"})
    for _ in range(3):
        with pytest.raises(InvalidClientError):
            hook.get_token()

    assert tagged(metrics, "refusals_remembered") == [{"about": "credential"}]
    assert tagged(metrics, "refusals_met") == [{"about": "credential"}] * 2
    assert len(server.token_requests) == 1


class Leased(MemoryStore):
    """Leases nothing for the first few times."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self.refusals = 3
        self._meanwhile = meanwhile

    def try_lease(self, name: str, lasts_s: float = 100.0) -> Any:
        if not self.refusals:
            return super().try_lease(name, lasts_s)
        self.refusals -= 1
        if not self.refusals:
            self._meanwhile()
        return None


@pytest.mark.parametrize("another_fetches", [True, False])
def test_a_wait_for_a_lease_is_timed_however_it_ends(
    clock: Clock, metrics: list[Metric], *, another_fetches: bool
) -> None:
    clock.skip_sleeps()

    def meanwhile() -> None:
        if another_fetches:
            processes.start().get()

    processes = Processes(Leased(meanwhile))
    processes.start().get()
    processes.start().get()

    (milliseconds,) = values(metrics, "lease_wait")
    assert milliseconds >= 1000 * sum(clock.slept) > 0


# API requests ---------------------------------------------------------------------------------------------------------


def test_every_answer_is_counted_by_its_class_and_every_retry_with_its_pause(
    hook: OAuth2Hook, server: OAuthServer, metrics: list[Metric]
) -> None:
    replies = [Reply(503), Reply(429, b"", {"Retry-After": "7"}), Reply(302, b"", {"Location": "/api/new"}), Reply(200)]
    server.api_reply = lambda _: replies.pop(0)
    hook.request("GET", "orders")

    counted = [tags["status"] for tags in tagged(metrics, "api_requests")]
    assert sorted(counted) == ["2xx", "3xx", "4xx", "5xx"]
    assert values(metrics, "api_retries") == [1, 1]
    assert values(metrics, "api_retry_wait")[1] == 7000


def test_a_renewed_call_is_two_requests(
    hook: OAuth2Hook, server: OAuthServer, metrics: list[Metric], clock: Clock
) -> None:
    hook.get_token()
    server.revoke_all()
    clock.advance(100)  # a fresh token would not be replaced
    hook.request("GET", "orders")
    assert tagged(metrics, "api_requests") == [{"status": "4xx"}, {"status": "2xx"}]


@pytest.mark.parametrize(
    ("raw", "status"), [(b"", "none"), (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", "2xx")]
)
def test_a_request_without_a_whole_answer_is_counted_once(
    hook: OAuth2Hook, server: OAuthServer, metrics: list[Metric], raw: bytes, status: str
) -> None:
    server.api_reply = lambda _: Reply(raw=raw)
    with pytest.raises(ApiUnavailableError):
        hook.request("GET", "orders", retry_args=ONCE)
    assert tagged(metrics, "api_requests") == [{"status": status}]


def test_an_api_that_cannot_be_reached_is_counted(
    hook: OAuth2Hook, server: OAuthServer, metrics: list[Metric], monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"base_url": f"http://127.0.0.1:{free_port()}"}
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", connection_json(extra, host=f"{server.url}/token"))
    with pytest.raises(ApiUnavailableError):
        hook.request("GET", "orders", retry_args=ONCE)
    assert tagged(metrics, "api_requests") == [{"status": "none"}]


def test_pages_and_records_are_counted(hook: OAuth2Hook, server: OAuthServer, metrics: list[Metric]) -> None:
    server.api_reply = Numbers(total=8, size=3)
    records = list(hook.records("orders", pagination=Offset(3, total_path="total"), records="items"))

    assert len(records) == 8
    assert values(metrics, "pages") == [1, 1, 1]
    assert values(metrics, "records") == [3, 3, 2]
    assert tagged(metrics, "pages") == [{}] * 3


# Tags -----------------------------------------------------------------------------------------------------------------


def test_a_test_of_a_connection_is_counted_without_its_random_id(
    server: OAuthServer, metrics: list[Metric], spans: Callable[[], tuple[ReadableSpan, ...]], monkeypatch: Any
) -> None:
    extra = {"base_url": f"{server.url}/api", "test_endpoint": "status"}
    monkeypatch.setenv("AIRFLOW_CONN_RANDOM", connection_json(extra, host=f"{server.url}/token"))
    assert OAuth2Hook("random").test_connection()[0]

    assert {metric.name for metric in metrics} >= {"oauth2.token_requests", "oauth2.api_requests"}
    assert not any("conn_id" in metric.tags for metric in metrics)
    assert not any("airflow.oauth2.conn_id" in (span.attributes or {}) for span in spans())
    assert len(spans()) == 2


def test_an_unfriendly_server_cannot_add_a_tag(hook: OAuth2Hook, server: OAuthServer, metrics: list[Metric]) -> None:
    odd = b"HTTP/1.1 %d made-up,conn_id=x\r\nContent-Length: 0\r\n\r\n"
    for status in (299, 451, 599, 799, 999):
        server.api_reply = lambda _, status=status: Reply(raw=odd % status)
        hook.get_conn().get("orders")

    shown = json.dumps([(metric.name, metric.tags) for metric in metrics])
    assert "made-up" not in shown
    possible = {"none", *(f"{digit}xx" for digit in range(1, 10))}
    assert {tags["status"] for tags in tagged(metrics, "api_requests")} <= possible


def test_threads_count_what_each_of_them_does(hook: OAuth2Hook, metrics: list[Metric]) -> None:
    hook.get_token()
    threads = [threading.Thread(target=hook.request, args=("GET", "orders")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tagged(metrics, "api_requests") == [{"status": "2xx"}] * 8
