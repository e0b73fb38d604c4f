"""``airflow oauth2``, for Airflow 3.2 and later. Imported with every ``airflow`` command, so it stays light."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand

from airflow_oauth_provider.cli.commands import COMMANDS, GROUP, HELP, Command

if TYPE_CHECKING:
    from argparse import Namespace

    from airflow.cli.cli_config import CLICommand


def get_oauth2_cli_commands() -> list[CLICommand]:
    """Return what Airflow adds to its own commands."""
    return [GroupCommand(name=GROUP, help=HELP, subcommands=[_action(command) for command in COMMANDS])]


def _action(command: Command) -> ActionCommand:
    return ActionCommand(
        name=command.name,
        help=command.help,
        description=command.description,
        func=partial(_run, command.name),
        args=[Arg(a.flags, **a.settings) for a in command.arguments],  # type: ignore[no-untyped-call]
    )


def _run(name: str, arguments: Namespace) -> None:
    from airflow_oauth_provider.cli.run import execute

    # Airflow itself does not look at what a command returns.
    if code := execute(name, arguments):
        sys.exit(code)
