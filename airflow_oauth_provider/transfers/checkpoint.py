"""Where a transfer is, so that a retry goes on from there: request, counts and what the sink needs; never a token."""

from __future__ import annotations

import json
from collections import deque
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException

from airflow_oauth_provider.exceptions import SettingsError, TransientError
from airflow_oauth_provider.transfers.attempt import Attempt
from airflow_oauth_provider.transfers.watermark import from_text, to_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.providers.common.compat.sdk import Context

    from airflow_oauth_provider.pull.plan import Position
    from airflow_oauth_provider.pull.progress import Progress
    from airflow_oauth_provider.pull.request import PageRequest

_STORE_KEY = "oauth2_transfer"
_TRY_KEY = "oauth2_transfer_try"


class Checkpoint:
    """
    The checkpoint of one run of a transfer.

    ``resumed`` is what the sink saved in the former try, None when this one starts over; ``records`` is how many of
    the run's records were safe then. ``left_behind`` is how many records the former try of this run made safe when it
    asked for something else, so that nobody can go on from there.

    :param context: of the task
    :param begun: the request for the first page
    :param digest: of everything that must be the same for a retry to go on: request, destination, interval
    :param resume: False starts over, and keeps nothing
    :param safe_to_store: whether a text holds no secret
    :param log: takes why a retry starts over
    """

    def __init__(
        self,
        context: Context,
        begun: PageRequest,
        *,
        digest: str,
        resume: bool,
        safe_to_store: Callable[[str], bool],
        log: Any,
    ) -> None:
        self._attempt = Attempt.of(context)
        self._begun = begun
        self._digest = digest
        self._safe_to_store = safe_to_store
        self._log = log
        self._store: Any = context.get("task_state_store") if resume else None
        # Stays when no checkpoint can be kept: Airflow still says whether this try counts.
        self._fence: Any = self._store
        self._positions: deque[Position] = deque()
        self.progress: Progress | None = None
        self.watermark: Any = None
        self.state_of_former_try: dict[str, Any] = {}
        self.resumed: dict[str, Any] | None = None
        self.records = self.left_behind = 0
        if self.active:
            self.adopt(self._read())
        elif self._attempt.number > 1:
            why = "Airflow before 3.3 keeps no checkpoints" if resume else "resume=False"
            log.info("This try starts over: %s.", why)

    @property
    def key(self) -> str:
        """What names this task instance everywhere: hexadecimal."""
        return self._attempt.key

    @property
    def attempt_number(self) -> int:
        """The number of this try."""
        return self._attempt.number

    @property
    def active(self) -> bool:
        """Whether a retry could go on from here."""
        return self._store is not None

    # The former try ---------------------------------------------------------------------------------------------------

    def adopt(self, state: dict[str, Any] | None) -> bool:
        """
        Go on from *state*, and return whether it is of this very transfer and run.

        :param state: what :meth:`state` returned in a former try
        """
        if not state:
            return False
        try:
            is_retry = self._attempt.retries(state)
            resumed, records, watermark = dict(state["sink"]), int(state["records"]), from_text(state["watermark"])
            fits = is_retry and state["digest"] == self._digest and _has_page(state)
        except (KeyError, TypeError, ValueError):
            is_retry, records, fits = False, 0, False
        if not fits:
            self.left_behind = max(self.left_behind, records if is_retry else 0)
            self._log.info("This try starts over: the checkpoint is of another request, or the task was cleared.")
            return False
        self.state_of_former_try = state
        self.resumed, self.records, self.watermark = resumed, records, watermark
        return True

    def start_over(self) -> None:
        """Forget what was to be gone on from."""
        self.state_of_former_try = {}
        self.resumed, self.records, self.watermark = None, 0, None
        self._positions.clear()
        self.clear()

    def position(self) -> Position | None:
        """Return where the pull goes on, None for its beginning."""
        from airflow_oauth_provider.pull.plan import Position

        state = self.state_of_former_try
        if not state or state["page"] is None:
            return None
        page = state["page"]
        request = self._begun.with_changes(page["changes"])
        return Position(request, page["number"], page["records"], self.records - page["records"])

    # This try ---------------------------------------------------------------------------------------------------------

    def at_page(self, position: Position, *, only: bool = False) -> None:
        """
        Know that records from this page come next.

        :param only: nothing will be saved that could end in a page before
        """
        if only or not self.active:
            self._positions.clear()
        self._positions.append(position)

    def state(self, records: int, sink: dict[str, Any], *, done: bool = False) -> dict[str, Any]:
        """
        Return the state in which the first *records* of the run are safe; JSON can hold it.

        :param sink: what the sink needs to go on
        :param done: no page comes next
        :raises SettingsError: it would hold a secret, which an API put into the link to its next page
        """
        while len(self._positions) > 1 and self._positions[1].records <= records:
            self._positions.popleft()
        page = self.state_of_former_try.get("page")
        if done:
            page = None
        elif self._positions:
            at = self._positions[0]
            page = {"number": at.number, "records": at.records, "changes": at.request.changes_since(self._begun)}
        if not self._safe_to_store(json.dumps(page, default=str)):
            raise SettingsError("The link to a next page holds a secret, so that no checkpoint can be kept.")
        progress = self.progress
        return {
            "digest": self._digest,
            "try": self._attempt.number,
            "max_tries": self._attempt.max_tries,
            "clear_number": self._attempt.clear_number,
            "page": page,
            "records": records,
            "pages": progress.pages if progress else 0,
            "seconds": round(progress.seconds, 3) if progress else 0.0,
            "watermark": to_text(self.watermark),
            "sink": sink,
        }

    def save(self, records: int, sink: dict[str, Any], *, done: bool = False) -> None:
        """
        Write down that the first *records* of the run are safe.

        :raises TransientError: nobody supervises this try any more, so another one may be at work
        """
        if not self.active:
            return
        try:
            text = json.dumps(self.state(records, sink, done=done), default=str)
        except SettingsError as error:
            self._log.warning("%s A retry starts over.", error)
            self.clear()
            self._store = None
            return
        self._set(_STORE_KEY, text)

    def prove(self) -> None:
        """
        Return when this try is still the one that counts: before something that cannot be taken back.

        :raises TransientError: it is not
        """
        if self._fence is not None:
            self._set(_TRY_KEY, str(self._attempt.number))

    def _set(self, key: str, value: str) -> None:
        try:
            self._fence.set(key, value)
        except OSError as error:
            why = f"Airflow cannot be reached any more ({type(error).__name__}): another try may be at work."
        except Exception as error:  # noqa: BLE001  # the next one may be written, and a retry can do without
            if not _is_outlived(error):
                self._log.warning("The checkpoint was not written (%s); a retry may start earlier.", _kind(error))
                return
            why = "Airflow has begun another try of this task, which may be at work by now: this one ends."
        else:
            return
        raise TransientError(why)

    def clear(self) -> None:
        """Forget it: the transfer is done."""
        if self._fence is None:
            return
        try:
            self._fence.delete(_STORE_KEY)
            self._fence.delete(_TRY_KEY)
        except Exception as error:  # noqa: BLE001  # a later Clear starts over all the same
            self._log.warning("The checkpoint was not deleted (%s).", _kind(error))

    def _read(self) -> dict[str, Any] | None:
        try:
            text = self._store.get(_STORE_KEY)
            state = json.loads(text) if isinstance(text, str) else None
            return state if isinstance(state, dict) else None
        except Exception as error:  # noqa: BLE001  # whatever keeps it: a transfer can do without
            self._log.warning("The checkpoint cannot be read (%s): this try starts over.", _kind(error))
            return None


def _has_page(state: dict[str, Any]) -> bool:
    page = state["page"]
    return page is None or {"number", "records", "changes"} <= set(page)


def _is_outlived(error: Exception) -> bool:
    """Whether Airflow does not know this try any more: each has an id of its own."""
    detail = getattr(getattr(error, "error", None), "detail", None)
    return isinstance(detail, dict) and detail.get("status_code") == 404


def _kind(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200] if isinstance(error, AirflowException) else type(error).__name__
