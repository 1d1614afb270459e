"""A scenario with its bot, and the calls that are played of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fishjam_agents.audio.wav import Clip
from fishjam_agents.backends.registry import registered_name
from fishjam_agents.cli.loops import run_on_loop
from fishjam_agents.config import Config, load_config, pipeline_factory
from fishjam_agents.config.scenario import ScenarioFile
from fishjam_agents.errors import ConfigError
from fishjam_agents.observe.report import write_report
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.server.media.recorder import RECORDING_RATE
from fishjam_agents.simulation import (
    Prepared,
    SimulationResult,
    StopRequest,
    simulate,
    simulate_fast,
    unspeakable,
)
from fishjam_agents.testing.comparison import TOLERANCE, difference, distance
from fishjam_agents.testing.expectations import Verdict, judge
from fishjam_agents.testing.scenario import Scenario

TIMELINE = "timeline.json"


@dataclass(frozen=True, slots=True)
class Bot:
    """Bot of a file: its settings and its factory.

    Attributes:
        settings: The file.
        make: Makes a new one.
        name: Name of its class, or where that is the built-in one, of its backend.
    """

    settings: Config
    make: Callable[[], AgentPipeline]
    name: str


@dataclass(frozen=True, slots=True)
class ScenarioRun:
    """A scenario and the bot it is played with.

    Attributes:
        file: The scenario.
        bot: Its bot.
        model: Timeline of another call that this one is to be like, None without one.
        model_path: Where it came from.
    """

    file: ScenarioFile
    bot: Bot
    model: dict[str, Any] | None = None
    model_path: Path | None = None

    @property
    def scenario(self) -> Scenario:
        """Events of the call and its expectations."""
        return self.file.scenario

    @property
    def name(self) -> str:
        """Name of the scenario."""
        return self.file.scenario.name

    def judge(self, result: SimulationResult) -> list[Verdict]:
        """Compare the expectations of its call with the result.

        What did not take place is first, since it explains the rest.
        """
        verdicts = [
            Verdict(missed.key, f"{missed.key} takes place", missed.why, met=False)
            for missed in result.missed
        ]
        events = result.timeline["events"]
        expect = self.scenario.expect
        awaited = (*expect.order, *(one.event for one in expect.events))
        lost = [event for event in events if event["kind"] == "backend_warning" and event.get("unanswered")]
        if lost and not expect.failures and not any("backend_warning" in text for text in awaited):
            why = lost[0]["message"]
            verdicts.append(
                Verdict("", "no failure costs an answer", why if why.isprintable() else repr(why), met=False)
            )
        if result.late_errors and not expect.failures:
            verdicts.append(Verdict("", "no error when the bot leaves", result.late_errors[0], met=False))
        verdicts += judge(self.scenario.expect, events)
        if self.model is not None:
            others = self.model["events"]
            differs = difference(events, others)
            came = differs or f"{distance(events, others):.3f} s apart at most"
            verdicts.append(
                Verdict("", f"as in {self.model_path}, within {TOLERANCE:g} s", came, differs is None)
            )
        return verdicts

    def describe(self, verdict: Verdict) -> str:
        """A verdict as a line; one that was not met says where in the file it stands."""
        return str(verdict) if verdict.met else f"{verdict} ({self.file.where(verdict.key)})"


class ScenarioRunner:
    """Runner of calls with the bot of a file.

    Args:
        config: The bot's file.
        fast: In memory and in virtual time.
        seconds: Length of every call; None leaves it to the scenario.
        stop: Ends them; one of its own where None is given.

    Attributes:
        fast: In memory and in virtual time.
        stop: Ends the calls.
    """

    def __init__(
        self, config: Path, *, fast: bool, seconds: float | None, stop: StopRequest | None = None
    ) -> None:
        self.fast = fast
        self.stop = StopRequest() if stop is None else stop
        self._config = config
        self._seconds = seconds

    def bot(self) -> Bot:
        """The bot as its file has it, before anything starts.

        Raises:
            ConfigError: It cannot be made.
        """
        return _checked(load_config(self._config))

    def set_up(self, file: ScenarioFile, like: Path | None) -> ScenarioRun:
        """A scenario with its bot, before anything starts.

        Args:
            file: The scenario.
            like: Folder of a call that this one is to be like.

        Raises:
            ConfigError: The bot cannot be made, or that call cannot be read.
        """
        bot = _checked(load_config(self._config, over=file.bot))
        if like is None or unspeakable(file.scenario) is not None:
            return ScenarioRun(file, bot)
        path = like / TIMELINE
        return ScenarioRun(file, bot, _read(path), path)

    def call(self, bot: Bot, callers: Scenario | Sequence[Clip] | Prepared) -> SimulationResult:
        """One call with a new bot.

        Raises:
            FishjamAgentsError: It did not come about.
        """
        if self.fast:
            limits = bot.settings.limits
            return simulate_fast(bot.make(), callers, seconds=self._seconds, limits=limits, stop=self.stop)
        return run_on_loop(self.call_live(bot, callers))

    async def call_live(self, bot: Bot, callers: Scenario | Sequence[Clip] | Prepared) -> SimulationResult:
        """One call in real time with a new bot.

        Raises:
            FishjamAgentsError: It did not come about.
        """
        limits = bot.settings.limits
        return await simulate(bot.make(), callers, seconds=self._seconds, limits=limits, stop=self.stop)


def write_down(
    result: SimulationResult, folder: Path, verdicts: Sequence[Verdict] = (), *, title: str, about: str = ""
) -> list[Path]:
    """Write a call's recordings, its timeline with what was expected, and its report; returns the files.

    Args:
        result: The call.
        folder: Where to.
        verdicts: What was expected.
        title: Name of the scenario or the bot.
        about: A sentence about it.

    Raises:
        FishjamAgentsError: One cannot be written.
    """
    if verdicts:
        judged = [
            {"expected": verdict.expected, "came": verdict.came, "met": verdict.met}
            | ({} if verdict.at is None else {"at": verdict.at})
            for verdict in verdicts
        ]
        timeline = dict(result.timeline)
        events = timeline.pop("events")
        result = replace(result, timeline={**timeline, "expectations": judged, "events": events})
    head = {"title": title} | ({"about": about} if about else {})
    result = replace(result, timeline={**head, **result.timeline})
    files = result.write(folder)
    # After the recordings: the page of a long call links to room.wav.
    files.append(write_report(folder, room=result.room, sample_rate=RECORDING_RATE, timeline=result.timeline))
    return files


def _checked(settings: Config) -> Bot:
    make = pipeline_factory(settings)
    bot = make()
    kind = type(bot)
    return Bot(settings, make, registered_name(bot.backend) if kind is AgentPipeline else kind.__name__)


def _read(path: Path) -> dict[str, Any]:
    try:
        timeline = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path} ({error.strerror}): give the --out of another run") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is no timeline: give the --out of another run") from error
    if not isinstance(timeline, dict) or not isinstance(timeline.get("events"), list):
        raise ConfigError(f"{path} is no timeline: give the --out of another run")
    return timeline
