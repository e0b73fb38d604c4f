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
# So many characters would take seconds to be looked for in each escape of theirs, and no server echoes them whole.
_LONG = 4096
_OTHERWISE = {" ": r"\+", "+": " "}
_BY_LETTER = {"\n": "n", "\r": "r", "\t": "t"}


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
    if is_private_key(secret) or len(secret) > _LONG:
        return {form: re.escape(form) for form in echoed_forms(secret)}
    return {text: _pattern_of(text) for text in {secret, *_decoded(secret), *base64_forms(secret)}}


def base64_forms(secret: str) -> set[str]:
    """Return *secret* as base64, of both alphabets and without padding."""
    return {code(secret.encode()).decode().rstrip("=") for code in (base64.b64encode, base64.urlsafe_b64encode)}


def is_private_key(secret: str) -> bool:
    """Whether *secret* is a PEM, as which keys are held. What only looks like one, a JWK say, may have been sent."""
    return "PRIVATE KEY-----" in secret


def _decoded(secret: str) -> set[str]:
    # A lax server decodes what it was sent raw. Of a short secret that may be a single letter, found everywhere.
    return {unquote(secret), unquote_plus(secret)} if len(secret) >= 8 else set()


def _escaped(text: str, characters: str, escape: str) -> str:
    return "".join(escape.format(ord(character)) if character in characters else character for character in text)


def _pattern_of(text: str) -> str:
    pattern, before = "", ""
    for character, run in groupby(text):
        pattern += _pattern_of_run(character, len(list(run)), before == "\\")
        before = character
    return pattern


@lru_cache(maxsize=512)
def _pattern_of_run(character: str, length: int, behind_backslashes: bool) -> str:  # noqa: FBT001  # the key of the cache
    """
    Return a pattern of *character*, *length* times.

    Repetitions are bounded, and there is one way only to share backslashes out: else a text would make it slow.

    :param behind_backslashes: the run of backslashes before has taken those that escape the first *character*
    """
    # No encoder touches these.
    if character.isascii() and (character.isalnum() or character in "-._"):
        return re.escape(character) * length
    escapes = "|".join(_escapes_of(character))
    # What it looks like unescaped comes last: it may be the beginning of an escape, whose end would be left over.
    if character == "\\":
        # One run of them, not each with escapes of its own; with those of the character behind, and never given back.
        return rf"(?:(?:{escapes}){{{length}}}|\\{{{length},{8 * length + 7}}}+)"
    raw = rf"\\{{0,7}}{re.escape(character)}"
    one = f"(?:{escapes}|{raw}){{{length}}}"
    if not behind_backslashes:
        return one
    first = f"(?:{'|'.join([*_escapes_of(character, 0), raw])})"
    return first + (_pattern_of_run(character, length - 1, False) if length > 1 else "")  # noqa: FBT003


def _escapes_of(character: str, least: int = 1) -> list[str]:
    """Return patterns of what stands for *character*; those that begin with backslashes, with *least* or more."""
    number, utf8, latin1 = ord(character), character.encode(errors="ignore"), character.encode("latin-1", "ignore")
    # What escapes may be escaped again: JSON in JSON, a URL in a URL.
    slashes = rf"\\{{{least},7}}"
    as_bytes = [
        "".join(f"{escape if place else at_first}{_in_any_case(f'{byte:02x}')}" for place, byte in enumerate(encoded))
        for encoded in {utf8, latin1} - {b""}
        for at_first, escape in (["%(?:25){0,3}"] * 2, (rf"{slashes}x", r"\\{1,7}x"))
    ]
    units = [_in_any_case(f"{unit:04x}") for unit in _utf16(number)]
    in_html = [f"#0*{number}", f"#[xX]0*{_in_any_case(f'{number:x}')}", _HTML_NAMES.get(character)]
    return [
        *as_bytes,
        *(rf"(?:&|{slashes}u0026)(?:amp;){{0,3}}{name};" for name in in_html if name),
        rf"{slashes}u" + r"\\{1,7}u".join(units),
        *(f"{slashes}{letter}" for letter in filter(None, [_BY_LETTER.get(character)])),
        *filter(None, [_OTHERWISE.get(character)]),
    ]


def _utf16(number: int) -> tuple[int, ...]:
    """Return a character's UTF-16 code units, without the codec: that is a module to be found and read."""
    beyond = number - 0x10000
    return (number,) if beyond < 0 else (0xD800 + (beyond >> 10), 0xDC00 + (beyond & 0x3FF))


def _in_any_case(digits: str) -> str:
    return "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in digits)
