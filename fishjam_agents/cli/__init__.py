"""The command line: parse, call, print. Each command is loaded when it is used."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fishjam_agents._version import __version__
from fishjam_agents.errors import FishjamAgentsError

COMMANDS = ("run", "simulate", "server", "check")
"""Each is the function of that name in the module of that name."""


class _Commands(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        function = getattr(import_module(f"{__name__}.{cmd_name}"), cmd_name)
        app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        app.command(cmd_name)(function)
        return typer.main.get_command(app)


_app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"fishjam-agents {__version__}")
        raise typer.Exit


@_app.callback(help="Voice agents in Fishjam rooms.")
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 when all went well, 1 for a failure, 2 for a mistake in what the user wrote.

    Args:
        arguments: The words after the program's name; None takes them from `sys.argv`.
    """
    # httpx imports a command line of its own where rich is installed, and rich and pygments with it: 0.05 s,
    # 0.2 s without bytecode. It has no switch for that; None fails the import, which httpx provides for.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    try:
        _app(args=None if arguments is None else list(arguments), prog_name="fishjam-agents")
    except FishjamAgentsError as error:
        for line in str(error).splitlines():
            print(f"error: {line}", file=sys.stderr)
        sys.exit(error.exit_code)
