"""The runs of tools, and which of them answers a call that asks for the same again."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from fishjam_agents.backends.port import ToolCall
from fishjam_agents.tools.results import UnspeakableError, written
from fishjam_agents.tools.tool import Tool

Outcome: TypeAlias = Literal["ok", "error", "timeout", "cancelled", "abandoned", "refused", "repeated"]
"""End of a tool call.

A cancelled one is not answered: nobody waits. One that was abandoned is a plain function that goes on in its
thread when the call is over. A refused one was never run, and neither was a repeated one: it was given the
answer of a run that its model knows nothing of any more.
"""

REPEATED = 60.0
"""Seconds after its end in which a run answers a call that asks for the same again."""
SAID_AGAIN = 15.0
"""Seconds after the loss of a session in which the next one is told again what had no answer."""
_KEPT = 64
"""Runs that are over and remembered."""
_SHOWN = 300
"""Characters of the arguments of a call that its model is reminded of."""


@dataclass(eq=False, slots=True)
class ToolRun:
    """One run of a tool.

    Attributes:
        call: The call that began it.
        asked: Id of the call that it answers: that one, or one that asked for the same again.
        tool: The tool.
        started: When it began, loop time.
        work: The task.
        timer: Gives it up.
        wanted: Whether its call waits for the answer, or has it.
        lost: When the session that called was lost, loop time, and with it what it knew of the answer.
        live: Whether something may still come of it; also a thread that was given up.
        gone: Whether it handed the call over to another session, and nobody asks for its answer.
        outcome: How its call ended, None before.
        text: What it answered.
        ended: When that was, loop time.
    """

    call: ToolCall
    asked: str
    tool: Tool
    started: float
    work: asyncio.Task[Any]
    timer: asyncio.TimerHandle
    wanted: bool = True
    lost: float | None = None
    live: bool = True
    gone: bool = False
    outcome: Outcome | None = None
    text: str = ""
    ended: float = 0.0

    @property
    def failed(self) -> bool:
        """True if its answer says what went wrong."""
        return self.outcome != "ok"

    @property
    def summary(self) -> str:
        """Text for the model where it does not wait for the answer."""
        try:
            arguments = written(self.call.arguments, _SHOWN)
        except UnspeakableError:
            arguments = ""
        result = "it failed" if self.failed else "it answered"
        return f"{self.tool.name}({arguments}) was called before and not stopped; {result}: {self.text}"


class ToolRuns:
    """The runs of one call: those under way, and the last that are over."""

    def __init__(self) -> None:
        self._runs: OrderedDict[str, ToolRun] = OrderedDict()

    @property
    def live(self) -> list[ToolRun]:
        """Those of which something may still come."""
        return [run for run in self._runs.values() if run.live]

    def find(self, call: str) -> ToolRun | None:
        """The run that answers a call, unless it was long ago."""
        return self._runs.get(call)

    def add(self, run: ToolRun) -> None:
        """A run begins."""
        self._runs[run.asked] = run
        over = [call for call, known in self._runs.items() if not known.live]
        for call in over[:-_KEPT]:
            del self._runs[call]

    def forget(self, run: ToolRun) -> None:
        """Remember a run no more."""
        self._runs.pop(run.asked, None)

    def give(self, run: ToolRun, call: str) -> None:
        """A run answers another call than before."""
        del self._runs[run.asked]
        run.asked, run.wanted, run.lost = call, True, None
        self._runs[call] = run

    def take_repeated(self, call: ToolCall, now: float) -> ToolRun | None:
        """The run that is what a call asks for again: nobody has its answer, and no other call gets it.

        Where the session was just lost, a model that is told the same again may call in other words: then it
        is the oldest run of that tool.
        """
        runs = [
            run
            for run in self._runs.values()
            if not run.wanted
            # What may be cancelled changes nothing, and may answer otherwise by now.
            and not run.tool.cancellable
            and run.tool.name == call.name
            and (run.live or (run.outcome == "ok" and now - run.ended < REPEATED))
        ]
        same = [run for run in runs if same_arguments(run.call, call)]
        other = [run for run in runs if run.lost is not None and now - run.lost < SAID_AGAIN]
        found = next(iter(same or other), None)
        if found is not None and not found.live:
            del self._runs[found.asked]
        return found


def same_arguments(one: ToolCall, other: ToolCall) -> bool:
    """Return whether two calls ask for the same."""
    # Whatever a model made of its arguments.
    asked: list[Any] = [one.arguments, other.arguments]
    first, second = (dict(given) if isinstance(given, Mapping) else given for given in asked)
    return bool(first == second)
