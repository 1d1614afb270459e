"""`simulate CONFIG SCENARIO.yaml`: calls with simulated callers, and whether they passed."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fishjam_agents.cli import INTERRUPTED
from fishjam_agents.cli.call_options import Seconds
from fishjam_agents.cli.log_options import LogLevel, LogWords, chosen
from fishjam_agents.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fishjam_agents.cli.scenario_run import ScenarioRun, ScenarioRunner
    from fishjam_agents.config.scenario import ScenarioFile
    from fishjam_agents.observe.settings import LogSettings
    from fishjam_agents.simulation import SimulationResult
    from fishjam_agents.testing.expectations import Verdict


def simulate(
    config: Annotated[Path, typer.Argument(help="The config.yaml.", show_default=False)],
    scenario: Annotated[
        Path | None,
        typer.Argument(help="A scenario, or a folder of them: who says what when, and what is expected."),
    ] = None,
    caller: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="WAV",
            help="Without a scenario: what a caller says, a 16-bit WAV. Give it again for another caller.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for heard.wav, room.wav, timeline.json, call.jsonl and report.html; of a folder of "
            "scenarios each has its own in it. Without it nothing is written.",
            show_default=False,
        ),
    ] = None,
    seconds: Seconds = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="In memory and in virtual time, where the backend allows it.")
    ] = False,
    like: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The --out of another run: expect the same events at the same times.",
            show_default=False,
        ),
    ] = None,
    log_level: LogLevel = None,
    log_words: LogWords = False,
) -> None:
    """Let simulated callers talk to the bot, on a Fishjam of its own, and see what happens.

    Exits with 0 when every expectation of every scenario is met, with 1 when one is not, or without a
    scenario when a hook failed, or a failure left a caller without an answer, with 2 when a file cannot be
    used. Ctrl-C ends the calls at once; what was recorded by then is told and written down, and it exits
    with 130.
    """
    from fishjam_agents.cli.interrupts import stop_at_interrupt
    from fishjam_agents.cli.scenario_run import ScenarioRunner
    from fishjam_agents.config import load_config
    from fishjam_agents.config.scenario import load_scenario, load_suite
    from fishjam_agents.simulation import StoppedError, StopRequest

    if (scenario is None) == (not caller):
        raise typer.BadParameter("give either a scenario or at least one --caller", param_hint="SCENARIO")
    if scenario is None and like is not None:
        raise typer.BadParameter("it is for scenarios: give one", param_hint="--like")
    stop = StopRequest()
    stage = ScenarioRunner(config, fast=fast, seconds=seconds, stop=stop)
    log = partial(chosen, level=log_level, words=log_words)
    with stop_at_interrupt(stop):
        try:
            if scenario is None:
                passed = _play_recordings(stage, caller or [], out, log)
            elif scenario.is_dir():
                from fishjam_agents.cli.suite import quiet

                written = load_config(config).log
                suite_log = log(quiet(written) if log_level is None and not log_words else written)
                passed = _play_folder(stage, load_suite(scenario), like, out, suite_log)
            else:
                passed = _play_scenario(stage, stage.set_up(load_scenario(scenario), like), out, log)
        except StoppedError as error:
            print(error, file=sys.stderr)
        if stop.asked:
            raise typer.Exit(INTERRUPTED)
    if not passed:
        raise typer.Exit(1)


def _play_folder(
    stage: ScenarioRunner,
    files: Sequence[ScenarioFile],
    like: Path | None,
    out: Path | None,
    log: LogSettings,
) -> bool:
    """A call of each scenario: whether all passed that can run here."""
    from fishjam_agents.cli.suite import play_suite
    from fishjam_agents.observe.log import setup_logging

    suite = [stage.set_up(file, None if like is None else like / file.scenario.name) for file in files]
    setup_logging(log)
    return play_suite(stage, suite, out)


def _play_recordings(
    stage: ScenarioRunner,
    callers: Sequence[Path],
    out: Path | None,
    log: Callable[[LogSettings], LogSettings],
) -> bool:
    """One call with recorded callers, told, and written down if asked: whether no failure cost an answer."""
    from fishjam_agents.cli.callers import read_callers
    from fishjam_agents.observe.log import setup_logging
    from fishjam_agents.simulation.result import prepare_folder

    bot = stage.bot()
    clips = read_callers(callers)
    if out is not None:
        prepare_folder(out)
    setup_logging(log(bot.settings.log))
    result = stage.call(bot, clips)
    answered = _tell(result, out, title=bot.name)
    if result.failure is not None:
        raise result.failure
    return answered


def _play_scenario(
    stage: ScenarioRunner,
    performance: ScenarioRun,
    out: Path | None,
    log: Callable[[LogSettings], LogSettings],
) -> bool:
    """One call of a scenario, told, written down and judged: whether it passed, or cannot run here."""
    from fishjam_agents.observe.log import setup_logging
    from fishjam_agents.simulation import SpeechUnavailableError
    from fishjam_agents.simulation.result import prepare_folder

    if out is not None:
        prepare_folder(out)
    setup_logging(log(performance.bot.settings.log))
    try:
        result = stage.call(performance.bot, performance.scenario)
    except SpeechUnavailableError as error:
        say(f"{performance.name} is skipped: {error}")
        return True
    if result.stopped:
        # What was expected may have been about to come.
        return _tell(result, out, title=performance.name, about=performance.scenario.about)
    verdicts = performance.judge(result)
    _tell(result, out, verdicts, title=performance.name, about=performance.scenario.about)
    say("")
    for verdict in sorted(verdicts, key=lambda verdict: not verdict.met):
        say(performance.describe(verdict))
    if result.failure is not None:
        raise result.failure
    missed = sum(not verdict.met for verdict in verdicts)
    expectations = "1 expectation" if len(verdicts) == 1 else f"{len(verdicts)} expectations"
    if missed:
        say(f"\n{performance.name} failed: {missed} of {expectations} not met")
    else:
        say(f"\n{performance.name} passed: {expectations} met")
    return not missed


def _tell(
    result: SimulationResult,
    out: Path | None,
    verdicts: Sequence[Verdict] = (),
    *,
    title: str,
    about: str = "",
) -> bool:
    """Tell of a call, and write it down: whether no hook failed, and no failure cost an answer."""
    from fishjam_agents.cli.failures import failures
    from fishjam_agents.cli.scenario_run import write_down
    from fishjam_agents.observe.latency import describe_latency
    from fishjam_agents.observe.timeline import render
    from fishjam_agents.simulation import LAG_LIMIT

    files = [] if out is None else write_down(result, out, verdicts, title=title, about=about)
    say(render(result.timeline))
    where = f" in {', '.join(str(path) for path in files)}" if files else ""
    early = ", stopped before its end" + ("," if out is not None else "") if result.stopped else ""
    say(f"\n{result.seconds:.2f} s of call{early}{where}")
    if timed := describe_latency(result.timeline["events"]):
        say(timed)
    failed = failures(result)
    errors = [*result.errors, *result.late_errors]
    for line in (*failed.lines, *errors):
        say(line)
    if result.lagged:
        say(
            f"This machine was up to {result.lag * 1000:.0f} ms late, more than {LAG_LIMIT * 1000:.0f} ms: "
            "the times above are not exact."
        )
    return not failed.unanswered and not errors
