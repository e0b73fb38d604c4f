"""The commands as they are declared: one declaration, two programs, and help that costs nothing."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from typing import Any

import airflow
import pytest

from airflow_oauth_provider.cli.commands import COMMANDS, GROUP, PROGRAM
from airflow_oauth_provider.cli.main import _parser, main
from airflow_oauth_provider.get_provider_info import get_provider_info

CALLS = [
    ["status"],
    ["status", "shop", "billing", "--output", "json"],
    ["status", "-o", "table"],
    ["test", "shop"],
    ["forget", "shop"],
    ["revoke", "shop"],
    ["token", "shop"],
    ["token", "shop", "--reveal"],
]


def airflows_parser() -> Any:
    from airflow.cli import cli_parser
    from airflow.providers_manager import ProvidersManager

    if not hasattr(ProvidersManager, "cli_command_functions"):
        pytest.skip(f"not applicable: Airflow {airflow.__version__} takes no commands from providers")
    return cli_parser.get_parser()


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_both_programs_understand_the_same(call: list[str]) -> None:
    ours = vars(_parser().parse_args(call))
    airflows = vars(airflows_parser().parse_args([GROUP, *call]))
    assert ours.pop("command") == call[0]
    assert {name: airflows[name] for name in ours} == ours


def test_airflow_runs_the_command_of_that_name(capsys: pytest.CaptureFixture[str]) -> None:
    """The help of each is its own."""
    parser = airflows_parser()
    for command in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            parser.parse_args([GROUP, command.name, "--help"])
        assert ended.value.code == 0
        assert command.description[:40] in capsys.readouterr().out


@pytest.mark.parametrize(
    "call", [[], ["stats"], ["test"], ["forget", "a", "b"], ["status", "--output", "xml"], ["token", "--reveal"]]
)
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(call: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(call)
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"usage: {PROGRAM}")


def test_help_needs_no_airflow() -> None:
    code = (
        "import sys\n"
        "from airflow_oauth_provider.cli.main import main\n"
        "try:\n    main(['--help'])\n"
        "finally:\n    print('loaded', [name for name in ('airflow', 'requests') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("loaded []\n")
    for command in COMMANDS:
        assert f"    {command.name} " in done.stdout


def test_what_is_imported_with_every_airflow_command_brings_no_library() -> None:
    (name,) = get_provider_info()["cli"]
    module, _, function = name.rpartition(".")
    code = (
        f"import sys, airflow.cli.cli_config; before = set(sys.modules); import {module} as m; m.{function}();"
        "print(*(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    added = set(done.stdout.split("\n")[-2].split())
    assert module in added
    assert {name for name in added if not name.startswith("airflow_oauth_provider")} <= set(sys.stdlib_module_names)
    assert "airflow_oauth_provider.hooks.oauth2" not in added


def test_the_console_script_is_there() -> None:
    (script,) = entry_points(group="console_scripts", name=PROGRAM)
    assert script.load() is main
