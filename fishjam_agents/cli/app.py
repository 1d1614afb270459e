"""The commands and their options, each loaded when it is used; distributions may add commands."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fishjam_agents._version import __version__
from fishjam_agents.cli.extensions import OFFERED, add_extension, add_missing, installed_commands

COMMANDS = (
    "run",
    "console",
    "simulate",
    "call",
    "replay",
    "report",
    "server",
    "check",
    "schema",
    "new",
    "top",
    "journal",
)
"""Each is the function of that name in the module of that name, or a group of commands."""


class _Commands(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return [*COMMANDS, *sorted(installed_commands().keys() - set(COMMANDS))]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        command = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        if cmd_name in COMMANDS:
            found = getattr(import_module(f"fishjam_agents.cli.{cmd_name}"), cmd_name)
            if isinstance(found, typer.Typer):
                return typer.main.get_command(found)
            command.command(cmd_name)(found)
        elif (point := installed_commands().get(cmd_name)) is not None:
            add_extension(command, point)
        elif cmd_name in OFFERED:
            add_missing(command, cmd_name)
        else:
            return None
        return typer.main.get_command(command)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from fishjam_agents.audio import compiled

        print(f"fishjam-agents {__version__}\ncompiled: {compiled.describe()}")
        raise typer.Exit


@app.callback(help="Voice agents in Fishjam rooms.")
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version, and whether it runs compiled.",
            callback=_print_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    pass
