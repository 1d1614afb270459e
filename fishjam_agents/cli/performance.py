"""One simulated call for the command line: played, told, written down and judged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fishjam_agents.audio.wav import Clip, read_wav
from fishjam_agents.cli.console import say
from fishjam_agents.config import Config, load_config, pipeline_factory
from fishjam_agents.config.scenario import ScenarioFile
from fishjam_agents.observe.log import setup_logging
from fishjam_agents.observe.report import write_report
from fishjam_agents.observe.timeline import render
from fishjam_agents.pipeline import AgentPipeline
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


@dataclass(frozen=True, slots=True)
class Performance:
    """A scenario and the bot it is played with.

    Attributes:
        file: The scenario.
        settings: The bot's file, with what the scenario lays over it.
        make: Makes the bot.
    """

    file: ScenarioFile
    settings: Config
    make: Callable[[], AgentPipeline]

    @property
    def scenario(self) -> Scenario:
        """What happens and what is expected."""
        return self.file.scenario

    def judge(self, result: SimulationResult) -> list[Verdict]:
        """What was expected of its call, and what came."""
        return judge(self.scenario.expect, result.timeline["events"])

    def told(self, verdict: Verdict) -> str:
        """A verdict as a line; one that was not met says where in the file it stands."""
        return str(verdict) if verdict.met else f"{verdict} ({self.file.where(verdict.key)})"


class Stage:
    """Where calls with the bot of a file are simulated.

    Args:
        config: The bot's file.
        fast: In memory and in virtual time.
        seconds: Length of every call; None leaves it to the scenario.
    """

    def __init__(self, config: Path, *, fast: bool, seconds: float | None) -> None:
        self._config = config
        self._fast = fast
        self._seconds = seconds

    def bot(self) -> tuple[Config, Callable[[], AgentPipeline]]:
        """The bot's settings, and what makes it.

        Raises:
            ConfigError: It cannot be made.
        """
        return self._bot(load_config(self._config))

    def set_up(self, file: ScenarioFile) -> Performance:
        """A scenario's bot, before anything starts.

        Raises:
            ConfigError: It cannot be made.
        """
        return Performance(file, *self._bot(load_config(self._config, over=file.bot)))

    def _bot(self, settings: Config) -> tuple[Config, Callable[[], AgentPipeline]]:
        make = pipeline_factory(settings)
        # What is wrong with the bot is said before anything starts.
        make()
        return settings, make

    def call(
        self, settings: Config, make: Callable[[], AgentPipeline], callers: Scenario | Sequence[Clip]
    ) -> SimulationResult:
        """One call with a new bot."""
        limits = settings.limits
        if self._fast:
            return simulate_fast(make(), callers, seconds=self._seconds, limits=limits)
        return asyncio.run(simulate(make(), callers, seconds=self._seconds, limits=limits))


def play_recordings(stage: Stage, callers: Sequence[Path], out: Path) -> None:
    """One call with recorded callers, told and written down.

    Raises:
        FishjamAgentsError: Something failed.
    """
    settings, make = stage.bot()
    clips = [read_wav(path) for path in callers]
    prepare_folder(out)
    setup_logging(settings.log)
    result = stage.call(settings, make, clips)
    _tell(result, out)
    if result.failure is not None:
        raise result.failure


def play_scenario(stage: Stage, file: ScenarioFile, out: Path | None) -> bool:
    """One call of a scenario, told, written down and judged.

    Returns:
        Whether it passed, or cannot run on this machine.

    Raises:
        FishjamAgentsError: Something failed.
    """
    performance = stage.set_up(file)
    if out is not None:
        prepare_folder(out)
    setup_logging(performance.settings.log)
    try:
        result = stage.call(performance.settings, performance.make, file.scenario)
    except SpeechUnavailableError as error:
        say(f"{file.scenario.name} is skipped: {error}")
        return True
    verdicts = performance.judge(result)
    _tell(result, out)
    say("")
    for verdict in sorted(verdicts, key=lambda verdict: not verdict.met):
        say(performance.told(verdict))
    if result.failure is not None:
        raise result.failure
    missed = sum(not verdict.met for verdict in verdicts)
    if missed:
        say(f"\n{file.scenario.name} failed: {missed} of {len(verdicts)} expectations not met")
    else:
        say(f"\n{file.scenario.name} passed: {len(verdicts)} expectations met")
    return not missed


def write_down(result: SimulationResult, folder: Path) -> list[Path]:
    """Write a call's recordings, timeline and report; returns the files."""
    files = result.write(folder)
    # After the recordings: the page of a long call links to room.wav.
    files.append(write_report(folder, room=result.room, sample_rate=RECORDING_RATE, timeline=result.timeline))
    return files


def late(result: SimulationResult) -> str:
    """What to say of a machine that was too slow for times to be exact."""
    return (
        f"This machine was up to {result.lag * 1000:.0f} ms late, more than {LAG_LIMIT * 1000:.0f} ms: "
        "the times above are not exact."
    )


def _tell(result: SimulationResult, out: Path | None) -> None:
    files = [] if out is None else write_down(result, out)
    say(render(result.timeline))
    where = f" in {', '.join(str(path) for path in files)}" if files else ""
    say(f"\n{result.seconds:.2f} s of call{where}")
    if result.lagged:
        say(late(result))
