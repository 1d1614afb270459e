"""Reference of the command line, from the parsers of the commands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from docsite.markdown import code, table
from fishjam_agents.cli.app import COMMANDS, app

_INTRODUCTION = """# Command line

`fishjam-agents COMMAND`, which is also `python -m fishjam_agents COMMAND`. Exit codes: 0 done, 1 something
failed on the way, 2 a mistake in the command or in a file it names, 130 Ctrl-C before it was done.
Integrations may add commands.
"""


def page() -> str:
    """The page, in Markdown."""
    group: Any = typer.main.get_command(app)
    context = group.make_context("fishjam-agents", [], resilient_parsing=True)
    lines = [_INTRODUCTION]
    for name in COMMANDS:
        for path, command in _commands(name, group.get_command(context, name)):
            lines += _command(path, command)
    return "\n".join(lines)


def _commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    """A command, or the group and its commands."""
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(f"{path} {name}", inner)


def _command(path: str, command: Any) -> list[str]:
    words = [_usage(one) for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and one.name != "help"]
    usage = " ".join(["fishjam-agents", path, *words, *(["[OPTIONS]"] if options else [])])
    lines = [f"## {path}", "", f"    {usage}", "", (command.help or "").strip(), ""]
    lines += table(
        ("argument", "what it says"),
        [
            (code(one.name.upper()), one.help or "")
            for one in command.params
            if one.param_type_name == "argument"
        ],
    )
    return lines + table(("option", "default", "what it says"), [_option(one) for one in options])


def _usage(argument: Any) -> str:
    name = argument.name.upper() + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def _option(option: Any) -> tuple[str, str, str]:
    names = ", ".join(code(name) for name in (*option.opts, *option.secondary_opts))
    if not option.is_flag:
        names += f" {code(option.metavar or option.name.upper())}"
    default = option.default
    shown = (
        "" if default in (None, False, True) or callable(default) or default in ((), []) else code(default)
    )
    if isinstance(option.show_default, str):
        shown = option.show_default
    return names, shown, option.help or ""
