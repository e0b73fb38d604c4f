"""How a secret looks when a server, or whatever stands between, shows what it was sent."""

from __future__ import annotations

import base64
import html
import json
import re
from functools import lru_cache
from itertools import groupby
from urllib.parse import quote, quote_plus, unquote, unquote_plus

# What json.dumps leaves alone and others escape: Gson, and .NET's System.Text.Json.
_GSON, _DOTNET = "<>&='", "+\"'<>&`"
# Go's html/template and Jinja write numbers where html.escape writes names.
_NUMBERED = "+\"'"
_HTML_NAMES = {'"': "quot", "&": "amp", "'": "apos", "<": "lt", ">": "gt", "+": "plus", "=": "equals", "/": "sol"}
_OTHERWISE = {" ": r"\+", "+": " ", "\n": r"\\{1,7}n", "\r": r"\\{1,7}r", "\t": r"\\{1,7}t"}


def echoed_forms(secret: str) -> set[str]:
    """
    Return *secret* as it stands and as it is echoed: percent- and form-encoded, JSON- and HTML-escaped, base64.

    A private key is sent to nobody who could echo it: of that, only what a log or an error would show.

    >>> sorted(echoed_forms("a b"))
    ['YSBi', 'a b', 'a%20b', 'a+b']
    """
    in_json = json.dumps(secret)[1:-1]
    if is_private_key(secret):
        return {secret, in_json}
    encoded = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    lower_case = {re.sub("%[0-9A-F]{2}", lambda escape: escape[0].lower(), text) for text in encoded}
    escaped = {
        in_json,
        json.dumps(secret, ensure_ascii=False)[1:-1],
        in_json.replace("/", r"\/"),  # PHP
        _escaped(in_json, _GSON, r"\u{:04x}"),
        _escaped(in_json.replace(r"\"", '"'), _DOTNET, r"\u{:04X}"),
        html.escape(secret),
        _escaped(html.escape(secret, quote=False), _NUMBERED, "&#{};"),
        *(repr(secret.encode(charset, "ignore"))[2:-1] for charset in ("utf-8", "latin-1")),
    }
    return {secret, *_decoded(secret), *encoded, *lower_case, *escaped, *base64_forms(secret)}


def patterns_of(secret: str) -> dict[str, str]:
    """Return texts, *secret* and what comes of it, each with a pattern that finds it however it is escaped."""
    if is_private_key(secret):
        return {form: re.escape(form) for form in echoed_forms(secret)}
    return {text: _pattern_of(text) for text in {secret, *_decoded(secret), *base64_forms(secret)}}


def base64_forms(secret: str) -> set[str]:
    """Return *secret* as base64, of both alphabets and without padding."""
    return {code(secret.encode()).decode().rstrip("=") for code in (base64.b64encode, base64.urlsafe_b64encode)}


def is_private_key(secret: str) -> bool:
    """Whether *secret* is a PEM or a JWK."""
    return "PRIVATE KEY-----" in secret or '"kty"' in secret


def _decoded(secret: str) -> set[str]:
    # A lax server decodes what it was sent raw. Of a short secret that may be a single letter, found everywhere.
    return {unquote(secret), unquote_plus(secret)} if len(secret) >= 8 else set()


def _escaped(text: str, characters: str, escape: str) -> str:
    return "".join(escape.format(ord(character)) if character in characters else character for character in text)


def _pattern_of(text: str) -> str:
    return "".join(_pattern_of_run(character, len(list(run))) for character, run in groupby(text))


@lru_cache(maxsize=256)
def _pattern_of_run(character: str, length: int) -> str:
    """Return a pattern of *character*, *length* times; repetitions are bounded, lest a text make it slow."""
    # No encoder touches these.
    if character.isascii() and (character.isalnum() or character in "-._"):
        return re.escape(character) * length
    number, utf8, latin1 = ord(character), character.encode(errors="ignore"), character.encode("latin-1", "ignore")
    # What escapes may be escaped again: JSON in JSON, a URL in a URL.
    as_bytes = [
        "".join(f"{escape}{_in_any_case(f'{byte:02x}')}" for byte in encoded)
        for encoded in {utf8, latin1} - {b""}
        for escape in ("%(?:25){0,3}", r"\\{1,4}x")
    ]
    in_html = [f"#0*{number}", f"#[xX]0*{_in_any_case(f'{number:x}')}", _HTML_NAMES.get(character)]
    alternatives = [
        *as_bytes,
        "".join(rf"\\{{1,7}}u{_in_any_case(f'{unit:04x}')}" for unit in _utf16(number)),
        *(rf"(?:&|\\{{1,7}}u0026)(?:amp;){{0,3}}{name};" for name in in_html if name),
        *filter(None, [_OTHERWISE.get(character)]),
    ]
    if character == "\\":
        # One run of them, not each with escapes of its own.
        return rf"(?:\\{{{length},{8 * length}}}|(?:{'|'.join(alternatives)}){{{length}}})"
    raw = rf"\\{{0,7}}{re.escape(character)}"
    return f"(?:{'|'.join([raw, *alternatives])}){{{length}}}"


def _utf16(number: int) -> tuple[int, ...]:
    """Return a character's UTF-16 code units, without the codec: that is a module to be found and read."""
    beyond = number - 0x10000
    return (number,) if beyond < 0 else (0xD800 + (beyond >> 10), 0xDC00 + (beyond & 0x3FF))


def _in_any_case(digits: str) -> str:
    return "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in digits)
