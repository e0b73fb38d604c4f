"""
The checkpoint in the target database: written in one transaction with the rows, it is right whenever a task is killed.

A row belongs to one try. Whoever takes it over keeps the former try, should that still be alive, from committing.
"""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_oauth_provider.exceptions import PermanentError, TransientError
from airflow_oauth_provider.transfers.tables.statements import Target, insert

if TYPE_CHECKING:
    from airflow_oauth_provider.transfers.checkpoint import Checkpoint
    from airflow_oauth_provider.transfers.tables.database import Database

KEPT_FOR = timedelta(days=30)
_COLUMNS = ("task_key", "owner", "state", "updated_at")
# Types that every database has, and instants as text of one length, which sorts as they do.
_DEFINITION = (
    "(task_key VARCHAR(64) NOT NULL PRIMARY KEY, owner VARCHAR(32) NOT NULL, "
    "state TEXT NOT NULL, updated_at VARCHAR(32) NOT NULL)"
)
_CLAIMS = 3


class CheckpointTable:
    """
    The table, and in it the row of one task instance.

    :param name: with or without its schema
    :param key: of the task instance
    """

    def __init__(self, database: Database, name: str, key: str) -> None:
        self._database = database
        self._key = key
        self._owner = secrets.token_hex(16)
        self._table, value = database.dialect.quote_table(name), database.dialect.placeholder
        self._select = " ".join(["SELECT owner, state FROM", self._table, "WHERE task_key =", value])
        self._delete = " ".join(["DELETE FROM", self._table, "WHERE task_key =", value, "AND owner =", value])
        self._delete_old = " ".join(["DELETE FROM", self._table, "WHERE updated_at <", value])
        self._insert = insert(Target(database.dialect, name, _COLUMNS))
        self._what = f"Table {name!r}"

    def claim(self, checkpoint: Checkpoint) -> None:
        """
        Make the row this try's own, and let *checkpoint* go on from what is in it.

        :raises PermanentError: there is no such table and it cannot be made, or a right to it is missing
        :raises TransientError: others claim it at the same time
        """
        self._prepare()
        for claims_left in reversed(range(_CLAIMS)):
            try:
                if self._took_over(checkpoint):
                    return self._database.commit(self._what)
            except PermanentError:  # somebody else's row was quicker, or a right is missing
                if not claims_left:
                    raise
            self._database.rollback()
        raise self._lost()

    def write(self, state: dict[str, Any]) -> None:
        """
        Write *state* in the open transaction.

        :raises TransientError: another try has taken over; nothing of this transaction may stay
        """
        if not self._replace(self._owner, json.dumps(state)):
            raise self._lost()

    def _prepare(self) -> None:
        try:
            self._forget_old_rows()
        except PermanentError:
            self._database.rollback()
            self._create()
            self._forget_old_rows()

    def _forget_old_rows(self) -> None:
        oldest = _text(datetime.now(UTC) - KEPT_FOR)
        self._database.execute(self._delete_old, (oldest,), self._what)
        self._database.commit(self._what)

    def _create(self) -> None:
        try:
            self._database.execute(f"CREATE TABLE {self._table} {_DEFINITION}", (), self._what)
            self._database.commit(self._what)
        except PermanentError as error:
            self._database.rollback()
            problem = error
        else:
            return
        # Another task may have made it just now; otherwise this is the reason that counts.
        try:
            self._forget_old_rows()
        except PermanentError:
            self._database.rollback()
            raise problem from None

    def _took_over(self, checkpoint: Checkpoint) -> bool:
        for owner, state in self._database.fetch(self._select, (self._key,), self._what):
            checkpoint.adopt(json.loads(state))
            return self._replace(owner, state)
        self._add("{}")
        return True

    def _replace(self, owner: str, state: str) -> bool:
        # Delete and insert, not update and see: all databases count deleted rows in the same way.
        if self._database.execute(self._delete, (self._key, owner), self._what) == 0:
            return False
        self._add(state)
        return True

    def _add(self, state: str) -> None:
        values = (self._key, self._owner, state, _text(datetime.now(UTC)))
        self._database.execute(self._insert, values, self._what)

    def _lost(self) -> TransientError:
        return TransientError(
            f"{self._what} (connection {self._database.conn_id!r}): another try of this task has taken over. What this "
            "one wrote since its last commit is taken back."
        )


def _text(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
