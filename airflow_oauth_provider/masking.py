"""Keeping secrets out of texts: our own messages, and by way of Airflow's masker everybody's logs."""

from __future__ import annotations

import base64
import html
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import JsonValue

MASK = "***"
MAX_SERVER_TEXT = 200
_SHORTEST_CUT = 4

# Airflow keeps what it masks for the life of the process, and a triggerer lives for months.
_MAX_REMEMBERED = 10_000
_handed_over: set[int] = set()


def echoed_forms(secret: str) -> set[str]:
    """
    Return *secret* as it stands and as servers echo it: percent- and form-encoded, JSON- and HTML-escaped, base64.

    >>> sorted(echoed_forms("a b&"))
    ['YSBiJg', 'a b&', 'a b&amp;', 'a%20b%26', 'a+b%26']
    """
    encoded = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    lower_case = {re.sub("%[0-9A-F]{2}", lambda escape: escape[0].lower(), text) for text in encoded}
    escaped = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], html.escape(secret)}
    # A lax server decodes what it was sent raw. Of a short secret that may be a single letter, found everywhere.
    decoded = {unquote(secret)} if len(secret) >= 8 else set()
    return {secret, *decoded, *encoded, *lower_case, *escaped, *_coded(secret)}


def _coded(secret: str) -> set[str]:
    return {code(secret.encode()).decode().rstrip("=") for code in (base64.b64encode, base64.urlsafe_b64encode)}


class Redactor:
    """
    Replaces secrets in texts, in all the forms in which they are echoed.

    :param secrets: values to hide; empty ones are passed over
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets if secret for form in echoed_forms(secret)}
        # The longest first: a form may be part of another, and what is left of that would give it away.
        self._forms = sorted(forms, key=len, reverse=True)
        alternatives = "|".join(map(re.escape, self._forms))
        self._pattern = re.compile(alternatives) if alternatives else None

    def __call__(self, text: str) -> str:
        """Return *text* with every secret replaced by ``***``."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    def server_text(self, text: str, limit: int = MAX_SERVER_TEXT) -> str:
        """Return a server's *text* fit for a log: masked, control characters escaped, cut to *limit* characters."""
        # Masked before it is cut, lest a cut secret slip through; cut roughly first, lest a long body cost time.
        masked = escape_control_characters(self._without_cut_secret(self(text[: 20 * limit])).strip())
        return masked if len(masked) <= limit else masked[: limit - 1] + "…"

    def _without_cut_secret(self, text: str) -> str:
        """Return *text* without the beginning of a secret at its end, where somebody cut it."""
        bare = text.rstrip("\ufffd…. ")
        for form in self._forms:
            for length in range(min(len(form) - 1, len(bare)), _SHORTEST_CUT - 1, -1):
                if bare.endswith(form[:length]):
                    return bare[:-length] + MASK
        return text


def escape_control_characters(text: str) -> str:
    r"""
    Return *text* on one line, with nothing in it that a terminal or a log reader obeys.

    >>> escape_control_characters("ok\n[2026-01-01] INFO forged")
    'ok\\n[2026-01-01] INFO forged'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def mask_in_airflow(secrets: Iterable[str]) -> None:
    """Hand *secrets*, in all the forms in which they are echoed, to Airflow's log masking; once a process each."""
    new = [secret for secret in secrets if secret and hash(secret) not in _handed_over]
    if len(_handed_over) + len(new) > _MAX_REMEMBERED:
        _handed_over.clear()
    _handed_over.update(hash(secret) for secret in new)
    if not new:
        return
    from airflow.providers.common.compat.sdk import mask_secret

    # One call for all: each is a message to the task's supervisor. Without base64, as which a secret travels together
    # with its client id alone, and that pair is handed over for itself: Airflow compiles a pattern for each form.
    forms: list[JsonValue] = [*sorted({form for secret in new for form in echoed_forms(secret) - _coded(secret)})]
    mask_secret(forms)
