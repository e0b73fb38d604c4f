"""``WWW-Authenticate`` → challenges (RFC 9110 §11.6.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# One element of the list: a parameter, or a scheme with or without its first parameter or token68 behind it.
_PARAMETER = re.compile(rf'\s*({_TOKEN})\s*=\s*("(?:[^"\\]|\\.)*"|{_TOKEN})\s*(?=,|$)')
_SCHEME = re.compile(rf"\s*({_TOKEN})(?:\s+|(?=,)|$)")
_TOKEN68 = re.compile(r"\s*[A-Za-z0-9._~+/-]+=*\s*(?=,|$)")
_REST = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)*')


@dataclass(frozen=True)
class Challenge:
    """
    One challenge.

    :param scheme: lower case
    :param parameters: names in lower case, values unquoted
    """

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_challenges(header: str) -> list[Challenge]:
    """
    Return the challenges of a header, several of them in one included; what cannot be read is passed over.

    >>> [c.scheme for c in parse_challenges('Basic realm="a, b", Bearer error="invalid_token"')]
    ['basic', 'bearer']
    """
    challenges: list[Challenge] = []
    parameters: dict[str, str] = {}
    position, header = 0, header[:8192]
    while position < len(header):
        if header[position] in ", \t":
            position += 1
            continue
        if challenges and (match := _PARAMETER.match(header, position)):
            parameters.setdefault(match[1].lower(), _unquoted(match[2]))
        elif match := _SCHEME.match(header, position):
            parameters = {}
            challenges.append(Challenge(match[1].lower(), parameters))
            if not _PARAMETER.match(header, match.end()) and (token68 := _TOKEN68.match(header, match.end())):
                match = token68
        else:
            match = _REST.match(header, position)
        position = max(match.end() if match else 0, position + 1)
    return challenges


def refuses_token(header: str | None, scheme: str = "bearer") -> bool:
    """
    Whether a 401 with this header means that the token is no good any more.

    It does with ``error="invalid_token"`` (RFC 6750 §3.1, RFC 9449 §7.1), with a bare challenge of our scheme, which
    some servers send, and without any challenge; not when the server asks for another scheme or complains about the
    request or its proof.

    :param scheme: of the request, lower case
    """
    challenges = parse_challenges(header or "")
    if not challenges:
        return True
    errors = _errors(challenges, scheme)
    return "invalid_token" in errors if errors else any(challenge.scheme == scheme for challenge in challenges)


def asks_for_nonce(header: str | None) -> bool:
    """Whether a 401 with this header asks for a proof that holds the server's nonce (RFC 9449 §9)."""
    return "use_dpop_nonce" in _errors(parse_challenges(header or ""), "dpop")


def error_in(header: str | None, scheme: str) -> str | None:
    """Return the error that the challenges of *scheme* name, else the first one of all."""
    challenges = parse_challenges(header or "")
    return next(iter([*_errors(challenges, scheme), *_errors(challenges)]), None)


def _errors(challenges: list[Challenge], scheme: str | None = None) -> list[str]:
    return [c.parameters["error"] for c in challenges if "error" in c.parameters and scheme in (None, c.scheme)]


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
