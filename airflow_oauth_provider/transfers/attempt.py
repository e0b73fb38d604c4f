"""Which try of which task instance is at work."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


@dataclass(frozen=True)
class Attempt:
    """
    Which try of which task instance this is.

    A retry has the ``max_tries`` of the try before; a Clear raises it, and counts in ``clear_number``.
    """

    key: str
    number: int
    max_tries: int
    clear_number: int | None

    @classmethod
    def of(cls, context: Context) -> Self:
        """Return what *context* says of it."""
        ti: Any = context["ti"]
        identity = [ti.dag_id, ti.run_id, ti.task_id, getattr(ti, "map_index", -1)]
        return cls(
            hashlib.sha256(json.dumps(identity).encode()).hexdigest(),
            ti.try_number,
            getattr(ti, "max_tries", 0) or 0,
            getattr(context.get("dag_run"), "clear_number", None),
        )

    def retries(self, state: dict[str, Any]) -> bool:
        """Whether this is a later try of the run that wrote *state*, without a Clear between them."""
        same = state.get("max_tries") == self.max_tries and state.get("clear_number") == self.clear_number
        return same and state.get("try", self.number) < self.number
