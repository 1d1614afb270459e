"""Commands of other distributions: `fishjam-agents NAME ARGUMENTS...`, found by their entry points."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, entry_points

import typer

from fishjam_agents.errors import ConfigError, FishjamAgentsError

GROUP = "fishjam_agents.commands"
"""The group of entry points. Each names a function that takes the command's arguments, a list of str, and
returns the exit code. Nothing is imported before the command is called."""

OFFERED = {"ray": "fishjam-agents-ray"}
"""Commands of our own distributions that are not part of this one, and are told of where they are missing."""

_PASSED_ON = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


def installed_commands() -> dict[str, EntryPoint]:
    """Find the commands of installed distributions, by name."""
    return {point.name: point for point in entry_points(group=GROUP)}


def add_extension(app: typer.Typer, point: EntryPoint) -> None:
    """Add a command of another distribution, which gets every argument, `--help` included."""
    distribution = "another distribution" if point.dist is None else point.dist.name

    @app.command(point.name, help=f"A command of {distribution}.", context_settings=_PASSED_ON)
    def run(context: typer.Context) -> None:
        try:
            function = point.load()
        except (ImportError, AttributeError) as error:
            raise FishjamAgentsError(
                f"the command {point.name!r} ({point.value}) cannot be loaded ({error}): "
                "install its package again"
            ) from error
        sys.exit(function(list(context.args)))


def add_missing(app: typer.Typer, name: str) -> None:
    """Add a command of `OFFERED` whose distribution is not installed: it says so."""

    @app.command(name, help=f"A command of {OFFERED[name]}.", context_settings=_PASSED_ON)
    def run(context: typer.Context) -> None:
        raise ConfigError(f"the command {name!r} needs {OFFERED[name]}: pip install {OFFERED[name]}")
