"""Runs the tools a model calls, and answers each call once: with a result, an error or a timeout."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fishjam_agents.backends.conversation import UNKNOWN_OUTCOME
from fishjam_agents.backends.port import ToolCall, ToolResultInput
from fishjam_agents.tools.context import ToolContext, ToolError
from fishjam_agents.tools.handoff import Handoff
from fishjam_agents.tools.results import UnspeakableError, as_text
from fishjam_agents.tools.runs import Outcome, ToolRun, ToolRuns, same_arguments
from fishjam_agents.tools.tool import Tool

logger = logging.getLogger(__name__)

MAX_RUNNING = 32
"""Tools that may run at once, those included that were given up and still hang."""
_REMEMBERED = 1024
"""Ids of calls that are remembered, so that none runs twice."""
_END_DEADLINE = 5.0
"""Seconds that tools may go on when the call is over, and then again to end when they are cancelled."""
_ONCE_MORE = "Call it once more only if that is wanted once more."
_NOT_AGAIN = f"It was not run again. {_ONCE_MORE}"


class ToolRunner:
    """The tool calls of one call.

    A tool that began is run to its end, and whatever ends a run first answers its call. One that the model
    takes back meanwhile goes on (unless it is `cancellable`): there is no telling what it has done already.
    The model is told what came of it, and a call that asks for the same again is given that.

    Args:
        put: Passes the answer to a call to the backend.
        context: Makes what a tool is told, of its call, the tool and what takes its reports.
        started: Told of every call that is run, as it begins.
        told: Told of every call that is over: name, id, outcome, seconds, and what its model is told.
        failed: Told what a tool raised, with its name.
        warn: Takes a sentence about something that was lost.
        note: Takes a call and what the model is to know of its outcome, and not to answer.
        progress: Whether the backend takes reports, and scheduling.
        ready: Awaited before each run, once `started` was told of it.
        hand_over: Awaited for a tool that returns a `Handoff`, with the id of the call; gives its answer.

    Attributes:
        tools: What may be called, by name.
        unknown: Calls of a process that was lost, of which nobody knows what came of them. One that asks for
            the same is not run, but told so, once.
    """

    def __init__(
        self,
        put: Callable[[ToolResultInput], None],
        context: Callable[[ToolCall, Tool, Callable[[str], None]], ToolContext],
        started: Callable[[ToolCall], None],
        told: Callable[[str, str, Outcome, float, str], None],
        failed: Callable[[str, Exception], None],
        warn: Callable[[str], None],
        note: Callable[[ToolCall, str], None],
        *,
        progress: bool,
        ready: Callable[[], Awaitable[None]] | None = None,
        hand_over: Callable[[str, Handoff], Awaitable[str]] | None = None,
    ) -> None:
        self.tools: Mapping[str, Tool] = {}
        self.unknown: list[ToolCall] = []
        self._ready = ready
        self._hand_over = hand_over
        self._put = put
        self._context = context
        self._started = started
        self._told = told
        self._failed = failed
        self._warn = warn
        self._note = note
        self._progress = progress
        self._loop = asyncio.get_running_loop()
        self._runs = ToolRuns()
        self._work: set[asyncio.Task[Any]] = set()
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._closed = False

    def call(self, call: ToolCall) -> None:
        """Take a call of the model. Returns at once."""
        if call.call in self._seen or self._closed:
            logger.debug("The call %s of %s came again and is not run again", call.call, call.name)
            return
        self._remember(call.call)
        if call.unreadable is None:
            earlier = self._runs.take_repeated(call, self._loop.time())
            if earlier is not None:
                self._repeat(call, earlier)
                return
            if self._take_unknown(call):
                self._told(call.name, call.call, "repeated", 0.0, "")
                text = f"{UNKNOWN_OUTCOME} {_ONCE_MORE}"
                self._put(ToolResultInput(call.call, text, call.name, error=True))
                return
        refusal = self._refusal(call)
        if refusal is not None:
            self._told(call.name, call.call, "refused", 0.0, refusal)
            self._put(ToolResultInput(call.call, refusal, call.name, error=True))
            return
        self._start(call, self.tools[call.name])

    def cancel(self, call: str, *, lost: bool = False) -> None:
        """Take a call back: nothing is sent in answer to it.

        Args:
            call: Its id.
            lost: The session that made it is gone, and its successor may make it again for the same words.
        """
        if lost:
            # The next session may count its calls anew.
            self._seen.pop(call, None)
        else:
            # A call that is cancelled before it comes is not run either.
            self._remember(call)
        run = self._runs.find(call)
        if run is None:
            return
        if run.live and run.tool.cancellable:
            self._end(run, "cancelled")
        else:
            run.wanted = False
            run.lost = self._loop.time() if lost else run.lost

    @property
    def is_awaited(self) -> bool:
        """True while a model waits for the answer of a tool that blocks it."""
        return any(run.live and run.wanted and run.tool.declaration.blocking for run in self._runs.live)

    def lose_session(self) -> None:
        """The session that made the calls is gone: nothing is sent in answer to them."""
        for run in self._runs.live:
            self.cancel(run.asked, lost=True)

    async def run_again(self, call: ToolCall) -> str:
        """Run a tool once more whose process was lost while it ran; no model waits for the answer.

        Args:
            call: The call, of a tool that is there and idempotent, under an id of its own.

        Returns:
            What the model is to be told.
        """
        tool = self.tools[call.name]
        self._remember(call.call)
        self._started(call)
        context = self._context(call, tool, lambda report: None)
        begun = self._loop.time()
        outcome: Outcome = "ok"
        try:
            async with asyncio.timeout(tool.timeout):
                text, _ = await _work(tool, call.arguments, context, self._ready, self._hand)
        except TimeoutError:
            outcome, text = "timeout", f"{tool.name} did not answer within {tool.timeout:g} s"
        except (ToolError, UnspeakableError) as error:
            outcome, text = "error", f"{tool.name}: {error}"
        except Exception as error:  # noqa: BLE001 - a tool's bug ends its run and nothing else
            self._failed(tool.name, error)
            outcome, text = "error", f"{tool.name} failed ({type(error).__name__})"
        self._told(call.name, call.call, outcome, self._loop.time() - begun, text)
        return text

    async def close(self) -> None:
        """End what runs: most of it has a while to come to its end by itself."""
        self._closed = True
        for run in self._runs.live:
            run.wanted = False
            if run.tool.cancellable:
                self._end(run, "cancelled")
        running = [run.work for run in self._runs.live if run.outcome is None]
        if running:
            await asyncio.wait(running, timeout=_END_DEADLINE)
        for run in self._runs.live:
            self._end(run, "abandoned" if run.tool.threaded else "cancelled")
        for work in self._work:
            work.cancel()
        if self._work:
            _, late = await asyncio.wait(self._work, timeout=_END_DEADLINE)
            for work in late:
                logger.warning("The %s was cancelled and does not end", work.get_name())

    def _take_unknown(self, call: ToolCall) -> bool:
        for unknown in self.unknown:
            if unknown.name == call.name and same_arguments(unknown, call):
                self.unknown.remove(unknown)
                return True
        return False

    def _remember(self, call: str) -> None:
        self._seen[call] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)

    def _refusal(self, call: ToolCall) -> str | None:
        if call.name not in self.tools:
            return f"there is no tool {call.name}: use one of {', '.join(self.tools) or 'none'}"
        if call.unreadable is not None:
            return (
                f"the arguments of {call.name} cannot be read ({call.unreadable}): "
                "call it again with one JSON object"
            )
        # Threads that were given up are bounded for each tool.
        running = len(self._work) - sum(run.outcome is not None for run in self._runs.live)
        if running >= MAX_RUNNING:
            return f"{running} tools are running already: wait for their answers"
        return None

    # --- running ---

    def _start(self, call: ToolCall, tool: Tool) -> None:
        run: ToolRun
        self._started(call)
        context = self._context(call, tool, lambda report: self._report(run, report))
        work = self._loop.create_task(
            _work(tool, call.arguments, context, self._ready, self._hand), name=f"tool {tool.name}"
        )
        run = ToolRun(call, call.call, tool, self._loop.time(), work, self._timer(call.call, tool))
        self._work.add(work)
        self._runs.add(run)
        work.add_done_callback(lambda done: self._done(run, done))

    async def _hand(self, call: str, handoff: Handoff) -> str:
        if self._hand_over is None:
            raise ToolError("nobody takes the call over here")
        text = await self._hand_over(call, handoff)
        run = self._runs.find(call)
        if run is not None:
            # Where another session goes on, nobody is to be told, and a call for the same is one of its own.
            run.gone = not run.wanted
        return text

    def _timer(self, call: str, tool: Tool) -> asyncio.TimerHandle:
        return self._loop.call_later(tool.timeout, self._expire, call)

    def _repeat(self, call: ToolCall, run: ToolRun) -> None:
        """Answer a call with a run that its model knows nothing of any more."""
        self._told(call.name, call.call, "repeated", 0.0, "")
        if run.live:
            run.timer.cancel()
            run.timer = self._timer(call.call, run.tool)
            self._runs.give(run, call.call)
            return
        known = run.lost is not None and same_arguments(run.call, call)
        self._answer(run, call.call, run.text if known else f"{run.summary}\n{_NOT_AGAIN}")

    def _report(self, run: ToolRun, report: str) -> None:
        tool = run.tool
        if not run.live or not run.wanted or not self._progress or tool.declaration.blocking:
            return
        text, _ = as_text(report, tool.max_result)
        how = tool.scheduling or "silent"
        self._put(ToolResultInput(run.asked, text, tool.name, will_continue=True, scheduling=how))

    def _expire(self, call: str) -> None:
        run = self._runs.find(call)
        if run is None or not run.live:
            return
        late = f"{run.tool.name} did not answer within {run.tool.timeout:g} s"
        if run.tool.threaded:
            # Nothing can end a thread: what it does may still be done, and must not be done twice.
            self._settle(run, "timeout", f"{late} and goes on: do not call it again, say that it takes long")
            run.wanted = False
        else:
            self._end(run, "timeout", f"{late} and was given up")

    def _done(self, run: ToolRun, work: asyncio.Task[Any]) -> None:
        self._work.discard(work)
        error = None if work.cancelled() else work.exception()
        if not run.live:
            return
        run.live = False
        name = run.tool.name
        if work.cancelled():
            self._settle(run, "error", f"{name} was broken off: say that it did not work")
        elif isinstance(error, (ToolError, UnspeakableError)):
            if isinstance(error, UnspeakableError):
                # Nothing the model can mend: whoever wrote the tool has to know.
                self._failed(name, error)
            self._settle(run, "error", f"{name}: {error}")
        elif isinstance(error, Exception):
            self._failed(name, error)
            self._settle(run, "error", f"{name} failed ({type(error).__name__}): say that it did not work")
        else:
            text, cut = work.result()
            if cut:
                most = run.tool.max_result
                self._warn(f"the answer of {name} was cut at {most} characters: raise its max_result")
            self._settle(run, "ok", text)

    def _end(self, run: ToolRun, outcome: Outcome, text: str = "") -> None:
        """Nothing more is to come of a run."""
        run.live = False
        self._settle(run, outcome, text)
        run.work.cancel()

    def _settle(self, run: ToolRun, outcome: Outcome, text: str) -> None:
        """Answer the call of a run, or tell its model what came of it."""
        run.timer.cancel()
        if run.outcome is None:
            self._told(run.tool.name, run.call.call, outcome, self._loop.time() - run.started, text)
        run.outcome, run.text, run.ended = outcome, text, self._loop.time()
        if run.gone:
            self._runs.forget(run)
            return
        if outcome in ("cancelled", "abandoned") or self._closed:
            return
        if run.wanted:
            self._answer(run, run.asked, text)
        elif not run.live:
            self._note(run.call, f"[{run.summary}]")

    def _answer(self, run: ToolRun, call: str, text: str) -> None:
        tool = run.tool
        scheduling = tool.scheduling if self._progress else None
        self._put(ToolResultInput(call, text, tool.name, error=run.failed, scheduling=scheduling))


async def _work(
    tool: Tool,
    arguments: Mapping[str, Any],
    context: ToolContext,
    ready: Callable[[], Awaitable[None]] | None,
    hand_over: Callable[[str, Handoff], Awaitable[str]],
) -> tuple[str, bool]:
    if ready is not None:
        await ready()
    try:
        result = await tool.invoke(arguments, context)
        if isinstance(result, Handoff):
            result = await hand_over(context.call, result)
        return as_text(result, tool.max_result)
    except SystemExit as error:
        # `exit()` in a tool would end the process and every other call in it.
        raise RuntimeError("it called exit()") from error
