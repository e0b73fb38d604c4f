"""From an API into a table, by any connection whose hook is a ``DbApiHook``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_oauth_provider.exceptions import PermanentError, SettingsError
from airflow_oauth_provider.pull.paginator import whole_number
from airflow_oauth_provider.pull.templates import has_template
from airflow_oauth_provider.transfers.base import OAuth2TransferOperator
from airflow_oauth_provider.transfers.tables.options import check_options
from airflow_oauth_provider.transfers.tables.rows import RowMaker, getters
from airflow_oauth_provider.transfers.tables.statements import delete_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_oauth_provider.transfers.checkpoint import Checkpoint
    from airflow_oauth_provider.transfers.tables.checkpoint_table import CheckpointTable
    from airflow_oauth_provider.transfers.tables.database import Database
    from airflow_oauth_provider.transfers.tables.rows import Row
    from airflow_oauth_provider.transfers.tables.statements import Target

_FIELDS = (
    *("table", "columns", "mode", "key_columns", "batch_size", "commit_every", "checkpoint_table", "hook_params"),
)


class OAuth2HttpToSqlOperator(OAuth2TransferOperator):
    """
    Pulls from an API into a table, in one transaction: all rows are there in the end, or the old ones still.

    The XCom holds ``table``, ``mode``, ``rows``, ``records``, ``pages``, ``seconds`` and ``resumed``.

    :param destination_conn_id: connection of the database (templated)
    :param table: its name as it is written in the database, upper and lower case included; ``schema.table`` or, for
        names with dots, ``"a.b"."c"`` (templated)
    :param columns: names of columns that are the records' keys, or ``{column: JMESPath}`` (templated). Objects and
        lists become JSON text; what a record does not have becomes NULL
    :param mode: ``append`` adds rows; ``replace`` puts them in place of all that are there; ``upsert`` changes those
        that are there already, by ``key_columns``, of which there is a unique index (templated)
    :param key_columns: for ``upsert`` (templated)
    :param batch_size: rows that are handed to the database at once (templated)
    :param commit_every: commit each so many records, so that a retry goes on behind them (Airflow 3.3+) and the
        transactions stay short; for ``append`` and ``upsert`` (templated)
    :param checkpoint_table: where ``append`` notes, in the transaction of the rows, how far it came, so that a retry
        adds nothing twice (Airflow 3.3+); None for no such table (templated)
    :param hook_params: for the hook of the connection (templated)
    :param kwargs: what to pull; see :class:`~airflow_oauth_provider.transfers.base.OAuth2TransferOperator`
    """

    template_fields: Sequence[str] = (*OAuth2TransferOperator.template_fields, "destination_conn_id", *_FIELDS)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **OAuth2TransferOperator.template_fields_renderers,
        "columns": "json",
        "hook_params": "json",
    }

    def __init__(
        self,
        *,
        destination_conn_id: str,
        table: str,
        columns: Sequence[str] | Mapping[str, str],
        mode: str = "append",
        key_columns: Sequence[str] | None = None,
        batch_size: int | str = 1000,
        commit_every: int | str | None = None,
        checkpoint_table: str | None = "oauth2_checkpoints",
        hook_params: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        # The base asks for some of it.
        self.destination_conn_id = destination_conn_id
        self.table = table
        self.columns = columns
        self.mode = mode
        self.key_columns = key_columns
        self.batch_size = batch_size
        self.commit_every = commit_every
        self.checkpoint_table = checkpoint_table
        self.hook_params = hook_params
        super().__init__(**kwargs)

    def open_sink(self, context: Context, checkpoint: Checkpoint) -> SqlSink:  # noqa: ARG002
        """
        Connect, and return the sink.

        :raises SettingsError: the rows cannot be written
        """
        from airflow_oauth_provider.transfers.tables.database import open_database
        from airflow_oauth_provider.transfers.tables.probe import proven

        database = open_database(self.destination_conn_id, self.hook_params)
        try:
            target = proven(
                database, self.table, tuple(self.columns), self.key_columns or (), deletes=self.mode == "replace"
            )
            if not database.transactional:
                self.log.warning("%r has no transactions: what a failed try wrote stays.", self.destination_conn_id)
            table = self._claimed(database, checkpoint)
            self._refuse_to_double(checkpoint)
            return SqlSink(self, database, target, checkpoint, table)
        except BaseException:
            database.close()
            raise

    def destination_identity(self) -> Any:
        """Return what goes where, and how."""
        return [self.destination_conn_id, self.table, self.columns, self.mode, self.key_columns, self.hook_params]

    def _check_pull(self, *, templated: bool) -> None:
        """Raise SettingsError for what cannot be right; templates are looked at when they are rendered."""
        super()._check_pull(templated=templated)
        named = {name: getattr(self, name) for name in ("response_format", *_FIELDS)}
        check_options({name: value for name, value in named.items() if templated or not has_template(value)})

    def _refuse_to_double(self, checkpoint: Checkpoint) -> None:
        """Raise when a retry can neither go on from the rows that are there, nor add all of them again."""
        if self.mode == "append" and checkpoint.left_behind:
            raise PermanentError(
                f"Table {self.table!r} (connection {self.destination_conn_id!r}): this retry asks for something else "
                f"than the try before it, which added {checkpoint.left_behind:,} records; to start over would add them "
                "twice. Keep what changes from try to try out of the parameters, delete those rows, and clear the task."
            )

    def _claimed(self, database: Database, checkpoint: Checkpoint) -> CheckpointTable | None:
        """Return the table of checkpoints where it helps: rows that are appended twice do harm."""
        if self.mode != "append" or self.checkpoint_table is None or not checkpoint.active:
            return None
        from airflow_oauth_provider.transfers.tables.checkpoint_table import CheckpointTable

        why = "the database has no transactions"
        if database.transactional:
            table = CheckpointTable(database, self.checkpoint_table, checkpoint.key)
            try:
                table.claim(checkpoint)
                return table
            except PermanentError as error:
                database.rollback()
                why = str(error)
        self.log.warning(
            "checkpoint_table: none is kept, so that the retry of a try which was killed around a commit adds the same "
            "rows again. %s",
            why,
        )
        return None


class SqlSink:
    """
    Records on their way into a table.

    :param task: whose parameters hold
    :param target: proven to take rows
    :param table: of checkpoints, claimed; None for none
    """

    def __init__(
        self,
        task: OAuth2HttpToSqlOperator,
        database: Database,
        target: Target,
        checkpoint: Checkpoint,
        table: CheckpointTable | None,
    ) -> None:
        resumed = checkpoint.resumed or {}
        self.complete = bool(resumed.get("done"))
        self.can_start_over = task.mode != "append"
        self._task = task
        self._database = database
        self._target = target
        self._what = f"Table {target.table!r}"
        self._checkpoint = checkpoint
        self._table = table
        self._maker = RowMaker(getters(task.columns), target.keys, database.converters)
        self._batch_size = whole_number(task.batch_size) or 1
        self._commit_every = whole_number(task.commit_every)
        self.saves_on_the_way = self._commit_every is not None
        self._pending: list[Row] = []
        self._deletes = task.mode == "replace"
        self._rows = resumed.get("rows", 0)
        self._records = self._committed = checkpoint.records

    def write(self, batch: list[Any]) -> None:
        """Make rows of the records; write and commit when there are enough of them."""
        taken = 0
        while taken < len(batch):
            part = batch[taken : taken + self._room()]
            self._pending += self._maker.rows(part, self._records + 1)
            self._records += len(part)
            taken += len(part)
            if len(self._pending) >= self._batch_size:
                self._flush()
            if self._commit_every and self._records - self._committed >= self._commit_every:
                self._commit_part()

    def end_page(self) -> None:
        """Take the end of a page for nothing special: batches go across pages."""

    def finish(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """Commit, and return what the XCom holds."""
        if not self.complete:
            self._commit_all()
            if self._records and not self._checkpoint.records and (never := self._maker.never_seen):
                self._task.log.warning(
                    "No record had anything for the columns %s: they are NULL in every row. Are the names right?", never
                )
        self._database.close()
        kept = {name: summary[name] for name in ("records", "pages", "seconds")}
        return {"table": self._task.table, "mode": self._task.mode, "rows": self._rows, **kept}

    def abort(self) -> None:
        """Take back what was not committed."""
        self._database.close()

    def _room(self) -> int:
        """Return how many records may come before something has to be done."""
        room = self._batch_size - len(self._pending)
        if self._commit_every is None:
            return room
        return min(room, self._commit_every - (self._records - self._committed))

    def _flush(self) -> None:
        if self._deletes:
            # As late as can be: from now on others wait for this transaction.
            self._database.execute(delete_all(self._target), (), self._what)
            self._deletes = False
        if self._pending:
            first = self._records - len(self._pending) + 1
            self._rows += self._database.insert(self._target, self._pending, first)
            self._pending = []

    def _commit_part(self) -> None:
        self._flush()
        sink = {"rows": self._rows, "done": False}
        if self._task.mode == "append" and self._checkpoint.active:
            try:
                state = self._checkpoint.state(self._records, sink)
            except SettingsError as error:
                # Committed without a checkpoint, these rows would be added again by a retry.
                self._task.log.warning("commit_every: the rest is one transaction. %s", error)
                self._commit_every = None
                return
            if self._table is not None:
                self._table.write(state)
        self._checkpoint.prove()
        self._database.commit(self._what)
        self._committed = self._records
        self._checkpoint.save(self._records, sink)

    def _commit_all(self) -> None:
        self._flush()
        sink = {"rows": self._rows, "done": True}
        if self._table is not None:
            self._table.write(self._checkpoint.state(self._records, sink, done=True))
        self._checkpoint.prove()
        self._database.commit(self._what)
        if self._table is None and self._task.mode == "append":
            self._checkpoint.save(self._records, sink, done=True)
