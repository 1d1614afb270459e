"""Hooks of a bot, and running them: tasks of the call, behind a barrier that no exception passes.

What a hook may do wrong is said to be the hook's, with its file and line: it raises, calls `exit()`, takes
other arguments, holds up the loop, or does not end when it is cancelled.
"""

from __future__ import annotations

import asyncio
import ctypes
import difflib
import inspect
import logging
import time
import types
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from fishjam_agents import events
from fishjam_agents.backends.tracebacks import defined_at, raised_at
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.events import Event, Heard, Overload, Turn
from fishjam_agents.pipeline.speech_handle import SpeechHandle
from fishjam_agents.pipeline.user_objects import verify_arguments, verify_synchronous

logger = logging.getLogger(__name__)

T = TypeVar("T")

STOP_DEADLINE = 5.0
"""Seconds that `on_stop` and hooks still running may take at the end of the call."""
ENDING_DEADLINE = 5.0
"""Seconds that `on_ending` may take."""
CANCEL_DEADLINE = 1.0
"""Seconds that a hook may take to end once it is cancelled; then it is left behind."""
HELD_UP = 0.1
"""Seconds that a hook may compute without an `await` before it is named: what is sent ahead of the bot's
voice (`playout.lead`) lasts little longer."""
_NEAR = 0.8
"""Ratio from which a name counts as a slip for a hook's (`difflib` ratio): `on_trun` is 0.86 like
`on_turn`, `on_reply` 0.73 like `on_reply_ended`."""


class BotHooks:
    """Hooks that a bot may override; a call starts each as a task of its own."""

    async def on_start(self) -> None:
        """The bot is in the room and listening."""

    async def on_peer_joined(self, peer: str) -> None:
        """A peer is in the room."""

    async def on_peer_left(self, peer: str) -> None:
        """A peer is gone."""

    async def on_speech_started(self, peer: str | None) -> None:
        """A peer speaks; None when the bot hears a mix and nobody was clearly loudest."""

    async def on_turn(self, turn: Turn) -> None:
        """A peer has finished a turn."""

    async def on_transcript(self, text: str, final: bool, peer: str | None) -> None:
        """The backend understood words of a user."""

    async def on_reply_started(self, speech: SpeechHandle) -> None:
        """The bot has something to say: a reply of the backend, or what `say` and `play` were given."""

    async def on_reply_ended(self, speech: SpeechHandle) -> None:
        """Handle the end of a reply, played to its end or interrupted."""

    async def on_interrupted(self, heard: Heard) -> None:
        """Somebody spoke over a reply; `heard` is what was heard of it."""

    async def on_vendor_event(self, kind: str, message: Mapping[str, Any]) -> None:
        """The backend's vendor tells something in its own words, which its page describes."""

    async def on_user_idle(self, times: int) -> None:
        """Nobody has said anything for `idle.after` seconds; `times` in a row, 1 for the first."""

    async def on_overload(self, overload: Overload) -> None:
        """The process is near its capacity, over a limit, or relieved: `overload.state` says so."""

    async def on_error(self, error: Exception) -> None:
        """A hook, a stage or a tool raised `error`."""

    async def on_handoff(self, summary: str) -> None:
        """This bot goes on with the call from here; `summary` is what it was told."""

    async def on_ending(self) -> None:
        """The app, a tool or a limit ends the call, and the model still answers `ask`; has five seconds."""

    async def on_stop(self) -> None:
        """The call is over; has five seconds."""

    async def on_recording(self, file: Path) -> None:
        """The call is being recorded into `file`: the moment to say so."""

    async def on_recorded(self, files: Sequence[Path]) -> None:
        """The recording is complete: its sound, transcript and captions; has a minute to take them away."""

    async def enrich(self, turn: Turn) -> str | None:
        """Return text that the model is told before it answers a turn: what a search or a CRM knows.

        It has `turns.enrich_within` seconds; what comes later is dropped, and told. `turn.text` has the words
        where the backend is a cascade. Not with `turns.mode: backend`, where the model answers at once.
        """
        return None

    def redact(self, text: str) -> str:
        """Change a text to what may be shown of it in events, and so in logs, transcripts and pages.

        It is given what users say, sentences of replies, what was heard of them, and arguments and results
        of tools (`tool_payloads`). Not a coroutine: an event waits for it. When it raises, nothing of that
        text is shown.
        """
        return text


