"""A connection of any ``DbApiHook``, in one transaction at a time, and its errors as ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_oauth_provider.exceptions import OAuth2Error, PermanentError, SettingsError, TransientError
from airflow_oauth_provider.lazy import lazy_property
from airflow_oauth_provider.masking import Redactor
from airflow_oauth_provider.transfers.tables import errors
from airflow_oauth_provider.transfers.tables.rows import Converters, Row, converters, last_of_each_key
from airflow_oauth_provider.transfers.tables.statements import Dialect, Target, insert

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

T = TypeVar("T")

# Without SQLAlchemy a hook may not know its dialect.
_DIALECT_OF_TYPE = {"sqlite": "sqlite", "postgres": "postgresql", "mysql": "mysql"}


def open_database(conn_id: str, hook_params: Mapping[str, Any] | None = None) -> Database:
    """
    Connect to the database of an Airflow connection.

    :param hook_params: for the connection's hook
    :raises SettingsError: the connection has no hook, or the hook is not one of a database
    """
    from airflow.providers.common.compat.sdk import AirflowException, BaseHook
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    connection: Any = BaseHook.get_connection(conn_id)
    try:
        hook = connection.get_hook(hook_params=dict(hook_params or {}))
    except (AirflowException, ImportError) as error:
        raise SettingsError(
            f"destination_conn_id={conn_id!r} has no hook: is the provider of {connection.conn_type!r} installed? "
            f"({type(error).__name__})"
        ) from None
    if not isinstance(hook, DbApiHook):
        raise SettingsError(
            f"destination_conn_id={conn_id!r} is a connection of type {connection.conn_type!r}, which is no database: "
            "its hook is no DbApiHook."
        )
    return Database(hook, conn_id, Redactor([connection.password or ""]))


class Database:
    """
    An open connection.

    :param hook: of the connection
    :param conn_id: for errors
    :param redact: takes the connection's password out of texts
    """

    def __init__(self, hook: DbApiHook, conn_id: str, redact: Redactor) -> None:
        self.hook = hook
        self.conn_id = conn_id
        self._redact = redact
        self._connection = self.run(hook.get_conn, "The database does not let us in")
        if hook.supports_autocommit:
            self.run(lambda: hook.set_autocommit(self._connection, autocommit=False), "Autocommit cannot be turned off")
        #: Whether what was written can be taken back.
        self.transactional = not hook.get_autocommit(self._connection)

    @lazy_property
    def dialect(self) -> Dialect:
        """How its SQL is written."""
        name = self.hook.dialect_name
        if name == "default":
            name = _DIALECT_OF_TYPE.get(getattr(self.hook, "conn_type", ""), name)
        word = "`{}`" if name == "mysql" else self.hook.escape_word_format
        return Dialect(name, self.hook.placeholder, (word[0], word[-1]))

    @lazy_property
    def converters(self) -> Converters:
        """What its driver needs done to values."""
        return converters(self.dialect.name, exact_floats=self._driver == "psycopg")

    @lazy_property
    def _driver(self) -> str:
        return type(self._connection).__module__.partition(".")[0]

    def execute(self, statement: str, values: Sequence[Any], what: str) -> int:
        """
        Run a statement in the open transaction, and return how many rows it touched, -1 when nobody knows.

        :param what: begin of the error's sentence
        """
        return self.run(lambda: self._execute(statement, values), what, values=bool(values))

    def fetch(self, statement: str, values: Sequence[Any], what: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query, as tuples whatever cursor the connection is set to."""
        return self.run(lambda: self._fetch(statement, values), what, values=bool(values))

    def insert(self, target: Target, rows: list[Row], first: int) -> int:
        """
        Write rows in the open transaction and return how many: of those with the same key the last.

        :param first: number of the first row's record, for errors
        """
        sent = last_of_each_key(rows, [target.columns.index(key) for key in target.keys])
        try:
            self._insert(target, sent)
            return len(sent)
        except Exception as error:
            if not errors.is_drivers(error):
                raise
            where = f"Table {target.table!r}{self._at_fault(target, rows, first, error)}"
            problem = self.problem(error, where, values=True, advice=_advice(error))
        raise problem  # outside of the handler: its exception holds values

    def commit(self, what: str) -> None:
        """End the transaction, so that everything in it stays."""
        if self.transactional:
            self.run(self._connection.commit, what)

    def rollback(self) -> None:
        """End the transaction, so that nothing in it stays; find out whether this database can do that."""
        if not self.transactional:
            return
        try:
            self._connection.rollback()
        except Exception as error:  # noqa: BLE001  # drivers have many ways to say that there are no transactions
            if errors.is_drivers(error) and not errors.is_permanent(error):
                raise self.problem(error, "The database does not roll back", values=False) from None
            self.transactional = False

    def close(self) -> None:
        """Close the connection, whatever state it is in; what was not committed is gone."""
        with suppress(Exception):
            if self.transactional:
                self._connection.rollback()
        with suppress(Exception):
            self._connection.close()

    def run(self, action: Callable[[], T], what: str, *, values: bool = False) -> T:
        """Return what *action* does, its errors as ours."""
        try:
            return action()
        except Exception as error:
            if not errors.is_drivers(error):
                raise
            problem = self.problem(error, what, values=values)
        raise problem

    def problem(self, error: Exception, what: str, *, values: bool, advice: str = "") -> OAuth2Error:
        """Return *error* as one of ours, without a value or the connection's password."""
        kind = PermanentError if errors.is_permanent(error) else TransientError
        said = self._redact(errors.what_it_said(error, values=values))
        return kind(f"{what} (connection {self.conn_id!r}): {said}.{advice}", error=errors.code(error))

    def _execute(self, statement: str, values: Sequence[Any]) -> int:
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(statement, tuple(values))
            return int(cursor.rowcount)

    def _fetch(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(statement, tuple(values))
            return [tuple(row.values() if isinstance(row, Mapping) else row) for row in cursor.fetchall()]

    def _insert(self, target: Target, rows: list[Row]) -> None:
        with closing(self._connection.cursor()) as cursor:
            if self._driver == "psycopg2" and not target.own_upsert:
                # Its executemany sends row by row, and waits for each.
                cursor.execute(insert(target, len(rows)), tuple(chain.from_iterable(rows)))
            else:
                cursor.executemany(insert(target), rows)

    def _at_fault(self, target: Target, rows: list[Row], first: int, error: Exception) -> str:
        """Return which record it was, and which column if that can be seen."""
        if not errors.is_of_values(error):
            return ""
        if self.dialect.name == "postgresql" and (found := errors.unusable_text(rows, target.columns)):
            return f", record {first + found[0]:,}, column {found[1]!r}: a text with NUL or half a character"
        position = self._first_refused(insert(target), rows, type(error))
        return "" if position is None else f", record {first + position:,}"

    def _first_refused(self, statement: str, rows: list[Row], kind: type[Exception]) -> int | None:
        """Try the rows one by one, each in a transaction that is rolled back."""
        for position, row in enumerate(rows if self.transactional else ()):
            refusal = self._refusal(statement, row)
            if type(refusal) is kind:
                return position
            if refusal is not None and not errors.is_permanent(refusal):
                return None
        return None

    def _refusal(self, statement: str, row: Row) -> Exception | None:
        try:
            self._connection.rollback()
            self._execute(statement, row)
        except Exception as error:  # noqa: BLE001  # whatever it is: the first error is the one that is told
            return error
        return None


def _advice(error: Exception) -> str:
    if errors.code(error) == errors.SAME_ROW_TWICE:
        return " Keys that are written differently are one to the database: set batch_size=1."
    if errors.is_permanent(error):
        return " What this transaction wrote is taken back: mend the data or the table."
    return " What this transaction wrote is taken back; a retry begins it again."
