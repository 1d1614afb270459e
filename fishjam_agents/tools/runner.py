"""Runs the tools a model calls, and answers each call once: with a result, an error or a timeout."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from fishjam_agents.backends.port import ToolCall, ToolResultEntry
from fishjam_agents.tools.context import ToolContext, ToolError
from fishjam_agents.tools.results import UnspeakableError, as_text
from fishjam_agents.tools.tool import Tool

logger = logging.getLogger(__name__)

Outcome: TypeAlias = Literal["ok", "error", "timeout", "cancelled", "refused"]
"""How a call ended. A cancelled one is not answered: nobody waits. A refused one was never run."""

MAX_RUNNING = 32
"""Tools that may run at once, those included that were given up and still hang."""
_REMEMBERED = 1024
"""Ids of calls that are remembered, so that none runs twice."""
_END_DEADLINE = 5.0
"""Seconds that cancelled tools may take to end."""


@dataclass(slots=True)
class _Open:
    """A call that is not answered yet."""

    tool: Tool
    started: float
    work: asyncio.Task[Any]
    timer: asyncio.TimerHandle


class ToolRunner:
    """The tool calls of one call.

    Whatever ends a call first takes it out of the open ones and answers it; what comes later finds it gone.

    Args:
        put: Passes an entry to the backend.
        context: Makes what a tool is told, of the id, the tool and what takes its reports.
        told: Told of every call that is over: name, id, outcome, seconds.
        failed: Told what a tool raised, with its name.
        warn: Takes a sentence about something that was lost.
        progress: Whether the backend takes reports, and scheduling.

    Attributes:
        tools: What may be called, by name.
    """

    def __init__(
        self,
        put: Callable[[ToolResultEntry], None],
        context: Callable[[str, Tool, Callable[[str], None]], ToolContext],
        told: Callable[[str, str, Outcome, float], None],
        failed: Callable[[str, Exception], None],
        warn: Callable[[str], None],
        *,
        progress: bool,
    ) -> None:
        self.tools: Mapping[str, Tool] = {}
        self._put = put
        self._context = context
        self._told = told
        self._failed = failed
        self._warn = warn
        self._progress = progress
        self._loop = asyncio.get_running_loop()
        self._open: dict[str, _Open] = {}
        self._work: set[asyncio.Task[Any]] = set()
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._closed = False

    def call(self, call: ToolCall) -> None:
        """Take a call of the model. Returns at once."""
        if call.call in self._seen or self._closed:
            logger.debug("The call %s of %s came again and is not run again", call.call, call.name)
            return
        self._seen[call.call] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        refusal = self._refusal(call)
        if refusal is not None:
            self._told(call.name, call.call, "refused", 0.0)
            self._put(ToolResultEntry(call.call, refusal, call.name, error=True))
            return
        tool = self.tools[call.name]
        context = self._context(call.call, tool, lambda report: self._report(call.call, report))
        work = self._loop.create_task(_work(tool, call.arguments, context), name=f"tool {tool.name}")
        self._work.add(work)
        timer = self._loop.call_later(tool.timeout, self._expire, call.call)
        self._open[call.call] = _Open(tool, self._loop.time(), work, timer)
        work.add_done_callback(lambda done: self._done(call.call, done))

    def cancel(self, call: str) -> None:
        """The model no longer wants an answer: the tool is cancelled, and nothing is sent."""
        # A call that is cancelled before it comes is not run either.
        self._seen[call] = None
        opened = self._settle(call, "cancelled")
        if opened is not None:
            opened.work.cancel()

    async def close(self) -> None:
        """Cancel what runs and wait until it has ended, with a deadline."""
        self._closed = True
        for call in list(self._open):
            self.cancel(call)
        for work in self._work:
            work.cancel()
        if self._work:
            _, late = await asyncio.wait(self._work, timeout=_END_DEADLINE)
            for work in late:
                logger.warning("The %s was cancelled and does not end", work.get_name())

    def _refusal(self, call: ToolCall) -> str | None:
        if call.name not in self.tools:
            return f"there is no tool {call.name}: use one of {', '.join(self.tools) or 'none'}"
        if call.unreadable is not None:
            return (
                f"the arguments of {call.name} cannot be read ({call.unreadable}): "
                "call it again with one JSON object"
            )
        if len(self._work) >= MAX_RUNNING:
            return f"{len(self._work)} tools are running already: wait for their answers"
        return None

    def _report(self, call: str, report: str) -> None:
        opened = self._open.get(call)
        if opened is None or not self._progress or opened.tool.declaration.blocking:
            return
        text, _ = as_text(report, opened.tool.max_result)
        tool = opened.tool
        self._put(
            ToolResultEntry(call, text, tool.name, will_continue=True, scheduling=tool.scheduling or "silent")
        )

    def _expire(self, call: str) -> None:
        opened = self._open.get(call)
        if opened is None:
            return
        words = f"{opened.tool.name} did not answer within {opened.tool.timeout:g} s and was given up"
        self._settle(call, "timeout", words)
        opened.work.cancel()

    def _done(self, call: str, work: asyncio.Task[Any]) -> None:
        self._work.discard(work)
        error = None if work.cancelled() else work.exception()
        opened = self._open.get(call)
        if opened is None:
            return
        name = opened.tool.name
        if work.cancelled():
            self._settle(call, "error", f"{name} was broken off: say that it did not work")
        elif isinstance(error, (ToolError, UnspeakableError)):
            if isinstance(error, UnspeakableError):
                # Nothing the model can mend: whoever wrote the tool has to know.
                self._failed(name, error)
            self._settle(call, "error", f"{name}: {error}")
        elif isinstance(error, Exception):
            self._failed(name, error)
            self._settle(call, "error", f"{name} failed ({type(error).__name__}): say that it did not work")
        else:
            text, cut = work.result()
            if cut:
                most = opened.tool.max_result
                self._warn(f"the answer of {name} was cut at {most} characters: raise its max_result")
            self._settle(call, "ok", text)

    def _settle(self, call: str, outcome: Outcome, text: str = "") -> _Open | None:
        opened = self._open.pop(call, None)
        if opened is None:
            return None
        opened.timer.cancel()
        tool = opened.tool
        self._told(tool.name, call, outcome, self._loop.time() - opened.started)
        if outcome != "cancelled":
            scheduling = tool.scheduling if self._progress else None
            self._put(ToolResultEntry(call, text, tool.name, error=outcome != "ok", scheduling=scheduling))
        return opened


async def _work(tool: Tool, arguments: Mapping[str, Any], context: ToolContext) -> tuple[str, bool]:
    try:
        return as_text(await tool.invoke(arguments, context), tool.max_result)
    except SystemExit as error:
        # `exit()` in a tool would end the process and every other call in it.
        raise RuntimeError("it called exit()") from error