def verify_hooks(bot: object) -> None:
    """Check the hooks of a bot, and what may have been meant as one.

    Args:
        bot: The user's bot, a `BotHooks`.

    Raises:
        FishjamAgentsError: A hook is no coroutine or takes other arguments, or a coroutine has nearly the
            name of one.
    """
    hooks = [name for name in vars(BotHooks) if name.startswith("on_") or name == "enrich"]
    kind = type(bot)
    for hook in hooks:
        written = getattr(bot, hook)
        parameters = inspect.signature(getattr(BotHooks, hook)).parameters
        should = f"write `async def {hook}({', '.join(parameters)})`"
        if not inspect.iscoroutinefunction(written):
            raise FishjamAgentsError(
                f"{kind.__name__}.{hook} must be a coroutine: write `async def {hook}`{defined_at(written)}"
            )
        try:
            inspect.signature(written).bind(*list(parameters)[1:])
        except TypeError as error:
            raise FishjamAgentsError(
                f"{kind.__name__}.{hook} does not take the arguments of this hook{defined_at(written)} "
                f"({error}): {should}"
            ) from None
    redact, what = getattr(bot, "redact"), f"{kind.__name__}.redact"  # noqa: B009 - bot is any object
    verify_synchronous(redact, what)
    verify_arguments(redact, BotHooks.redact, what)
    for base in kind.__mro__[: kind.__mro__.index(BotHooks)]:
        for name, value in vars(base).items():
            if not name.startswith("on_") or name in hooks or not inspect.iscoroutinefunction(value):
                continue
            meant = difflib.get_close_matches(name, hooks, n=1, cutoff=_NEAR)
            if meant:
                raise FishjamAgentsError(
                    f"{kind.__name__}.{name} is no hook: did you mean {meant[0]}? If it is a method of your "
                    "own, give it another name"
                )


def overrides(bot: object, name: str) -> bool:
    """Return whether a bot, a `BotHooks`, overrides the hook `name`."""
    return getattr(getattr(bot, name), "__func__", None) is not getattr(BotHooks, name)


@dataclass(slots=True)
class HookAnswer:
    """What a hook returned.

    Attributes:
        value: That.
        outcome: Whether it returned in time, or failed, which was reported.
    """

    value: Any = None
    outcome: Literal["ok", "late", "failed"] = "failed"


