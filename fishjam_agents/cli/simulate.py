"""`simulate CONFIG --caller A.wav --out DIR`: a call with recorded callers, and its timeline."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from fishjam_agents.cli.console import say


def simulate(
    config: Annotated[Path, typer.Argument(help="The config.yaml.", show_default=False)],
    caller: Annotated[
        list[Path],
        typer.Option(help="What a caller says: a 16-bit WAV. Give it again for another caller."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for heard.wav, room.wav and timeline.json.")],
    seconds: Annotated[
        float | None,
        typer.Option(
            help="Length of the call; without it, until all is said.", min=0.1, max=600, show_default=False
        ),
    ] = None,
) -> None:
    """Let recorded callers talk to the bot, on a Fishjam of its own, and see what happens."""
    from fishjam_agents.audio.wav import read_wav
    from fishjam_agents.config import load_config, pipeline_factory
    from fishjam_agents.observe.log import setup_logging
    from fishjam_agents.observe.report import write_report
    from fishjam_agents.observe.timeline import render
    from fishjam_agents.server.recorder import RECORDING_RATE
    from fishjam_agents.simulation import LAG_LIMIT
    from fishjam_agents.simulation import simulate as simulate_call
    from fishjam_agents.simulation.result import prepare_folder

    settings = load_config(config)
    pipeline = pipeline_factory(settings)()
    clips = [read_wav(path) for path in caller]
    prepare_folder(out)
    setup_logging(settings.log)
    result = asyncio.run(simulate_call(pipeline, clips, seconds=seconds, limits=settings.limits))
    files = result.write(out)
    # After the recordings: the page of a long call links to room.wav.
    files.append(write_report(out, room=result.room, sample_rate=RECORDING_RATE, timeline=result.timeline))
    say(render(result.timeline))
    say(f"\n{result.seconds:.2f} s of call in {', '.join(str(path) for path in files)}")
    if result.lagged:
        say(
            f"This machine was up to {result.lag * 1000:.0f} ms late, more than {LAG_LIMIT * 1000:.0f} ms: "
            "the times above are not exact."
        )
    if result.failure is not None:
        raise result.failure
