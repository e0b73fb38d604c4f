"""
SQL as text: names quoted, values left to the driver. Pure: names in, statements out.

Names are taken as they are written, upper and lower case included, because that is what quoting means in SQL.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.lazy import lazy_property

_PART = r'"(?:[^"]|"")+"|[^."]+'
_TABLE = re.compile(rf"(?:{_PART})(?:\.(?:{_PART}))*")
_NOTHING = "WHERE 1 = 0"


@dataclass(frozen=True)
class Dialect:
    """
    How a database wants its SQL.

    :param name: as SQLAlchemy names it: ``sqlite``, ``postgresql``, ``mysql`` …
    :param placeholder: of a value
    :param quotes: around a name
    """

    name: str
    placeholder: str = "%s"
    quotes: tuple[str, str] = ('"', '"')

    @property
    def can_upsert(self) -> bool:
        """Whether :func:`insert` knows how this database updates a row that is there already."""
        return self.name in ("sqlite", "postgresql", "mysql")

    def quote(self, name: str) -> str:
        """Return *name*, whatever is in it, as an identifier."""
        begin, end = self.quotes
        quoted = begin + name.replace(end, 2 * end) + end
        # To a driver with such placeholders, a single % is the beginning of one.
        return quoted.replace("%", "%%") if self.placeholder.startswith("%") else quoted

    def quote_table(self, table: str) -> str:
        """Return a table's name, with or without its schema, as identifiers."""
        return ".".join(map(self.quote, split_table(table)))


@dataclass(frozen=True)
class Target:
    """
    Where rows go.

    :param table: with or without its schema
    :param keys: columns by which a row is known that is there already; none to insert only
    :param own_upsert: statement for one row, for a database whose way is not known here
    """

    dialect: Dialect
    table: str
    columns: tuple[str, ...]
    keys: tuple[str, ...] = ()
    own_upsert: str = ""

    @lazy_property
    def into(self) -> str:
        """``INSERT INTO table (columns)``."""
        names = ", ".join(map(self.dialect.quote, self.columns))
        return f"INSERT INTO {self.dialect.quote_table(self.table)} ({names})"

    @lazy_property
    def row(self) -> str:
        """The placeholders of one row."""
        return f"({', '.join([self.dialect.placeholder] * len(self.columns))})"

    @lazy_property
    def conflict(self) -> str:
        """What happens to a row that is there already; empty for an insert only."""
        quote = self.dialect.quote
        others = [quote(column) for column in self.columns if column not in self.keys]
        keys = [quote(column) for column in self.keys]
        if not keys or self.own_upsert:
            return ""
        if self.dialect.name == "mysql":
            # A column set to what it is: the way of MySQL to do nothing without hiding other errors.
            changes = [f"{name} = VALUES({name})" for name in others or keys[:1]]
            return f" ON DUPLICATE KEY UPDATE {', '.join(changes)}"
        update = f"UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in others)}" if others else "NOTHING"
        return f" ON CONFLICT ({', '.join(keys)}) DO {update}"


def split_table(table: str, parameter: str = "table") -> list[str]:
    """
    Return schema and name.

    >>> split_table("sales.orders"), split_table('"a.b".orders')
    (['sales', 'orders'], ['a.b', 'orders'])

    :param parameter: where it was given, for the error
    :raises SettingsError: it is no name
    """
    if not isinstance(table, str) or "\0" in table or not _TABLE.fullmatch(table):
        raise SettingsError(
            f"{parameter}: {str(table)[:100]!r} is not a name such as orders or sales.orders; "
            'a name with dots or quotes in it stands in double quotes: "a.b".'
        )
    parts = re.findall(_PART, table)
    return [part[1:-1].replace('""', '"') if part.startswith('"') else part for part in parts]


def insert(target: Target, rows: int = 1) -> str:
    """Return the statement that writes *rows* rows, or changes those that are there already."""
    return target.own_upsert or f"{target.into} VALUES {', '.join([target.row] * rows)}{target.conflict}"


def insert_nothing(target: Target) -> str:
    """Return what proves, by inserting no row, that table, columns, rights and unique index are there."""
    if target.dialect.can_upsert:
        # No column is read, which needs a right that whoever only adds rows may not have.
        chosen = ", ".join(["NULL"] * len(target.columns))
        source = "DUAL" if target.dialect.name == "mysql" else ""
    else:
        # NULL has a type elsewhere, and it would not be the column's.
        chosen = ", ".join(map(target.dialect.quote, target.columns))
        source = target.dialect.quote_table(target.table)
    words = [target.into, "SELECT", chosen, *(["FROM", source] if source else []), _NOTHING]
    return " ".join(words) + target.conflict


def delete_all(target: Target) -> str:
    """Return what empties the table inside of a transaction, which TRUNCATE does not everywhere."""
    return " ".join(["DELETE FROM", target.dialect.quote_table(target.table)])


def delete_nothing(target: Target) -> str:
    """Return what proves, by deleting no row, the right to delete."""
    return f"{delete_all(target)} {_NOTHING}"


def create_unique_index(target: Target) -> str:
    """Return what would make the index that an upsert needs, for the error that says so."""
    quote = target.dialect.quote
    name = quote("_".join([split_table(target.table)[-1], *target.keys, "key"]))
    keys = ", ".join(map(quote, target.keys))
    return f"CREATE UNIQUE INDEX {name} ON {target.dialect.quote_table(target.table)} ({keys})"
