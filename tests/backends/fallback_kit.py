"""What the tests of fallbacks share: bots and links in virtual time, and services that fail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fishjam_agents.audio.wav import load_speech
from fishjam_agents.backends import Backend, Capabilities, Fallback
from fishjam_agents.backends import port as p
from fishjam_agents.backends.link import BackendLink
from fishjam_agents.errors import TRIED_AGAIN, BackendError
from fishjam_agents.events import Turn
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall, VirtualClock

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"
WORDS = load_speech(FIXTURES / "alice_question.wav", 16000)
REFUSED = BackendError("the key was refused: make a new one", failure="auth")
LOST = BackendError("the line is dead", action=TRIED_AGAIN, retryable=True)
TALKS = Capabilities(text=True, tools=True, images=True, verbatim_say=True, replies_wait=True)


def bot_with(*backends: Backend, **settings: Any) -> AgentPipeline:
    bot = AgentPipeline()
    bot.backend = Fallback(backends, **settings)
    return bot


def reply(name: str, seconds: float = 0.5, rate: int = 24000, text: str = "hello") -> list[p.BackendEvent]:
    audio = np.full(round(seconds * rate), 4000, np.int16)
    return [
        p.ReplyStarted(name),
        p.ReplyTextDelta(name, text),
        p.ReplyAudio(name, audio),
        p.ReplyAudioEnded(name),
    ]


def sounded(entries: Sequence[p.BackendInput]) -> float:
    return sum(item.seconds for item in entries if isinstance(item, p.AudioInput))


def kinds(entries: Sequence[p.BackendInput]) -> list[str]:
    """What a backend was sent, a run of audio as one."""
    names = [type(item).__name__ for item in entries]
    return [name for name, before in zip(names, ["", *names], strict=False) if name != before]


def failures(call: MemoryCall) -> list[str]:
    return [event["message"] for event in call.events if event["kind"] == "backend_failure"]


def warnings(call: MemoryCall) -> list[str]:
    return [event["message"] for event in call.events if event["kind"] == "backend_warning"]


def failed_call(bot: AgentPipeline, seconds: float) -> tuple[MemoryCall, BackendError]:
    """A call with one peer that its backends end, and how."""
    call = MemoryCall(bot, trouble=True)
    try:
        with call:
            call.join("ann")
            call.wait(seconds)
    except BackendError as error:
        return call, error
    raise AssertionError(f"the call did not fail\n\n{call}")


class Linked:
    """A fallback behind the pipeline's own link, and what came of it.

    Attributes:
        events: What was emitted.
        failure: What ended the link, None while it runs.
    """

    def __init__(self, backend: Backend, turn_mode: Literal["local", "backend"]) -> None:
        self.events: list[p.BackendEvent] = []
        self.failure: BackendError | None = None
        self._link = BackendLink(
            backend, "call", self.events.append, lambda seconds: None, "Be brief.", turn_mode
        )

    def put(self, *entries: p.BackendInput) -> None:
        for item in entries:
            self._link.put(item)

    def turn(self, samples: p.Samples, *, whole: bool, rate: int = 16000) -> None:
        """A turn of ann, in frames or all at once."""
        seconds = len(samples) / rate
        self.put(p.TurnStartedInput("ann", 0.0))
        if not whole:
            size = rate // 50
            self.put(
                *(p.AudioInput("ann", samples[i : i + size], 0.02) for i in range(0, len(samples), size))
            )
        turn = Turn("turn-1", "ann", "mic", 0.0, seconds)
        self.put(p.TurnEndedInput(turn, samples if whole else None))

    def said(self, reply: str) -> p.Samples:
        """The audio of a reply."""
        pieces = [e.samples for e in self.events if isinstance(e, p.ReplyAudio) and e.reply == reply]
        return np.concatenate(pieces) if pieces else np.empty(0, np.int16)

    async def run(self) -> None:
        try:
            await self._link.run()
        except BackendError as error:
            self.failure = error


def link(
    backend: Backend,
    script: Callable[[Linked], Awaitable[None]],
    turn_mode: Literal["local", "backend"] = "local",
) -> Linked:
    """Run a script against a backend behind a link, in virtual time; no task is left behind."""

    async def main() -> Linked:
        linked = Linked(backend, turn_mode)
        task = asyncio.create_task(linked.run())
        await script(linked)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert len(asyncio.all_tasks()) == 1, "a task was left behind"
        return linked

    return VirtualClock().run(main())
