"""`simulate CONFIG SCENARIO.yaml`: calls with simulated callers, and whether they passed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fishjam_agents.cli.console import say


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
            help="Folder for heard.wav, room.wav, timeline.json and report.html.", show_default=False
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

    Exits with 1 when a scenario's expectations are not met.
    """
    from fishjam_agents.cli.scenarios import Simulation, play_suite, scenarios_of
    from fishjam_agents.config import load_config
    from fishjam_agents.observe.log import setup_logging
    from fishjam_agents.testing.expectations import judge

    if (scenario is None) == (not caller):
        raise typer.BadParameter("give either a scenario or at least one --caller", param_hint="SCENARIO")
    if scenario is None and out is None:
        raise typer.BadParameter("a call with --caller needs a folder for its recordings", param_hint="--out")
    settings = load_config(config)
    simulation = Simulation(settings, fast=fast, seconds=seconds)
    if scenario is not None and scenario.is_dir():
        suite = scenarios_of(scenario)
        setup_logging(settings.log)
        if not play_suite(simulation, suite, out):
            raise typer.Exit(1)
        return
    if scenario is None:
        result = simulation.play_recordings(caller or [], out, lambda: setup_logging(settings.log))
        verdicts = []
    else:
        from fishjam_agents.config.scenario import load_scenario

        loaded = load_scenario(scenario)
        setup_logging(settings.log)
        result = simulation.play(loaded, out)
        verdicts = judge(loaded.expect, result.timeline["events"])
    for line in verdicts:
        say(str(line))
    if result.failure is not None:
        raise result.failure
    if not all(verdict.met for verdict in verdicts):
        say(f"{scenario} failed")
        raise typer.Exit(1)
