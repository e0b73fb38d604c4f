"""What needs no server; the rest is in tests/contract and tests/integration/redis."""

from __future__ import annotations

import ssl
import traceback
from typing import Any

import pytest

from airflow_oauth_provider.tokens.stores.redis import RedisStore, described

URLS = {
    "redis://127.0.0.1": "redis://127.0.0.1",
    "redis://cache.example.com:6380/7": "redis://cache.example.com:6380/7",
    "redis://:made-up@cache.example.com/0?password=made-up": "redis://cache.example.com/0",
    "rediss://user:made%2Fup@[::1]:6379/0?ssl_ca_certs=/x": "rediss://[::1]:6379/0",
    "unix:///var/run/redis/socket?db=1&password=made-up": "unix:///var/run/redis/socket",
    "unix://user:made-up@/var/run/socket": "unix:///var/run/socket",
}
# Each password, "made/up" and its like, is cut somewhere when the URL is taken apart.
AMBIGUOUS = [
    "redis://:made/up@cache.example.com:6379/0",
    "redis://user:made/up@cache.example.com:6379/0",
    "redis://user:12/up@cache.example.com:6379/0",
    "redis://:made?up@cache.example.com:6379/0",
    "redis://:made#up@cache.example.com:6379/0",
    "rediss://user:12#up@cache.example.com",
    "redis://cache.example.com:made-up/0",
    "redis://cache.example.com:99999/0",
]


@pytest.mark.parametrize(("url", "shown"), URLS.items())
def test_it_says_where_it_is_without_user_password_and_options(url: str, shown: str) -> None:
    assert RedisStore(url).describe() == described(url) == shown


@pytest.mark.parametrize("url", AMBIGUOUS)
def test_a_url_whose_password_may_have_been_cut_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ValueError, match="percent-encoded") as raised:
        RedisStore(url)
    shown = "".join(traceback.format_exception_only(raised.value)) + described(url)
    assert described(url) == url.partition("//")[0] + "//…"
    assert not any(part in shown for part in ("made", "up@", "12"))
    assert raised.value.__context__ is None


@pytest.mark.parametrize("path", ["/cache", "/0/1", "/-1", "/1.0"])
def test_a_path_that_is_no_number_is_not_taken_for_database_0(path: str) -> None:
    with pytest.raises(ValueError, match="number of a database"):
        RedisStore(f"redis://cache.example.com{path}")


@pytest.mark.parametrize(("path", "number"), [("", 0), ("/", 0), ("/7", 7), ("/7/", 7), ("?db=7", 7)])
def test_the_path_is_the_number_of_the_database(path: str, number: int) -> None:
    connection: Any = RedisStore(f"rediss://cache.example.com{path}")._client.connection_pool.make_connection()
    assert connection.db == number


def test_tls_is_for_the_servers_name_and_with_a_certificate() -> None:
    connection: Any = RedisStore("rediss://cache.example.com")._client.connection_pool.make_connection()
    assert connection.check_hostname is True
    assert connection.cert_reqs == ssl.CERT_REQUIRED


def test_no_wait_is_longer_than_whoever_asks_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the limits of the package
    connection: Any = RedisStore("redis://cache.example.com")._client.connection_pool.make_connection()
    assert connection.socket_timeout < 2
    assert connection.socket_connect_timeout < 2
