"""PEM (RFC 7468) as people and forms leave it: its newlines lost, written as two characters, or in Windows' way."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_BEGIN = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_PRIVATE_MEMBER = re.compile(r'"d"\s*:\s*"')
_WRITTEN_NEWLINE = re.compile(r"(?<!\\)\\{1,8}[nr]")
# RFC 1421 §4.6.1. The initialisation vector has 16 or 32 digits: what follows may be glued to it.
_ENCRYPTION = re.compile(
    r"\s*Proc-Type:\s*4,\s*ENCRYPTED\s*DEK-Info:\s*([A-Z0-9-]+),\s*((?:[0-9A-F]{16}){1,2})", re.IGNORECASE
)
_LINE_LENGTH = 64


@dataclass(frozen=True)
class Block:
    """
    One block of a PEM text.

    :param label: e.g. ``EC PRIVATE KEY``
    :param body: headers and base64, in lines again
    """

    label: str
    body: str = field(repr=False)

    @property
    def is_private_key(self) -> bool:
        """Whether it is a private key of any format."""
        return self.label.endswith("PRIVATE KEY")

    @property
    def is_encrypted(self) -> bool:
        """Whether a passphrase is needed."""
        return self.label.startswith("ENCRYPTED") or "ENCRYPTED" in self.body.partition("\n")[0]

    @property
    def text(self) -> str:
        """The block as a library reads it."""
        return f"-----BEGIN {self.label}-----\n{self.body}\n-----END {self.label}-----\n"


def holds_private_key(text: str) -> bool:
    """Whether a PEM or a JWK (RFC 7517 §9.3) with its private member stands anywhere in *text*."""
    return bool(_PRIVATE_KEY.search(text) or ('"kty"' in text and _PRIVATE_MEMBER.search(text)))


def blocks_of(text: str) -> list[Block]:
    """Return the PEM blocks of *text*, whatever stands around them."""
    mended = _WRITTEN_NEWLINE.sub("\n", text)
    blocks: list[Block] = []
    position = 0
    while begin := _BEGIN.search(mended, position):
        position, end = begin.end(), f"-----END {begin[1]}-----"
        ends_at = mended.find(end, position)
        if ends_at >= 0:
            blocks.append(Block(begin[1], _in_lines(mended[position:ends_at])))
            position = ends_at + len(end)
    return blocks


def _in_lines(body: str) -> str:
    encryption = _ENCRYPTION.match(body)
    headers = f"Proc-Type: 4,ENCRYPTED\nDEK-Info: {encryption[1]},{encryption[2]}\n\n" if encryption else ""
    base64 = "".join((body[encryption.end() :] if encryption else body).split())
    lines = (base64[start : start + _LINE_LENGTH] for start in range(0, len(base64), _LINE_LENGTH))
    return headers + "\n".join(lines)
