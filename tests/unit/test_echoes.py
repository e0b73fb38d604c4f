"""Secrets as servers of all kinds show them."""

from __future__ import annotations

import base64
import html
import json
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_oauth_provider.masking import Redactor, mask_in_airflow

SECRET = "kT8+made/up~Q9x&'\"<é>\\ 0123=="

# A secret that is JSON, as it stands in JSON.
IN_JSON = json.dumps(json.dumps({f"k{number}": f"v{number}" for number in range(12)}))[1:-1]


def gson(text: str) -> str:
    return "".join(f"\\u{ord(c):04x}" if c in "<>&='" else c for c in json.dumps(text)[1:-1])


def dotnet(text: str) -> str:
    beyond = {
        ord(character): json.dumps(character)[1:-1].upper().replace("U", "u")
        for character in text
        if ord(character) > 126
    }
    escaped = text.replace("\\", "\\\\").translate(beyond)
    return "".join(f"\\u{ord(c):04X}" if c in "+\"'<>&`" else c for c in escaped)


def php(text: str) -> str:
    return json.dumps(text)[1:-1].replace("/", "\\/")


def go_json(text: str) -> str:
    return "".join(f"\\u{ord(c):04x}" if c in "<>&" else c for c in json.dumps(text, ensure_ascii=False)[1:-1])


def go_html(text: str) -> str:
    return "".join(f"&#{ord(c)};" if c in "'\"+" else c for c in html.escape(text, quote=False))


def ruby_html(text: str) -> str:
    return html.escape(text).replace("&#x27;", "&#39;")


def python_bytes(text: str) -> str:
    return repr(text.encode())[2:-1]


WAYS: list[Callable[[str], str]] = [
    str, gson, dotnet, php, go_json, go_html, ruby_html, python_bytes, quote, quote_plus, html.escape,
    lambda text: quote(text, safe="").lower() if text.isascii() and text.islower() else quote(text, safe=""),
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(json.dumps(text))[3:-3],
    lambda text: quote(quote(text, safe=""), safe=""),
    lambda text: html.escape(html.escape(text)),
    lambda text: gson(html.escape(text)),
    lambda text: json.dumps(quote(text))[1:-1],
    lambda text: "".join(f"&#x{ord(c):X};" if not c.isalnum() else c for c in text),
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_however_a_server_escapes_a_secret_it_is_hidden(way: Callable[[str], str]) -> None:
    redact = Redactor([SECRET])
    assert redact(f"got {way(SECRET)} from you") == "got *** from you"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("end", ["%", "&", "&&", '"', "\\", "+", " ", "\n", "%25"])
def test_nothing_is_left_of_its_end(way: Callable[[str], str], end: str) -> None:
    secret = f"madeup{end}"
    assert Redactor([secret])(f"<{way(secret)}>") == "<***>"


@pytest.mark.parametrize("way", WAYS)
def test_so_is_one_that_is_escaped_already(way: Callable[[str], str]) -> None:
    redact = Redactor([IN_JSON])
    assert redact(f"got {way(IN_JSON)} from you") == "got *** from you"
    assert redact(f"got {json.dumps(way(IN_JSON))[1:-1]} from you") == "got *** from you"


@pytest.mark.parametrize("way", [gson, php, dotnet, html.escape, quote])
def test_basic_credentials_are_hidden_in_the_same_ways(way: Callable[[str], str]) -> None:
    pair = base64.b64encode(b"client:" + SECRET.encode() + b"???>").decode()
    assert pair.endswith("=")
    shown = Redactor([SECRET, pair])(f'{{"authorization": "Basic {way(pair)}"}}')
    assert shown == '{"authorization": "Basic ***"}'


@pytest.mark.parametrize("way", [gson, dotnet, php, go_html, python_bytes])
def test_airflow_masks_it_in_those_ways_too(way: Callable[[str], str]) -> None:
    from airflow.providers.common.compat.sdk import redact

    secret = SECRET.replace("é", "")
    mask_in_airflow([secret])
    assert str(redact(f"got {way(secret)} from you")) == "got *** from you"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    secret=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=5, max_size=40),
    way=st.sampled_from([gson, dotnet, php, go_json, go_html, ruby_html, python_bytes, quote, quote_plus]),
)
def test_no_secret_is_so_odd_that_it_is_not_found(secret: str, way: Callable[[str], str]) -> None:
    assert Redactor([secret])(f"\n{way(secret)}\n").strip("\n") == "***"


@pytest.mark.parametrize(
    "secret",
    [
        *("\\" * 30, '\\"' * 15, "%" * 30, "%25" * 10, "&amp;" * 6, "+ " * 15, "&#38;" * 6, "é" * 20),
        *("\\\n" * 15, "\\u0022" * 8, "\\&" * 15, "\\x22" * 8, "&\\" * 15, IN_JSON),
    ],
)
def test_no_text_makes_the_search_slow(secret: str) -> None:
    redact, began = Redactor([secret]), time.process_time()
    for shown in (secret, json.dumps(secret)[1:-1], json.dumps(json.dumps(secret))[3:-3], gson(secret)):
        for cut in range(1, 9):
            redact("x" + shown[:-cut])
    for part in (secret[:-1], "\\", '\\"', "%25", "%", "&amp;", "&#0", "+ ", "\\u00"):
        redact((part * 4000)[:4000] + "!")
    assert time.process_time() - began < 5


def test_a_private_key_is_hidden_as_a_log_would_show_it() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvgIBADANBg+/==\n-----END PRIVATE KEY-----\n"
    assert Redactor([key])(f"{key}|{json.dumps(key)}|{key!r}") == "***|\"***\"|'***'"


@pytest.mark.parametrize("way", WAYS)
def test_a_secret_that_looks_like_a_key_is_masked_as_any_other(way: Callable[[str], str]) -> None:
    """Several servers hand out a symmetric JWK, and it is sent as it stands."""
    secret = '{"kty":"oct","k":"GawgguFyGrWKav7AX4VKUg"}'
    assert "GawgguFyGrWKav7AX4VKUg" not in Redactor([secret])(f"got {way(secret)} from you")


def test_a_very_long_secret_is_masked_and_is_no_long_work() -> None:
    secret = "ab+/" * 4096
    redact = Redactor([secret])
    for way in (str, quote, quote_plus, html.escape, gson):
        assert redact(f"got {way(secret)}.") == "got ***."
