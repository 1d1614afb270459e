"""`new NAME`: a bot that runs, with its settings, a test and a call to try it with."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Annotated

import typer

from fishjam_agents.cli import INTERRUPTED
from fishjam_agents.cli.output import say
from fishjam_agents.errors import ConfigError, FishjamAgentsError

if TYPE_CHECKING:
    from fishjam_agents.cli.scaffold import Plan

_KEPT = ("README.md", "Dockerfile")
"""Files that a project may have already: they stay as they are."""


def new(
    name: Annotated[
        str, typer.Argument(help="The bot, and the folder that is made for it; . takes the current one.")
    ],
    backend: Annotated[
        str | None,
        typer.Option(
            help="Its model: parrot, gemini, openai_realtime, cascade or offline.",
            show_default="parrot, or asked for",
        ),
    ] = None,
    tool: Annotated[
        list[str] | None,
        typer.Option(help="A function that its model may call; again for more.", show_default=False),
    ] = None,
    rooms: Annotated[
        str | None,
        typer.Option(
            help="one: a room of its own; every: each room that somebody is in.",
            show_default="one, or asked for",
        ),
    ] = None,
) -> None:
    """Write a bot that runs at once: bot.py, config.yaml, a test, and a call to try it with.

    `offline` is a receptionist whose models run on this machine, and whose dialogue is a file.

    In a terminal it asks for what no option says. It never writes over a file; in a folder of a project that
    uv, poetry or pip manages it says what to add to it.
    """
    from fishjam_agents import install
    from fishjam_agents.cli.scaffold import BACKENDS, OFFLINE, Plan, files, find_project, offline
    from fishjam_agents.config.problems import alternatives

    target = Path.cwd() if name == "." else Path(name)
    called = (target.resolve() if name == "." else target).name
    if not re.fullmatch(r"[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9])?", called):
        raise ConfigError(
            f"{called!r} cannot be the name of a bot: use letters, digits, - and _, a letter first, "
            "and no - or _ at its end"
        )
    if re.fullmatch(r"pytest|fishjam-agents(-\w+)?", called.lower().replace("_", "-")):
        raise ConfigError(f"{called!r} is a package that the bot needs: give the bot another name")
    asks = sys.stdin.isatty() and backend is None and tool is None and rooms is None
    if asks:
        try:
            backend, tool, rooms = _asked(tuple(BACKENDS))
        except typer.Abort:
            say("\nnothing is written")
            raise typer.Exit(INTERRUPTED) from None
    backend, rooms = backend or "parrot", rooms or "one"
    if backend not in BACKENDS:
        raise ConfigError(f"--backend {backend} is none that new knows: use {alternatives(BACKENDS)}")
    if rooms not in ("one", "every"):
        raise ConfigError(f"--rooms {rooms}: use one or every")
    tools = _tools(tool or ())
    if backend == OFFLINE:
        offline.verify_tools(tools)
    plan = Plan(called, backend, tools, rooms == "every", find_project(target))
    if plan.project is None and not all(map(install.is_installed, plan.requirements)):
        plan = replace(plan, uv=backend == OFFLINE and which("uv") is not None)
    made = files(plan)
    kept = [one for one in _KEPT if (target / one).exists()]
    there = [one for one in made if one not in kept and (target / one).exists()]
    if there:
        raise ConfigError(
            f"{target} has {', '.join(there)} already, and nothing is written over: give another name"
        )
    _write(target, {one: content for one, content in made.items() if one not in kept})
    say("\n".join(_told(plan, target, [one for one in made if one not in kept], kept)))


def _asked(backends: Sequence[str]) -> tuple[str, list[str], str]:
    """Ask for the model, the tools and the rooms.

    Raises:
        typer.Abort: Ctrl-C or Ctrl-D was the answer.
    """
    backend = _ask("Its model", "parrot", backends)
    tools = [word for word in re.split(r"[\s,]+", typer.prompt("Names of its tools", default="none")) if word]
    rooms = _ask("Which rooms", "one", ("one", "every"))
    return backend, [] if tools == ["none"] else tools, rooms


def _ask(question: str, default: str, choices: Sequence[str]) -> str:
    def checked(word: str) -> str:
        if word not in choices:
            raise typer.BadParameter(f"use {', '.join(choices)}")
        return word

    check: Callable[[str], str] = checked
    answer: str = typer.prompt(f"{question} ({', '.join(choices)})", default=default, value_proc=check)
    return answer


def _tools(names: Sequence[str]) -> tuple[str, ...]:
    from fishjam_agents import AgentPipeline
    from fishjam_agents.tools.builtin import BUILTIN
    from fishjam_agents.tools.signature import NAME

    for name in names:
        if not (name.isidentifier() and NAME.fullmatch(name)) or keyword.iskeyword(name):
            raise ConfigError(f"--tool {name} cannot be a function: use a name like order_status")
        if hasattr(AgentPipeline, name) or name in BUILTIN:
            raise ConfigError(f"--tool {name} is a method that every bot has: use another name")
        if name == "tool":
            raise ConfigError("--tool tool is the decorator of tools: use another name")
    return tuple(dict.fromkeys(names))


def _write(target: Path, made: dict[str, bytes]) -> None:
    """Write all of the files, or none of them."""
    written: list[Path] = []
    folders: list[Path] = []
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name, content in made.items():
            folder = (target / name).parent
            if not folder.exists():
                folder.mkdir()
                folders.append(folder)
            with (target / name).open("xb") as file:
                written.append(target / name)
                file.write(content)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        for folder in folders:
            folder.rmdir()
        raise FishjamAgentsError(f"cannot write {error.filename or target} ({error.strerror})") from error


def _told(plan: Plan, target: Path, written: Sequence[str], kept: Sequence[str]) -> list[str]:
    """Return lines about the files that were made, and the next commands."""
    from fishjam_agents import install
    from fishjam_agents.cli.scaffold.files import before_it_runs

    lines = [f"{target}: {', '.join(written)}"]
    lines += [f"{', '.join(kept)} stay as they were"] if kept else []
    if plan.project is not None:
        lines += ["", f"Your project ({plan.project.kind}) needs:"]
        lines += [f"  {command}" for command in plan.project.adding(plan.requirements)]
    elif plan.uv:
        lines += ["", "uv installs what it needs with the first command, in the bot's folder."]
    elif not all(map(install.is_installed, plan.requirements)):
        lines += ["", "Its model needs an integration that is not installed:"]
        lines += [f"  {install.command(*plan.requirements[1:])}"]
    before = before_it_runs(plan)
    lines += ["", before] if before else []
    prefix = plan.prefix
    lines += ["", "Next:"]
    lines += [f"  cd {target}"] if target != Path.cwd() else []
    lines += [
        f"  {prefix}fishjam-agents run config.yaml",
        f"  {prefix}pytest",
        f"  {prefix}fishjam-agents simulate config.yaml {plan.scenarios}",
    ]
    return lines
