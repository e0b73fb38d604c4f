from __future__ import annotations

import pytest
from requests import PreparedRequest

from airflow_oauth_provider.exceptions import OriginError, SettingsError
from airflow_oauth_provider.http.origin import Origin, OriginGuard, origin_of_setting, parse_origin

BASE = "https://api.example.com/v1"


def prepared(url: str) -> str:
    """Return *url* as requests would send it."""
    request = PreparedRequest()
    request.prepare_url(url, None)
    return str(request.url)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://api.example.com/v1", Origin("https", "api.example.com", 443)),
        ("https://API.Example.com:443", Origin("https", "api.example.com", 443)),
        ("http://api.example.com:8080/x?y#z", Origin("http", "api.example.com", 8080)),
        ("https://[::1]:8443/x", Origin("https", "[::1]", 8443)),
        ("https://api.example.com/@evil.example/", Origin("https", "api.example.com", 443)),
        ("https://api.example.com?@evil.example", Origin("https", "api.example.com", 443)),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, origin: Origin) -> None:
    assert Origin.of(url) == origin


@pytest.mark.parametrize(
    ("origin", "text"),
    [
        (Origin("https", "api.example.com", 443), "https://api.example.com"),
        (Origin("https", "api.example.com", 8443), "https://api.example.com:8443"),
        (Origin("http", "[::1]", 80), "http://[::1]"),
    ],
)
def test_an_origin_is_written_without_its_usual_port(origin: Origin, text: str) -> None:
    assert str(origin) == text


@pytest.mark.statement(24)
@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example\\@api.example.com/",
        "https://api.example.com\\@evil.example/",
        "https:\\\\api.example.com/",
        "https://user@api.example.com/",
        "https://user:pw@api.example.com/",
        "https://:@api.example.com/",
        "https://api.example.com @evil.example/",
        "https://api.example.com\t/",
        "https://api.example.com/a b",
        "https://api.example.com/\r\nX-Evil: 1",
        "https://api.example.com\x00.evil.example/",
        "https://api.example.com\x7f/",
        "ftp://api.example.com/",
        "javascript://api.example.com/",
        "//api.example.com/",
        "/v1/orders",
        "https:///v1",
        "https://",
        "",
        "https://[::1/",
        "https://api.example.com:port/",
    ],
)
def test_a_url_that_could_be_read_in_two_ways_has_no_origin(url: str) -> None:
    with pytest.raises(OriginError, match="nothing was sent") as caught:
        Origin.of(url)
    assert str(caught.value).isprintable()


def test_an_error_about_a_url_does_not_quote_its_query_or_user() -> None:
    for url in ("https://api.example.com\\?key=made-up-key", "https://user:made-up-key@api.example.com/"):
        with pytest.raises(OriginError) as caught:
            Origin.of(url)
        assert "made-up-key" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("files.example.com", "https://files.example.com"),
        ("files.example.com:8443", "https://files.example.com:8443"),
        ("https://files.example.com", "https://files.example.com"),
        ("https://files.example.com/", "https://files.example.com"),
        ("http://files.example.com", "http://files.example.com"),
        ("bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_a_bare_name_in_a_setting_means_https_and_port_443(text: str, origin: str) -> None:
    assert str(parse_origin(text, "allowed_hosts")) == origin


@pytest.mark.parametrize(
    "text",
    [
        "*.example.com", "api*.example.com", "https://files.example.com/path",
        "https://files.example.com?x", "https://files.example.com#x", "user@files.example.com", "ftp://files.example.com",
        "files.example.com\\@x", "https://", "a b", "",
    ],
)  # fmt: skip
def test_a_setting_that_is_no_exact_origin_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="allowed_hosts"):
        parse_origin(text, "allowed_hosts")


def test_an_international_name_in_a_setting_is_held_in_the_form_in_which_it_is_sent() -> None:
    origin = origin_of_setting("https://bücher.example/v1", "base_url", "")
    assert origin == Origin.of(prepared("https://bücher.example/v1"))
    OriginGuard("https://bücher.example/v1").check(prepared("https://bücher.example/v1/orders"))


@pytest.mark.statement(24)
@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/",
        "https://api.example.com/v1/orders?next=https://evil.example/",
        "https://api.example.com:443/x",
        "https://api.example.com/other/path",
        "https://api.example.com?x=1",
        "https://files.example.com/big.bin",
        "https://eu.example.com:8443/x",
    ],
)
def test_the_token_may_go_to_the_base_url_and_to_named_origins(url: str) -> None:
    further = (parse_origin("files.example.com", "h"), parse_origin("https://eu.example.com:8443", "h"))
    OriginGuard(BASE, further).check(prepared(url))


@pytest.mark.statement(24)
@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "http://api.example.com/",
        "https://api.example.com:8443/",
        "https://api.example.com.evil.example/",
        "https://api.example.com./",
        "https://apiexample.com/",
        "https://sub.api.example.com/",
        "https://example.com/",
        "https://xn--api-example-com.example/",
        "https://api.example.com%2eevil.example/",
        "https://api.example.com\\.evil.example/",
        "https://evil.example\\@api.example.com/",
        "https://api.example.com@evil.example/",
        "https://api.example.com:443@evil.example/",
    ],
)
def test_the_token_may_go_nowhere_else(url: str) -> None:
    with pytest.raises(OriginError, match="nothing was sent"):
        OriginGuard(BASE).check(url)


@pytest.mark.parametrize(
    "spelling", ["http://127.1/", "http://2130706433/", "http://0x7f.0.0.1/", "http://localhost/", "http://[::1]/"]
)
def test_another_spelling_of_an_address_is_another_origin(spelling: str) -> None:
    guard = OriginGuard("http://127.0.0.1")
    guard.check("http://127.0.0.1/x")
    with pytest.raises(OriginError):
        guard.check(spelling)


def test_a_refused_request_names_where_it_would_go_and_what_to_change() -> None:
    with pytest.raises(OriginError) as caught:
        OriginGuard(BASE).check("https://evil.example/path?key=made-up-key")
    assert "https://evil.example," in str(caught.value)
    assert "https://api.example.com alone" in str(caught.value)
    assert "allowed_hosts" in str(caught.value)
    assert "made-up-key" not in str(caught.value)


@pytest.mark.statement(23)
def test_plain_http_to_another_machine_passes_only_when_the_connection_says_so() -> None:
    with pytest.raises(OriginError, match="clear text"):
        OriginGuard("http://api.example.com").check("http://api.example.com/x")
    OriginGuard("http://api.example.com", allow_http=True).check("http://api.example.com/x")
    OriginGuard("http://127.0.0.1:81").check("http://127.0.0.1:81/x")


def test_a_downgrade_to_http_of_an_allowed_host_is_another_origin_even_with_allow_http() -> None:
    with pytest.raises(OriginError):
        OriginGuard(BASE, allow_http=True).check("http://api.example.com/")


def test_a_base_url_that_is_none_is_an_error_about_the_setting() -> None:
    with pytest.raises(SettingsError, match="base_url"):
        OriginGuard("api.example.com")
