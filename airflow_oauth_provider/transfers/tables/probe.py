"""Whether rows can be written to a table: found out before the first request, and without writing one."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from airflow_oauth_provider.exceptions import PermanentError, SettingsError
from airflow_oauth_provider.transfers.tables.errors import NO_UNIQUE_INDEX
from airflow_oauth_provider.transfers.tables.statements import (
    Target,
    create_unique_index,
    delete_nothing,
    insert_nothing,
    split_table,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_oauth_provider.transfers.tables.database import Database

_UNIQUE_INDEXES_OF_MYSQL = (
    "SELECT index_name, column_name FROM information_schema.statistics "
    "WHERE non_unique = 0 AND table_name = %s AND table_schema = COALESCE(%s, DATABASE()) ORDER BY index_name"
)


def proven(database: Database, table: str, columns: Sequence[str], keys: Sequence[str], *, deletes: bool) -> Target:
    """
    Return the target of rows that can be written.

    :param keys: columns by which a row is known that is there already; none to insert only
    :param deletes: the rows that are there are to be deleted
    :raises SettingsError: table, columns, rights or unique index are not there
    """
    target = Target(database.dialect, table, tuple(columns), tuple(keys))
    if keys and not database.dialect.can_upsert:
        target = replace(target, own_upsert=_own_upsert(database, target))
    try:
        database.execute(insert_nothing(target), (), f"Table {table!r}")
        if deletes:
            database.execute(delete_nothing(target), (), f"Table {table!r}")
    except PermanentError as error:
        if error.error == NO_UNIQUE_INDEX:
            raise _no_unique_index(database, target) from None
        raise SettingsError(
            f"{error} Check table, columns, and the connection's rights; upper and lower case count.", error=error.error
        ) from None
    if keys and database.dialect.name == "mysql" and not _has_unique_index(database, target):
        raise _no_unique_index(database, target)
    database.rollback()
    if deletes and not database.transactional:
        raise SettingsError(
            f"mode='replace': connection {database.conn_id!r} has no transactions, so that a failed run would leave "
            f"table {table!r} without its old rows. Write into another table, and exchange them afterwards."
        )
    return target


def _no_unique_index(database: Database, target: Target) -> SettingsError:
    return SettingsError(
        f"key_columns: table {target.table!r} (connection {database.conn_id!r}) has no unique index of just "
        f"{', '.join(target.keys)}, which mode='upsert' needs: {create_unique_index(target)}"
    )


def _has_unique_index(database: Database, target: Target) -> bool:
    """Ask MySQL, whose upsert names no columns and would add rows where there is no index."""
    *schema, table = split_table(target.table)
    found = database.fetch(_UNIQUE_INDEXES_OF_MYSQL, (table, schema[0] if schema else None), f"Table {table!r}")
    indexes = groupby(found, key=lambda row: row[0])
    return any({column for _, column in rows} == set(target.keys) for _, rows in indexes)


def _own_upsert(database: Database, target: Target) -> str:
    """Return the statement that the hook's own dialect has for it."""
    from airflow.providers.common.sql.dialects.dialect import Dialect

    own, dialect = database.hook.dialect, target.dialect
    if type(own).generate_replace_sql is Dialect.generate_replace_sql:
        raise SettingsError(
            f"mode='upsert' is not known for connection {database.conn_id!r} ({dialect.name}): use append or replace."
        )
    names = [*split_table(target.table), *target.columns]
    if unfit := next((name for name in names if not name.replace(" ", "_").isidentifier()), None):
        raise SettingsError(
            f"mode='upsert' into {dialect.name}: {unfit!r} has characters that its hook does not quote."
        )
    table = dialect.quote_table(target.table)
    keys = own.get_primary_keys(table) or []
    if set(keys) != set(target.keys):
        raise SettingsError(
            f"key_columns must be the primary key of table {target.table!r}, "
            f"{', '.join(keys) or 'which has none'}: the hook of {dialect.name} goes by that."
        )
    return str(own.generate_replace_sql(table, target.columns, list(target.columns), replace_index=list(target.keys)))
