"""`check CONFIG`: what can be known of a file without starting anything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def check(config: Annotated[Path, typer.Argument(help="The config.yaml.", show_default=False)]) -> None:
    """Say what a config.yaml makes, or what is wrong with it."""
    from fishjam_agents.config import describe, load_config, pipeline_factory

    settings = load_config(config)
    print("\n".join(describe(settings, pipeline_factory(settings)())))
