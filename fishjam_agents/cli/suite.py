"""A folder of scenarios for the command line: played, with a table and what went wrong."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from fishjam_agents.cli.failures import failures
from fishjam_agents.cli.loops import run_on_loop
from fishjam_agents.cli.output import say
from fishjam_agents.cli.scenario_run import ScenarioRun, ScenarioRunner, write_down
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.observe.settings import LogSettings
from fishjam_agents.simulation import (
    Prepared,
    SimulationResult,
    SpeechUnavailableError,
    StoppedError,
    StopRequest,
    prepare,
)
from fishjam_agents.simulation.result import prepare_folder
from fishjam_agents.testing.expectations import Verdict

if TYPE_CHECKING:
    from rich.table import Table

Word: TypeAlias = Literal["pass", "FAIL", "skipped", "stopped", "not played"]

_STYLES: dict[Word, str] = {
    "pass": "green",
    "FAIL": "bold red",
    "skipped": "yellow",
    "stopped": "yellow",
    "not played": "dim",
}

TOGETHER = 6
"""Calls in real time that are played at once. What holds up the loop they share makes all of them late."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of a scenario in a suite.

    Attributes:
        performance: The scenario and its bot.
        result: Its call, None where none came about.
        verdicts: What was expected and what came.
        problem: What prevented or ended the call, None if nothing did.
        skipped: Whether it could not run on this machine.
        stopped: Whether it was asked to stop before it was over; then its result is of the part that was.
        took: Seconds it took to run.
    """

    performance: ScenarioRun
    result: SimulationResult | None = None
    verdicts: Sequence[Verdict] = ()
    problem: str | None = None
    skipped: bool = False
    stopped: bool = False
    took: float = 0.0

    @property
    def passed(self) -> bool:
        """True if it ran and everything came as expected."""
        return self.problem is None and not self.stopped and all(verdict.met for verdict in self.verdicts)

    @property
    def word(self) -> Word:
        """The outcome as the table has it."""
        if self.stopped:
            return "stopped" if self.result is not None else "not played"
        return "skipped" if self.skipped else "pass" if self.passed else "FAIL"

    @property
    def late(self) -> bool:
        """True if the machine was too slow for times to be exact."""
        return self.result is not None and self.result.lagged


def quiet(log: LogSettings) -> LogSettings:
    """Return a suite's log settings: problems only, unless the user chose another level or a file."""
    return replace(log, level="warning") if log.level == "info" and log.file is None else log


