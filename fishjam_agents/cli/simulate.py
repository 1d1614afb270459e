"""`simulate CONFIG SCENARIO.yaml`: calls with simulated callers, and whether they passed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def simulate(
    config: Annotated[Path, typer.Argument(help="The config.yaml.", show_default=False)],
    scenario: Annotated[
        Path | None,
        typer.Argument(help="A scenario, or a folder of them: who says what when, and what is expected."),
    ] = None,
    caller: Annotated[
        list[Path] | None,
        typer.Option(
            help="Without a scenario: what a caller says, a 16-bit WAV. Give it again for another caller."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for heard.wav, room.wav, timeline.json, call.jsonl and report.html; of a folder of "
            "scenarios each has its own in it.",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            help="Length of the call; without it, until all is said.", min=0.1, max=600, show_default=False
        ),
    ] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="In memory and in virtual time, where the backend allows it.")
    ] = False,
) -> None:
    """Let simulated callers talk to the bot, on a Fishjam of its own, and see what happens.

    Exits with 0 when every expectation of every scenario is met, with 1 when one is not, with 2 when a file
    cannot be used.
    """
    from fishjam_agents.cli.performance import Stage, play_recordings, play_scenario
    from fishjam_agents.config import load_config
    from fishjam_agents.config.scenario import load_scenario, load_suite
    from fishjam_agents.observe.log import setup_logging

    if (scenario is None) == (not caller):
        raise typer.BadParameter("give either a scenario or at least one --caller", param_hint="SCENARIO")
    if scenario is None and out is None:
        raise typer.BadParameter("a call with --caller needs a folder for its recordings", param_hint="--out")
    stage = Stage(config, fast=fast, seconds=seconds)
    if scenario is None:
        assert out is not None
        play_recordings(stage, caller or [], out)
        return
    if scenario.is_dir():
        from fishjam_agents.cli.suite import play_suite, quiet

        suite = [stage.set_up(file) for file in load_suite(scenario)]
        setup_logging(quiet(load_config(config).log))
        passed = play_suite(stage, suite, out)
    else:
        passed = play_scenario(stage, load_scenario(scenario), out)
    if not passed:
        raise typer.Exit(1)
