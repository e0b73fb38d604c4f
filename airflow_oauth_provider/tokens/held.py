"""A token in a process's memory."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_oauth_provider.tokens.windows import advisory_window_s, mandatory_window_s

if TYPE_CHECKING:
    from airflow_oauth_provider.oauth2.token import AccessToken


@dataclass(frozen=True)
class HeldToken:
    """
    A token and when it ends here.

    :param ends_at: by the monotonic clock, which no one sets back
    :param mandatory_s: so long before its end it is not used any more
    :param advisory_s: so long before its end this process looks after the next one
    """

    token: AccessToken
    ends_at: float
    mandatory_s: float
    advisory_s: float

    @classmethod
    def make(
        cls, token: AccessToken, life_s: float, *, leeway_s: float, key: str, generation: int, shared: bool
    ) -> HeldToken:
        """
        Return *token*, which lives for another *life_s* seconds.

        :param key: under which it is stored
        :param shared: another process fetched it, whose clock may differ
        """
        mandatory_s = mandatory_window_s(token.lifetime_s, leeway_s, shared=shared)
        advisory_s = advisory_window_s(token.lifetime_s, key, generation)
        # Not all processes at one moment: the first one refreshes, and the others find its token.
        spread_s = min(30.0, max(0.0, advisory_s - mandatory_s) / 2)
        return cls(
            token=token,
            ends_at=time.monotonic() + life_s,
            mandatory_s=mandatory_s,
            advisory_s=advisory_s - random.random() * spread_s,
        )

    def life_s(self) -> float:
        """Return the seconds until its end, by whichever clock says less."""
        return min(self.ends_at - time.monotonic(), self.token.expires_at - time.time())

    @property
    def usable(self) -> bool:
        """Whether it is good for the next call."""
        return self.life_s() > self.mandatory_s

    @property
    def due(self) -> bool:
        """Whether it is time to refresh it ahead of its end."""
        return self.life_s() <= self.advisory_s
