"""The commands, declared once for ``airflow oauth2`` and for ``airflow-oauth2``. Standard library alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

GROUP = "oauth2"
PROGRAM = "airflow-oauth2"
HELP = "Look after the tokens of OAuth 2.0 connections"


@dataclass(frozen=True)
class Argument:
    """
    An argument of a command.

    :param settings: as ``argparse.ArgumentParser.add_argument`` takes them
    """

    flags: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Command:
    """
    A command.

    :param help: one line for the list of commands
    :param description: for the help of the command itself
    """

    name: str
    help: str
    description: str
    arguments: tuple[Argument, ...]


_CONN_ID = Argument(("conn_id",), {"metavar": "CONN_ID", "help": "id of a connection of type oauth2"})

COMMANDS = (
    Command(
        "status",
        "Show what is known of stored tokens",
        "Show state, age, end, scope and fingerprint of each connection's stored token, the token requests that were "
        "made and those that sharing saved, and the last refusal. Never asks the authorization server.",
        (
            Argument(
                ("conn_ids",),
                {
                    "metavar": "CONN_ID",
                    "nargs": "*",
                    "help": "connections to show; by default those of Airflow's metadata database (those of "
                    "environment variables and secrets backends cannot be listed: name them)",
                },
            ),
            Argument(
                ("-o", "--output"),
                {"choices": ("table", "json"), "default": "table", "help": "how to show it (default: table)"},
            ),
        ),
    ),
    Command(
        "test",
        "Fetch a new token, and call the test endpoint",
        "Do as the Test button does: fetch a new token, which takes the stored one's place, and call the connection's "
        "test endpoint where it has one. A remembered refusal is passed over, and ended when a token comes.",
        (_CONN_ID,),
    ),
    Command(
        "forget",
        "Forget the stored token and remembered refusals",
        "Remove the connection's token from the store and end remembered refusals: the next task asks the "
        "authorization server. Processes that run keep the token they hold.",
        (_CONN_ID,),
    ),
    Command(
        "revoke",
        "End the stored token at the authorization server",
        "Have the authorization server end the stored token (RFC 7009, at the connection's revocation_url), and "
        "forget it.",
        (_CONN_ID,),
    ),
    Command(
        "token",
        "Print a token",
        "Print the connection's token and nothing else; one is fetched when none is stored. Whoever sees it can call "
        "the API until it ends.",
        (
            _CONN_ID,
            Argument(("--reveal",), {"action": "store_true", "help": "needed: say that the token may be seen"}),
        ),
    ),
)
