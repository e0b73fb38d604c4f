"""From arguments to an exit code: results alone on stdout, errors in a line on stderr, never a traceback."""

from __future__ import annotations

import errno
import logging
import os
import sys
import traceback
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from airflow_oauth_provider.masking import escape_control_characters

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

_PACKAGE = __name__.partition(".")[0]

log = logging.getLogger(__name__)


def execute(command: str, arguments: Namespace) -> int:
    """Run *command* as all that this process does, and return its exit code."""
    try:
        with _stdout_for_results() as out:
            return run(command, arguments, out)
    except BrokenPipeError:  # whoever read it has read enough
        return FAILED
    except OSError as error:
        sys.stderr.write(f"The result cannot be written: {error.strerror or type(error).__name__}.\n")
        return FAILED


def run(command: str, arguments: Namespace, out: TextIO) -> int:
    """Run *command* and return its exit code."""
    try:
        with _only_our_warnings():
            from airflow_oauth_provider.cli.actions import ACTIONS

            return ACTIONS[command](arguments, out)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001  # a traceback helps nobody at a terminal, and its text may hold anything
        sys.stderr.write(f"{explain(error)}\n")
        return FAILED


def explain(error: Exception) -> str:
    """
    Return *error* on one line.

    Told by names, because importing Airflow or SQLAlchemy may be what failed. Only errors of Airflow and of this
    package are quoted: the text of others may hold a URL with its password.
    """
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & {"AirflowException", "AirflowConfigException"} and str(error):
        return escape_control_characters(" ".join(str(error).split()))
    log.debug("%s\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
    if "SQLAlchemyError" in kinds:
        return (
            f"Airflow's metadata database cannot be read ({type(error).__name__}): check [database] sql_alchemy_conn, "
            "and that it is up and migrated (airflow db migrate)."
        )
    return f"This failed with {type(error).__name__}; AIRFLOW__LOGGING__LOGGING_LEVEL=DEBUG shows where."


@contextmanager
def _stdout_for_results() -> Iterator[TextIO]:
    """Give stdout; whatever else is written there goes to stderr: Airflow logs to it until the process ends."""
    if sys.stdout is None:
        raise OSError(errno.EBADF, "standard output is closed")
    sys.stdout.flush()
    with open(os.dup(1), "w", encoding=sys.stdout.encoding, errors="backslashreplace") as out:
        os.dup2(2, 1)
        yield out


@contextmanager
def _only_our_warnings() -> Iterator[None]:
    """Leave out what Airflow logs, and what it tells its developers, unless its logging level is DEBUG."""
    import airflow  # noqa: F401  # which configures both

    root = logging.getLogger()
    if root.isEnabledFor(logging.DEBUG):
        yield
        return
    ours = logging.StreamHandler(sys.stderr)
    ours.setLevel(logging.WARNING)
    ours.addFilter(logging.Filter(_PACKAGE))
    before, root.handlers = root.handlers, [ours]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        root.handlers = before
