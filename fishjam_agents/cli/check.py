"""`check CONFIG`: what can be known of a file without starting anything."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fishjam_agents.cli.output import say
from fishjam_agents.cli.tracing import require_opentelemetry
from fishjam_agents.errors import MissingExtraError

if TYPE_CHECKING:
    from fishjam_agents.backends.port import Backend


def check(config: Annotated[Path, typer.Argument(help="The config.yaml.", show_default=False)]) -> None:
    """Say what a config.yaml makes, or what is wrong with it."""
    from fishjam_agents.audio import compiled
    from fishjam_agents.config import (
        backends_of,
        describe,
        describe_rooms,
        differing_limits,
        load_config,
        pipeline_factory,
    )

    settings = load_config(config)
    machine = f"{'compiled':<9} {compiled.describe()}"
    if settings.fishjam.id == "local" and not (find_spec("starlette") and find_spec("uvicorn")):
        raise MissingExtraError("the embedded Fishjam server (fishjam.id is local)", "server")
    if settings.observe.tracing is not None:
        require_opentelemetry()
    if not settings.is_multi_room:
        pipeline = pipeline_factory(settings)()
        own = backends_of("agent", settings, pipeline.backend)
        notes = [f"{'note':<9} {note}" for note in differing_limits(own)]
        say("\n".join([*describe(settings, pipeline), machine, *notes]))
        return
    blocks = []
    backends: dict[str, Backend] = {}
    for name in settings.bot_names():
        bot = settings.bot(name)
        pipeline = pipeline_factory(bot)()
        backends |= backends_of(name, bot, pipeline.backend)
        blocks.append([f"{name}:", *(f"  {line}" for line in describe(bot, pipeline))])
    notes = [f"{'note':<9} {note}" for note in differing_limits(backends)]
    blocks.insert(0, [*describe_rooms(settings), machine, *notes])
    say("\n\n".join("\n".join(block) for block in blocks))
