"""``airflow-oauth2``: the same commands where Airflow takes none from providers. Help comes without Airflow."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import TYPE_CHECKING

from airflow_oauth_provider.cli.commands import COMMANDS, HELP, PROGRAM
from airflow_oauth_provider.cli.run import execute

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run a command.

    :param argv: arguments; by default those of the process
    :return: the exit code: 0 it worked, 1 it did not; wrong usage exits with 2
    """
    arguments = _parser().parse_args(argv)
    return execute(arguments.command, arguments)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(PROGRAM, description=f"{HELP}.")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        subparser = subparsers.add_parser(command.name, help=command.help, description=command.description)
        for argument in command.arguments:
            subparser.add_argument(*argument.flags, **argument.settings)
    return parser
