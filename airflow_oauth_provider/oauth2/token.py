"""An access token as this package holds it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn

from airflow_oauth_provider.exceptions import TokenExposureError

if TYPE_CHECKING:
    from airflow_oauth_provider.oauth2.dpop import ProofKey

_SHOWN_SCOPE = 2000


class AccessToken:
    """
    A token and what the server said of it (RFC 6749 §5.1).

    ``repr`` shows type, scope, expiry and a fingerprint, never a part of the token. Serializing or pickling raises
    :class:`TokenExposureError`, so that ``return hook.get_token()`` cannot put a token into an XCom. And it is no
    dataclass: ``asdict`` and JSON logging would write one out, be it part of another object, without asking it.

    :param value: the token itself, one or more characters 0x21-0x7E
    :param token_type: as the server wrote it, e.g. ``Bearer``
    :param scope: granted scope, blank-separated; the requested one when the server did not say (RFC 6749 §5.1)
    :param issued_at: when it was asked for, epoch seconds
    :param expires_at: end of life, epoch seconds
    :param proof_key: the key to which it is bound (RFC 9449); None for a Bearer token
    :param base_url: of the API, where the server named it beside the token
    :param end_is_guessed: the server said that nothing is left of it, which is believed of a known token alone
    """

    def __init__(
        self,
        value: str,
        *,
        token_type: str,
        scope: str | None,
        issued_at: float,
        expires_at: float,
        proof_key: ProofKey | None = None,
        base_url: str | None = None,
        end_is_guessed: bool = False,
    ) -> None:
        self.value: Final = value
        self.token_type: Final = token_type
        self.scope: Final = scope
        self.issued_at: Final = issued_at
        self.expires_at: Final = expires_at
        self.proof_key: Final = proof_key
        self.base_url: Final = base_url
        self.end_is_guessed: Final = end_is_guessed

    @property
    def scheme(self) -> str:
        """How it stands in the ``Authorization`` header."""
        return "Bearer" if self.proof_key is None else "DPoP"

    @property
    def lifetime_s(self) -> float:
        """Granted lifetime, seconds."""
        return self.expires_at - self.issued_at

    @property
    def fingerprint(self) -> str:
        """First six hexadecimal digits of the token's SHA-256: enough to tell two tokens apart in a log."""
        return hashlib.sha256(self.value.encode()).hexdigest()[:6]

    def __setattr__(self, name: str, value: object) -> None:
        if name in vars(self):
            raise AttributeError("An access token is not changed.")
        super().__setattr__(name, value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AccessToken) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(tuple(vars(self).values()))

    def aged(self, issued_at: float, expires_at: float) -> AccessToken:
        """Return this token with the times that are known of it."""
        return AccessToken(
            self.value,
            token_type=self.token_type,
            scope=self.scope,
            issued_at=issued_at,
            expires_at=expires_at,
            proof_key=self.proof_key,
            base_url=self.base_url,
        )

    def __repr__(self) -> str:
        expires = datetime.fromtimestamp(self.expires_at, tz=UTC).isoformat(timespec="seconds")
        scope = self.scope
        shown = scope if scope is None or len(scope) <= _SHOWN_SCOPE else f"{scope[: _SHOWN_SCOPE - 1]}…"
        bound = "" if self.proof_key is None else f", bound to {self.proof_key!r}"
        return (
            f"AccessToken(token_type={self.token_type!r}, scope={shown!r}, expires_at={expires}, "
            f"fingerprint={self.fingerprint}{bound})"
        )

    def serialize(self) -> NoReturn:
        """Refuse, because Airflow calls this to put a returned object into an XCom."""
        raise TokenExposureError(
            "An access token cannot be stored in an XCom: it would lie in the metadata database in clear text. "
            "Use the token inside the task; every task gets the same one from its own OAuth2Hook."
        )

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TokenExposureError(
            "An access token cannot be pickled or copied out of its process. Pass the connection id on instead and "
            "call OAuth2Hook(oauth2_conn_id=…).get_token() there."
        )
