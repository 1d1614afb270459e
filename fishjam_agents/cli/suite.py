"""A folder of scenarios for the command line: played, with a table and what went wrong."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fishjam_agents.cli.console import say
from fishjam_agents.cli.performance import Performance, Stage, write_down
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.observe.settings import LogSettings
from fishjam_agents.simulation import SpeechUnavailableError
from fishjam_agents.simulation.result import prepare_folder
from fishjam_agents.testing.expectations import Verdict

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a scenario in a suite.

    Attributes:
        performance: The scenario and its bot.
        verdicts: What was expected and what came.
        problem: What prevented or ended the call, None if nothing did.
        skipped: Whether it could not run on this machine.
        call: Length of the call, seconds.
        took: Seconds it took to run.
        lagged: Whether the machine was too slow for times to be exact.
    """

    performance: Performance
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

    @property
    def name(self) -> str:
        """What the scenario is called."""
        return self.performance.scenario.name


def quiet(log: LogSettings) -> LogSettings:
    """What is logged while a suite runs: what goes wrong, unless the user chose another level or a file."""
    return replace(log, level="warning") if log.level == "info" and log.file is None else log


def play_suite(stage: Stage, suite: Sequence[Performance], out: Path | None) -> bool:
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
        for performance in suite:
            name = performance.scenario.name
            progress.update(bar, description=name)
            outcomes.append(_outcome(stage, performance, None if out is None else out / name))
            progress.advance(bar)
    # As wide as it needs to be: what reads a pipe has no width.
    Console(soft_wrap=True).print(_table(outcomes))
    for outcome in outcomes:
        if outcome.problem is not None:
            say(f"{outcome.name}: {outcome.problem}")
        for verdict in outcome.verdicts:
            if not verdict.met:
                say(f"{outcome.name}: {outcome.performance.told(verdict)}")
    failed = sum(not (outcome.passed or outcome.skipped) for outcome in outcomes)
    skipped = sum(outcome.skipped for outcome in outcomes)
    say(f"{len(outcomes) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return failed == 0


def _outcome(stage: Stage, performance: Performance, out: Path | None) -> Outcome:
    begun = time.perf_counter()
    try:
        if out is not None:
            prepare_folder(out)
        result = stage.call(performance.settings, performance.make, performance.scenario)
        if out is not None:
            write_down(result, out)
    except SpeechUnavailableError as error:
        return Outcome(performance, problem=f"skipped: {error}", skipped=True)
    except FishjamAgentsError as error:
        return Outcome(performance, problem=str(error))
    return Outcome(
        performance,
        performance.judge(result),
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
            Text(outcome.name),
            Text(word, style),
            f"{outcome.call:.1f} s",
            f"{outcome.took:.2f} s{late}",
            Text(outcome.performance.scenario.about),
        )
    return table
