"""What people see of a stored token: everything but the token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_oauth_provider.exceptions import TokenExposureError

if TYPE_CHECKING:
    from airflow_oauth_provider.oauth2.token import AccessToken
    from airflow_oauth_provider.tokens.refusals import Refusal
    from airflow_oauth_provider.tokens.stores.base import Counts


@dataclass(frozen=True)
class TokenStatus:
    """
    The state of one connection's token. Instants are epoch seconds.

    It holds the token: what a task returns or logs is made by :meth:`members`.

    :param store: where it is shared, without a password
    :param works: False when the store cannot be read from here
    :param token: the stored one, ended or not; its value is never part of :meth:`members`
    :param refusal: the last one that is remembered, ended or not
    """

    store: str
    works: bool
    token: AccessToken | None
    refusal: Refusal | None
    counts: Counts

    def serialize(self) -> NoReturn:
        """Refuse, because Airflow calls this to put a returned object into an XCom."""
        raise TokenExposureError(
            "A TokenStatus holds the token, so it cannot be stored in an XCom. "
            "Return its members instead: hook.token_status().members(time.time())."
        )

    def members(self, now: float) -> dict[str, Any]:
        """Return it as JSON members: plain numbers and texts, None where nothing is known."""
        token, refusal = self.token, self.refusal
        return {
            "store": self.store,
            "store_works": self.works,
            "state": self.state(now),
            "age_s": None if token is None else round(max(0.0, now - token.issued_at), 1),
            "issued_at": None if token is None else token.issued_at,
            "expires_at": None if token is None else token.expires_at,
            "scope": None if token is None else token.scope,
            "fingerprint": None if token is None else token.fingerprint,
            "requests_made": self.counts.made,
            "requests_saved": self.counts.saved,
            "refusal": None if refusal is None else refusal.message,
            "refused_at": None if refusal is None else refusal.since,
            "refused_until": None if refusal is None else refusal.until,
        }

    def state(self, now: float) -> str:
        """Return ``unavailable`` (the store), ``refused``, ``valid``, ``expired`` or ``none``."""
        if not self.works:
            return "unavailable"
        if self.refusal is not None and now < self.refusal.until:
            return "refused"
        if self.token is None:
            return "none"
        return "valid" if now < self.token.expires_at else "expired"
