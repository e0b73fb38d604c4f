"""Keeping secrets out of texts: our own messages, and by way of Airflow's masker everybody's logs."""

from __future__ import annotations

import re
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_oauth_provider import airflow_access
from airflow_oauth_provider.echoes import base64_forms, echoed_forms, patterns_of

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK = "***"
MAX_SERVER_TEXT = 200
_SHORTEST_CUT = 4

# Airflow keeps what it masks for the life of the process, and compiles all of it anew with each new value (2 ms per
# 1,000 characters): a triggerer lives for months and sees a token every hour for each connection, and the page of
# tokens reads all connections in one process.
_MAX_MASKED_CHARACTERS = 32 * 1024
# By the hash of each value what was handed over with it; what was used longest ago comes first.
_handed_over: dict[int, _Batch] = {}
_owed: list[str] = []


class Redactor:
    """
    Replaces secrets in texts, in all the forms in which they are echoed.

    :param secrets: values to hide; empty ones are passed over
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        present = [secret for secret in secrets if secret]
        # The longest first: a form may be part of another, and what is left of that would give it away.
        self._forms = sorted({form for secret in present for form in echoed_forms(secret)}, key=len, reverse=True)
        patterns = {text: pattern for secret in present for text, pattern in patterns_of(secret).items()}
        alternatives = "|".join(patterns[text] for text in sorted(patterns, key=len, reverse=True))
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


def mask_in_airflow(secrets: Iterable[str] = ()) -> None:
    """
    Hand *secrets*, in all the forms in which they are echoed, to Airflow's log masking; once a process each.

    The newest stay masked, so many that a process that lives for long is not slowed down, and always those that came
    last. Where only the main thread may tell the task's supervisor, it does so for the others when it is next here.
    """
    if not secrets and not _owed:
        return
    new = []
    for secret in filter(None, secrets):
        batch = _handed_over.get(hash(secret))
        if batch is None:
            new.append(secret)
        else:
            _put_last(batch)
    if threading.current_thread() is threading.main_thread():
        while _owed:
            new.append(_owed.pop())
    elif not airflow_access.threads_may_ask():
        _owed.extend(new)
        return
    if new:
        _hand_over(new)


@dataclass(frozen=True)
class _Batch:
    """
    Values that were handed over in one call, which are forgotten together.

    :param patterns: what Airflow's masker has got for them, and had not before
    :param characters: of all their forms
    """

    values: tuple[int, ...]
    patterns: frozenset[str]
    characters: int


def _put_last(batch: _Batch) -> None:
    for value in batch.values:
        _handed_over.pop(value, None)
        _handed_over[value] = batch


def _hand_over(secrets: list[str]) -> None:
    from airflow.providers.common.compat.sdk import mask_secret

    masked = _masked_by_airflow()
    # One call for all: each is a message to the task's supervisor. Without base64, as which a secret travels together
    # with its client id alone, and that pair is handed over for itself: Airflow compiles a pattern for each form.
    forms = sorted({form for secret in secrets for form in echoed_forms(secret) - base64_forms(secret)})
    characters = sum(map(len, forms))
    while _handed_over and _characters() + characters > _MAX_MASKED_CHARACTERS:
        if masked is None:
            return  # nobody can take anything out: then no more goes in
        oldest = list(_handed_over.values())[0]  # noqa: RUF015  # in one step, for other threads' sake
        for value in oldest.values:
            _handed_over.pop(value, None)
        masked -= oldest.patterns
    before = set(masked or ())
    mask_secret([*forms])
    # Others may add theirs at the same time; and a password that Airflow masks itself was there before.
    ours = set(map(_unescaped, forms))
    added = frozenset(pattern for pattern in set(masked or ()) - before if _unescaped(pattern) in ours)
    _put_last(_Batch(tuple({hash(secret) for secret in secrets}), added, characters))


def _characters() -> int:
    """Return the length of all that is handed over; a batch is remembered under each of its values."""
    return sum({id(batch): batch.characters for batch in list(_handed_over.values())}.values())


def _unescaped(pattern: str) -> str:
    return pattern.replace("\\", "")


def _masked_by_airflow() -> set[str] | None:
    """Return the patterns of Airflow's masker; it offers no way to take one out."""
    for name in (
        "airflow.sdk._shared.secrets_masker",
        "airflow.sdk.execution_time.secrets_masker",  # 3.0
        "airflow.utils.log.secrets_masker",  # 2.11
    ):
        masker = getattr(sys.modules.get(name), "_secrets_masker", None)
        if masker is not None:
            patterns = getattr(masker(), "patterns", None)
            return patterns if isinstance(patterns, set) else None
    return None
