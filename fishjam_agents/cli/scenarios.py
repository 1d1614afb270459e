"""Simulated calls for the command line: one with its timeline, or a folder of scenarios with a table."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fishjam_agents.audio.wav import Clip, read_wav
from fishjam_agents.cli.console import say
from fishjam_agents.config import Config, pipeline_factory
from fishjam_agents.config.scenario import load_scenario
from fishjam_agents.errors import ConfigError, FishjamAgentsError
from fishjam_agents.observe.report import write_report
from fishjam_agents.observe.timeline import render
from fishjam_agents.server.recorder import RECORDING_RATE
from fishjam_agents.simulation import (
    LAG_LIMIT,
    SimulationResult,
    SpeechUnavailableError,
    simulate,
    simulate_fast,
)
from fishjam_agents.simulation.result import prepare_folder
from fishjam_agents.testing.expectations import Verdict, judge
from fishjam_agents.testing.scenario import Scenario

if TYPE_CHECKING:
    from rich.table import Table

_ENDINGS = (".yaml", ".yml")


class Simulation:
    """How calls with the bot of a file are simulated.

    Args:
        settings: The file.
        fast: In memory and in virtual time.
        seconds: Length of every call; None leaves it to the scenario.

    Raises:
        ConfigError: The file's bot cannot be made.
    """

    def __init__(self, settings: Config, *, fast: bool, seconds: float | None) -> None:
        self._make = pipeline_factory(settings)
        self._limits = settings.limits
        self._fast = fast
        self._seconds = seconds
        # What is wrong with the bot is said before anything starts.
        self._make()

    def call(self, callers: Scenario | Sequence[Clip]) -> SimulationResult:
        """One call with a new bot."""
        if self._fast:
            return simulate_fast(self._make(), callers, seconds=self._seconds, limits=self._limits)
        return asyncio.run(simulate(self._make(), callers, seconds=self._seconds, limits=self._limits))

    def play_recordings(
        self, callers: Sequence[Path], out: Path | None, begins: Callable[[], None]
    ) -> SimulationResult:
        """One call with recorded callers, told and written down; `begins` is called once all is readable."""
        clips = [read_wav(path) for path in callers]
        if out is not None:
            prepare_folder(out)
        begins()
        return self._tell(self.call(clips), out)

    def play(self, scenario: Scenario, out: Path | None) -> SimulationResult:
        """One call of a scenario, told and written down."""
        if out is not None:
            prepare_folder(out)
        return self._tell(self.call(scenario), out)

    def _tell(self, result: SimulationResult, out: Path | None) -> SimulationResult:
        files = [] if out is None else write_down(result, out)
        say(render(result.timeline))
        where = f" in {', '.join(str(path) for path in files)}" if files else ""
        say(f"\n{result.seconds:.2f} s of call{where}")
        if result.lagged:
            say(
                f"This machine was up to {result.lag * 1000:.0f} ms late, more than "
                f"{LAG_LIMIT * 1000:.0f} ms: the times above are not exact."
            )
        return result


def write_down(result: SimulationResult, folder: Path) -> list[Path]:
    """Write a call's recordings, timeline and report; returns the files."""
    files = result.write(folder)
    # After the recordings: the page of a long call links to room.wav.
    files.append(write_report(folder, room=result.room, sample_rate=RECORDING_RATE, timeline=result.timeline))
    return files


def scenarios_of(folder: Path) -> list[Scenario]:
    """The scenarios of a folder, by the names of their files.

    Raises:
        ConfigError: There is none, or some cannot be used; every mistake of every file at once.
    """
    paths = sorted(path for path in folder.iterdir() if path.suffix in _ENDINGS)
    if not paths:
        raise ConfigError(f"{folder} holds no scenario: put .yaml files there, or name one")
    scenarios: list[Scenario] = []
    mistakes: list[str] = []
    for path in paths:
        try:
            scenarios.append(load_scenario(path))
        except ConfigError as error:
            mistakes.append(str(error))
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return scenarios


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a scenario in a suite.

    Attributes:
        scenario: The scenario.
        verdicts: What was expected and what came.
        problem: What prevented or ended the call, None if nothing did.
        skipped: Whether it could not run on this machine.
        call: Length of the call, seconds.
        took: Seconds it took to run.
        lagged: Whether the machine was too slow for times to be exact.
    """

    scenario: Scenario
    verdicts: Sequence[Verdict] = ()
    problem: str | None = None
    skipped: bool = False
    call: float = 0.0
    took: float = 0.0
    lagged: bool = False

    @property
    def passed(self) -> bool:
        """Whether it ran and everything came as expected."""
        return self.problem is None and all(verdict.met for verdict in self.verdicts)


def play_suite(simulation: Simulation, suite: Sequence[Scenario], out: Path | None) -> bool:
    """Play scenarios one after the other; prints a table and what went wrong.

    Returns:
        Whether all passed, those aside that cannot run on this machine.
    """
    from rich.console import Console
    from rich.progress import Progress

    outcomes: list[Outcome] = []
    bars = Console(stderr=True)
    with Progress(console=bars, disable=not bars.is_terminal, transient=True) as progress:
        bar = progress.add_task("", total=len(suite))
        for scenario in suite:
            progress.update(bar, description=scenario.name)
            outcomes.append(_outcome(simulation, scenario, None if out is None else out / scenario.name))
            progress.advance(bar)
    # As wide as it needs to be: what reads a pipe has no width.
    Console(soft_wrap=True).print(_table(outcomes))
    for outcome in outcomes:
        if outcome.problem is not None:
            say(f"{outcome.scenario.name}: {outcome.problem}")
        for verdict in outcome.verdicts:
            if not verdict.met:
                say(f"{outcome.scenario.name}: {verdict}")
    failed = sum(not (outcome.passed or outcome.skipped) for outcome in outcomes)
    skipped = sum(outcome.skipped for outcome in outcomes)
    say(f"{len(outcomes) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return failed == 0


def _outcome(simulation: Simulation, scenario: Scenario, out: Path | None) -> Outcome:
    begun = time.perf_counter()
    try:
        if out is not None:
            prepare_folder(out)
        result = simulation.call(scenario)
        if out is not None:
            write_down(result, out)
    except SpeechUnavailableError as error:
        return Outcome(scenario, problem=f"skipped: {error}", skipped=True)
    except FishjamAgentsError as error:
        return Outcome(scenario, problem=str(error))
    return Outcome(
        scenario,
        judge(scenario.expect, result.timeline["events"]),
        problem=None if result.failure is None else str(result.failure),
        call=result.seconds,
        took=time.perf_counter() - begun,
        lagged=result.lagged,
    )


def _table(outcomes: Sequence[Outcome]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table("scenario", "", "call", "took", "what it shows")
    for outcome in outcomes:
        word = "skipped" if outcome.skipped else "pass" if outcome.passed else "FAIL"
        style = {"pass": "green", "FAIL": "bold red", "skipped": "yellow"}[word]
        late = " (late)" if outcome.lagged else ""
        table.add_row(
            Text(outcome.scenario.name),
            Text(word, style),
            f"{outcome.call:.1f} s",
            f"{outcome.took:.2f} s{late}",
            Text(outcome.scenario.about),
        )
    return table