class Hooks:
    """Running hooks of one call. Hooks that are not overridden cost nothing.

    Args:
        bot: The bot whose methods they are, a `BotHooks`.
        emit: Takes an event for a hook that raised.
        now: Returns call time.

    Attributes:
        bot: The bot whose methods they are now; another one may go on with the call.
    """

    def __init__(self, bot: object, emit: Callable[[Event], None], now: Callable[[], float]) -> None:
        self.bot = bot
        self._emit = emit
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    def has(self, name: str) -> bool:
        """Return whether the bot overrides the hook `name`."""
        return overrides(self.bot, name)

    def start(self, name: str, *arguments: Any) -> None:
        """Start the hook `name` as a task, if the bot overrides it."""
        if self.has(name):
            self.run(self._call(name, getattr(self.bot, name), *arguments), name)

    async def _call(self, name: str, hook: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        await _timed(hook(*arguments), lambda seconds: self._held_up(name, hook, seconds))

    def run(self, work: Awaitable[None], name: str) -> None:
        """Own `work` as a task of the call; a failure is reported under `name`."""
        task = self._loop.create_task(self._guard(work, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guard(self, work: Awaitable[None], name: str) -> None:
        try:
            await work
        except (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as raised:
            # `exit()` in a hook would end the process and every other call in it.
            error = raised if isinstance(raised, Exception) else _tamed(raised)
            at = raised_at(raised, foreign=True)
            extra = {"call": getattr(self.bot, "call_id", None)}
            logger.exception("The hook %s failed at %s; the call goes on", name, at, extra=extra)
            self._report(name, error)

    def _report(self, name: str, error: Exception) -> None:
        message = f"failed: {error!r}, raised at {raised_at(error, foreign=True)}"
        self._emit(events.ErrorRaised(self._now(), message, name))
        if name != "on_error":
            self.start("on_error", error)

    def _held_up(self, name: str, hook: object, seconds: float) -> None:
        logger.warning(
            "The hook %s%s computed or waited for %.2f s without an `await`: nothing else ran meanwhile, and "
            "what was to be heard came late. Use `await asyncio.to_thread(...)` for what takes long",
            *(name, defined_at(hook), seconds),
            extra={"call": getattr(self.bot, "call_id", None)},
        )

    async def ending(self) -> None:
        """Run `on_ending`; cancelled when it outlasts its deadline."""
        await self.run_to_end("on_ending", ENDING_DEADLINE)

    async def run_to_end(self, name: str, deadline: float, *arguments: Any) -> None:
        """Run the hook `name` and wait for it; cancelled when it outlasts the deadline, in seconds."""
        hook = getattr(self.bot, name)
        task = self._loop.create_task(self._guard(self._call(name, hook, *arguments), name), name=name)
        try:
            await self._end({task}, deadline)
        except asyncio.CancelledError:
            task.cancel()
            await self._end({task}, CANCEL_DEADLINE)
            raise

    async def ask(self, name: str, deadline: float, *arguments: Any) -> HookAnswer:
        """Run the hook `name` for what it returns; cancelled when it outlasts the deadline, in seconds."""
        answer = HookAnswer()
        hook = getattr(self.bot, name)

        async def work() -> None:
            answer.value = await _timed(hook(*arguments), lambda seconds: self._held_up(name, hook, seconds))
            answer.outcome = "ok"

        task = self._loop.create_task(self._guard(work(), name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            _, late = await asyncio.wait([task], timeout=deadline)
        finally:
            task.cancel()
        return HookAnswer(outcome="late") if late else answer

    async def finish(self) -> None:
        """Wait for the tasks, cancel those that outlast the deadline, leave behind those that do not end."""
        await self._end(set(self._tasks), STOP_DEADLINE)

    async def _end(self, tasks: set[asyncio.Task[None]], deadline: float) -> None:
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=deadline)
        for task in late:
            logger.warning(
                "The hook %s did not finish within %g s and was cancelled", task.get_name(), deadline
            )
            task.cancel()
        if late:
            _, stuck = await asyncio.wait(late, timeout=CANCEL_DEADLINE)
            for task in stuck:
                _leave_behind(task)
                logger.error(
                    "The hook %s%s does not end though it was cancelled, and is left behind: let "
                    "asyncio.CancelledError pass",
                    *(task.get_name(), defined_at(getattr(self.bot, task.get_name(), None))),
                )


def _leave_behind(task: asyncio.Task[None]) -> None:
    """Let nobody wait for a task that swallows its cancellation, as `asyncio.run` would for ever."""
    asyncio.tasks._unregister_task(task)
    # Who is collected as garbage is closed first; a hook that swallows that, too, would spin.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(task))


def _tamed(raised: BaseException) -> Exception:
    """An exception that ends nothing but the hook."""
    error = RuntimeError("it called exit()" if isinstance(raised, SystemExit) else f"it raised {raised!r}")
    error.__cause__ = raised
    error.__traceback__ = raised.__traceback__
    return error


@types.coroutine
def _timed(work: Awaitable[T], held_up: Callable[[float], None]) -> Generator[Any, Any, T]:
    """Drive an awaitable on, and tell of a step that takes long."""
    steps = work.__await__()
    step: Callable[[], Any] = lambda: next(steps)  # noqa: E731
    while True:
        begun = time.perf_counter()
        try:
            yielded = step()
        except StopIteration as over:
            result: T = over.value
            return result
        finally:
            seconds = time.perf_counter() - begun
            if seconds > HELD_UP:
                held_up(seconds)
        try:
            value = yield yielded
        except BaseException as error:  # noqa: BLE001 - a cancellation belongs to the hook
            step = _throw(steps, error)
        else:
            step = _send(steps, value)


def _throw(steps: Any, error: BaseException) -> Callable[[], Any]:
    if not hasattr(steps, "throw"):
        raise error
    return lambda: steps.throw(error)


def _send(steps: Any, value: Any) -> Callable[[], Any]:
    return lambda: next(steps) if value is None else steps.send(value)
