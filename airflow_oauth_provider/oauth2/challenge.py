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

    It does with ``error="invalid_token"`` (RFC 6750 §3.1), with a bare challenge of our scheme, which some servers
    send, and without any challenge; not when the server asks for another scheme or complains about the request.
    """
    challenges = parse_challenges(header or "")
    if not challenges:
        return True
    ours = [challenge for challenge in challenges if challenge.scheme == scheme]
    return any(challenge.parameters.get("error", "invalid_token") == "invalid_token" for challenge in ours)


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
