"""The Link header (RFC 8288 §3): what requests brings reads only its simplest forms."""

from __future__ import annotations

import re

_TARGET = re.compile(r"[\s,]*<([^>]*)>")
_PARAMETER = re.compile(r"""\s*;\s*([^\s=;,"<>]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*)))?""")
_REST = re.compile(r"""(?:"(?:[^"\\]|\\.)*"|[^",<])*""")


def link_targets(header: str) -> dict[str, str]:
    """
    Return relation types in lower case and their targets.

    A link can have several types; of links with the same type the first counts, and of two ``rel`` of a link, too.
    """
    found: dict[str, str] = {}
    position = 0
    while link := _TARGET.match(header, position):
        position, rel = link.end(), None
        while parameter := _PARAMETER.match(header, position):
            position = parameter.end()
            name, quoted, token = parameter.groups()
            if name.lower() == "rel" and rel is None:
                rel = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else token or ""
        for kind in (rel or "").lower().split():
            found.setdefault(kind, link[1].strip())
        rest = _REST.match(header, position)
        position = rest.end() if rest else len(header)
    return found
