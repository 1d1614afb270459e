"""`check CONFIG`: what can be known of a file without starting anything."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from fishjam_agents.cli.output import say
from fishjam_agents.cli.tracing import require_opentelemetry
from fishjam_agents.errors import MissingExtraError


def check(config: Annotated[Path, typer.Argument(help="The config.yaml.", show_default=False)]) -> None:
    """Say what a config.yaml makes, or what is wrong with it."""
    from fishjam_agents.audio import compiled
    from fishjam_agents.config import (
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
        say("\n".join([*describe(settings, pipeline_factory(settings)()), machine]))
        return
    blocks = []
    backends = {}
    for name in settings.bot_names():
        bot = settings.bot(name)
        pipeline = pipeline_factory(bot)()
        backends[name] = pipeline.backend
        blocks.append([f"{name}:", *(f"  {line}" for line in describe(bot, pipeline))])
    notes = [f"{'note':<9} {note}" for note in differing_limits(backends)]
    blocks.insert(0, [*describe_rooms(settings), machine, *notes])
    say("\n\n".join("\n".join(block) for block in blocks))