def play_suite(stage: ScenarioRunner, suite: Sequence[ScenarioRun], out: Path | None) -> bool:
    """Play scenarios; prints a table and what went wrong.

    In real time several are played at once. Those that failed while the machine was late are played again,
    at last one by one, so that only what each does by itself counts.

    Returns:
        Whether all passed, those aside that cannot run on this machine.

    Raises:
        FishjamAgentsError: Results cannot be written.
    """
    from rich.console import Console

    begun = time.perf_counter()
    if out is not None:
        for performance in suite:
            prepare_folder(out / performance.name)

    def keep(outcome: Outcome) -> None:
        if out is not None and outcome.result is not None:
            scenario = outcome.performance.scenario
            folder = out / scenario.name
            write_down(outcome.result, folder, outcome.verdicts, title=scenario.name, about=scenario.about)

    with _progress(len(suite)) as advance:
        outcomes = _play(stage, suite, advance, keep)
    took = time.perf_counter() - begun
    # As wide as it needs to be: what reads a pipe has no width.
    Console(soft_wrap=True).print(_table(outcomes))
    for outcome in sorted(outcomes, key=lambda outcome: not outcome.skipped):
        _tell_problems(outcome)
    seconds = sum(outcome.result.seconds for outcome in outcomes if outcome.result is not None)
    words = Counter(outcome.word for outcome in outcomes)
    counts = [f"{words['pass']} passed, {words['FAIL']} failed, {words['skipped']} skipped"]
    counts += [f"{words[word]} {word}" for word in ("stopped", "not played") if words[word]]
    say(
        f"{', '.join(counts)}: {seconds:.1f} s of calls in {took:.1f} s, {seconds / took:.0f} times real time"
    )
    if out is not None and stage.stop.asked:
        say(f"What was played until it was stopped is in {out}")
    return not words["FAIL"]


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str], None]]:
    """A bar on a terminal; gives the function that is told what is done."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        bar = progress.add_task("scenarios", total=total)
        yield lambda name: progress.update(bar, description=name, advance=1)


def _play(
    stage: ScenarioRunner,
    suite: Sequence[ScenarioRun],
    advance: Callable[[str], None],
    keep: Callable[[Outcome], None],
) -> list[Outcome]:
    """Play scenarios.

    Args:
        stage: The runner of calls.
        suite: The scenarios.
        advance: Told the name of each that is done.
        keep: Given each outcome once it is final; in real time when all are, since that takes the time of
            calls that still go on.
    """
    outcomes: dict[int, Outcome] = {}
    ready: list[tuple[int, Prepared]] = []
    for number, performance in enumerate(suite):
        try:
            ready.append((number, prepare(performance.scenario)))
        except SpeechUnavailableError as error:
            outcomes[number] = Outcome(performance, problem=f"skipped: {error}", skipped=True)
            advance(performance.name)
        except FishjamAgentsError as error:
            outcomes[number] = Outcome(performance, problem=str(error))
            advance(performance.name)
    if stage.fast:
        for number, cast in ready:
            outcomes[number] = _alone(stage, suite[number], cast)
            keep(outcomes[number])
            advance(suite[number].name)
        return [outcomes[number] for number in range(len(suite))]
    outcomes |= run_on_loop(_together(stage, suite, ready, advance))
    # What made the machine late has often passed by then.
    again = [(number, cast) for number, cast in ready if _undecided(outcomes[number], stage.stop)]
    outcomes |= run_on_loop(_together(stage, suite, again, lambda name: None))
    for number, cast in again:
        if _undecided(outcomes[number], stage.stop):
            outcomes[number] = _alone(stage, suite[number], cast)
    for number, _ in ready:
        keep(outcomes[number])
    return [outcomes[number] for number in range(len(suite))]


def _undecided(outcome: Outcome, stop: StopRequest) -> bool:
    """Return whether it may have failed only because this machine was late, and can be played again."""
    return outcome.late and not outcome.passed and not stop.asked


def _alone(stage: ScenarioRunner, performance: ScenarioRun, cast: Prepared) -> Outcome:
    begun = time.perf_counter()
    try:
        result = stage.call(performance.bot, cast)
    except StoppedError:
        return Outcome(performance, stopped=True)
    except FishjamAgentsError as error:
        return Outcome(performance, problem=str(error), took=time.perf_counter() - begun)
    return _outcome(performance, result, time.perf_counter() - begun)


async def _together(
    stage: ScenarioRunner,
    suite: Sequence[ScenarioRun],
    ready: Sequence[tuple[int, Prepared]],
    advance: Callable[[str], None],
) -> dict[int, Outcome]:
    outcomes: dict[int, Outcome] = {}
    places = asyncio.Semaphore(TOGETHER)

    async def play(number: int, cast: Prepared) -> None:
        performance = suite[number]
        async with places:
            begun = time.perf_counter()
            try:
                result = await stage.call_live(performance.bot, cast)
            except StoppedError:
                outcomes[number] = Outcome(performance, stopped=True)
            except FishjamAgentsError as error:
                outcomes[number] = Outcome(performance, problem=str(error), took=time.perf_counter() - begun)
            else:
                outcomes[number] = _outcome(performance, result, time.perf_counter() - begun)
        advance(performance.name)

    async with asyncio.TaskGroup() as tasks:
        for number, cast in ready:
            tasks.create_task(play(number, cast))
    return outcomes


def _outcome(performance: ScenarioRun, result: SimulationResult, took: float) -> Outcome:
    if result.stopped:
        return Outcome(performance, result, stopped=True, took=took)
    problem = None if result.failure is None else str(result.failure)
    return Outcome(performance, result, performance.judge(result), problem, took=took)


def _tell_problems(outcome: Outcome) -> None:
    name = outcome.performance.name
    if outcome.problem is not None:
        say(f"{name}: {outcome.problem}")
    if outcome.result is not None and outcome.word == "FAIL":
        for line in failures(outcome.result).lines:
            say(f"{name}: {line}")
    for verdict in outcome.verdicts:
        if not verdict.met:
            say(f"{name}: {outcome.performance.describe(verdict)}")
    if outcome.late and outcome.word == "FAIL" and outcome.result is not None:
        lag = outcome.result.lag * 1000
        say(f"{name}: this machine was up to {lag:.0f} ms late: play it again on one that has time")


def _table(outcomes: Sequence[Outcome]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table("scenario", "", "call", "took", "what it shows")
    for outcome in outcomes:
        if outcome.word == "not played":
            continue
        table.add_row(
            Text(outcome.performance.name),
            Text(outcome.word, _STYLES[outcome.word]),
            "" if outcome.result is None else f"{outcome.result.seconds:.1f} s",
            f"{outcome.took:.2f} s{' (late)' if outcome.late else ''}",
            Text(outcome.performance.scenario.about),
        )
    return table
