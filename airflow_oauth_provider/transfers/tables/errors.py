"""
What a database driver raised → what it means, in words without any value of a row.

Drivers share the class names of PEP 249 and nothing else, so that errors are known by those names. What a database
says may quote the values that it refuses; only texts that cannot are passed on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_oauth_provider.masking import escape_control_characters

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_SAID = 300

NO_UNIQUE_INDEX = "42P10"
SAME_ROW_TWICE = "21000"

# PEP 249. ValueError, TypeError and OverflowError (UnicodeEncodeError, too) are what binding a value can end with.
_OF_VALUES = frozenset({"DataError", "ValueError", "TypeError", "OverflowError"})
_PERMANENT = _OF_VALUES | {"IntegrityError", "ProgrammingError", "NotSupportedError"}

# ERROR (no such table or column, no unique index), READONLY, CORRUPT, CANTOPEN, AUTH, NOTADB: all of them of the same
# classes as "database is locked".
_SQLITE_PERMANENT = frozenset({1, 8, 11, 14, 23, 26})
# Unknown database or column, no right to the table or column: OperationalErrors, too.
_MYSQL_PERMANENT = frozenset({1044, 1049, 1054, 1142, 1143})


def is_drivers(error: Exception) -> bool:
    """Whether *error* comes from a database driver, by the class at the root of PEP 249's errors or by binding."""
    names = _names(error)
    return "Error" in names or bool(names & _OF_VALUES)


def is_permanent(error: Exception) -> bool:
    """Whether the same statement would fail again."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in _SQLITE_PERMANENT or _number(error) in _MYSQL_PERMANENT:
        return True
    return bool(_names(error) & _PERMANENT)


def is_of_values(error: Exception) -> bool:
    """Whether it was a value that the database did not take, or its type; not a constraint."""
    return bool(_names(error) & (_OF_VALUES | {"ProgrammingError"}))


def code(error: Exception) -> str | None:
    """Return the SQLSTATE, also of what SQLite says without one and is to be known: :data:`NO_UNIQUE_INDEX`."""
    return NO_UNIQUE_INDEX if str(error).startswith("ON CONFLICT clause does not match") else _state(error)


def what_it_said(error: Exception, *, values: bool) -> str:
    """
    Return the database's words, on one line.

    :param values: the statement had values, which must not be repeated
    """
    kind = type(error).__name__
    state = _state(error)
    if hasattr(error, "sqlite_errorcode"):
        said = str(error)  # SQLite names columns and constraints, never values
    elif state is not None:
        said = _of_postgresql(error, state)
    elif values and not is_lost(error):
        number = _number(error)
        return kind if number is None else f"{kind} {number}"
    else:
        said = str(error)
    line = escape_control_characters(" ".join(said.split()))
    return f"{line[:MAX_SAID] or 'no reason given'} ({kind})"


def is_lost(error: Exception) -> bool:
    """Whether psycopg lost its connection: it has no SQLSTATE then, and speaks of nothing but the connection."""
    return type(error).__module__.startswith("psycopg") and bool(_names(error) & {"OperationalError", "InterfaceError"})


def unusable_text(rows: Sequence[Sequence[Any]], columns: Sequence[str]) -> tuple[int, str] | None:
    """Return row and column of the first text with what PostgreSQL has no room for: NUL, or half a surrogate pair."""
    for position, row in enumerate(rows):
        for name, value in zip(columns, row, strict=True):
            # The escape is NUL in JSON, which jsonb refuses as well.
            if isinstance(value, str) and ("\0" in value or "\\u0000" in value or _is_broken(value)):
                return position, name
    return None


def _of_postgresql(error: Exception, state: str) -> str:
    """Return the primary message: its details, hints and context are what holds whole rows."""
    diagnostics: Any = getattr(error, "diag", None)
    primary = str(diagnostics.message_primary or "")
    if state.startswith("P0"):
        return f"raised by a function or trigger, SQLSTATE {state}"  # somebody's own words: anything
    if state.startswith("22"):
        # 'invalid input syntax for type integer: "…"': from the first to the last quote, as values have quotes, too.
        return re.sub(r'".*"', "…", primary, flags=re.DOTALL)
    return primary


def _names(error: Exception) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _state(error: Exception) -> str | None:
    """Return the SQLSTATE of PostgreSQL, None for errors of others and of the driver itself."""
    if not hasattr(error, "diag"):
        return None
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    return state if isinstance(state, str) else None


def _number(error: Exception) -> int | None:
    number = error.args[0] if error.args else None
    return number if isinstance(number, int) else None


def _is_broken(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False
