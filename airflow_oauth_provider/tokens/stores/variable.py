"""``variable://``: Airflow's Variables, so that fleets without a Redis share tokens, too."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
import time

from airflow_oauth_provider import airflow_access
from airflow_oauth_provider.tokens.stores.base import LEASE_S, MAX_ENTRY_BYTES, Counts, Entry, Lease

CLAIM_WAIT_S, _MAX_CLAIM_WAIT_S = 0.5, 2.0
# An operation is three requests to Airflow's API server at most, of two seconds each, and the wait between them.
TIMEOUT_S = 3 * 2.0 + _MAX_CLAIM_WAIT_S
# Each look is a request to Airflow's API server, and every waiting task takes one.
POLL_S = 1.0
_CLOCK_SKEW_S = 60.0
_DESCRIPTION = "airflow-oauth-provider: encrypted, shared between tasks; may be deleted at any time"


class VariableStore:
    """
    A Variable an entry: its generation, and the sealed bytes as base64.

    Variables know no compare and set, so nothing here is one step. In place of a lease there is a claim: whoever still
    finds its own after half a second fetches. Now and then two do, when Airflow's API server is very slow.
    """

    def describe(self) -> str:
        """Return the store's URL."""
        return "variable://"

    def read(self, name: str) -> Entry:
        """Return the entry under *name*; what is not in our format is a miss."""
        generation, _, text = (airflow_access.variable(_key(name)) or "").partition(":")
        if not _is_number(generation) or len(text) > 2 * MAX_ENTRY_BYTES:
            return Entry()
        try:
            sealed = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            return Entry()
        return Entry(int(generation), sealed or None)

    def write(self, name: str, sealed: bytes | None, *, expected: int | None, ttl_s: float) -> bool:  # noqa: ARG002
        """Store *sealed* with the next generation; a Variable stays when its entry has ended."""
        generation = self.read(name).generation
        if expected is not None and expected != generation:
            return False
        text = base64.b64encode(sealed or b"").decode()
        airflow_access.set_variable(_key(name), f"{generation + 1}:{text}", _DESCRIPTION)
        return True

    def try_lease(self, name: str, lasts_s: float = LEASE_S) -> Lease | None:
        """
        Return the lease on *name* when nobody claims it; this takes half a second.

        :raises LookupError: a Variable cannot be read back: everybody would wait for a lease that nobody has
        """
        key, began = _key(f"{name}.lease"), time.monotonic()
        if _claimed(airflow_access.variable(key), time.time()):
            return None
        # All claims are as old as a whole lease when they end: a shorter one begins as an older one.
        claim = f"{secrets.token_hex(8)}:{time.time() - (LEASE_S - min(lasts_s, LEASE_S)):.3f}"
        airflow_access.set_variable(key, claim, _DESCRIPTION)
        time.sleep(_wait_s(time.monotonic() - began))
        found = airflow_access.variable(key)
        if found is None:
            raise LookupError(
                "a Variable cannot be read after it was written: is it another team's? Give each team an [oauth2] "
                "token_store_prefix"
            )
        return _Claim(key, claim) if found == claim else None

    def count(self, name: str, *, made: int = 0, saved: int = 0) -> None:  # noqa: ARG002
        """Count requests that were made; to count those that were saved would cost more than it tells."""
        if made:
            total = (self.counts(name).made or 0) + made
            airflow_access.set_variable(_key(f"{name}.count"), str(total), _DESCRIPTION)

    def counts(self, name: str) -> Counts:
        """Return the counts under *name*."""
        text = airflow_access.variable(_key(f"{name}.count"))
        return Counts(made=int(text) if text and _is_number(text) else 0, saved=None)


class _Claim:
    def __init__(self, key: str, claim: str) -> None:
        self._key = key
        self._claim = claim

    def release(self) -> None:
        if airflow_access.variable(self._key) == self._claim:
            airflow_access.set_variable(self._key, "", _DESCRIPTION)


def _key(name: str) -> str:
    # Hashed: Airflow masks the value of a Variable whose name holds "token" in every log, and each value it masks stays
    # in a triggerer's memory.
    return f"oauth2-shared-{hashlib.sha256(name.encode()).hexdigest()[:40]}"


def _wait_s(took_s: float) -> float:
    """
    Return how long to wait after a claim.

    Whoever found no claim before ours was written has its own on the way, which takes others as long as it took us.

    :param took_s: seconds from looking for a claim to having written ours
    """
    return max(CLAIM_WAIT_S, min(3 * took_s, _MAX_CLAIM_WAIT_S))


def _claimed(text: str | None, now: float) -> bool:
    try:
        at = float((text or "").partition(":")[2])
    except ValueError:
        return False
    return -_CLOCK_SKEW_S <= now - at <= LEASE_S


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18
