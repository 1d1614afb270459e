"""Bots for the tests and pictures of the playground: they speak from a script, with words and a tool."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from fishjam_agents import AgentPipeline, load_speech, tool
from fishjam_agents.backends import Backend, BackendContext, Capabilities, InlineSession, port

RATE = 24000
VOICES = Path(__file__).parents[3] / "audio_fixtures"
WORDS_PER_SECOND = 2.6


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a caller is understood to say, and what the bot answers."""

    said: str
    answer: str
    voice: tuple[str, ...]
    tool: int | None = None
    parts: dict[str, float] = field(default_factory=dict)


SCRIPT = (
    Exchange(
        "Hello. I ordered a pair of boots last week, and I would like to know where they are.",
        "Your boots left our warehouse this morning. The parcel service has them now, and they should be "
        "with you tomorrow between nine and twelve. Shall I send you the link to follow them?",
        ("bob_long.wav", "bob_numbers.wav", "bob_question.wav"),
        tool=7,
        parts={"speech to text": 0.11, "language model": 0.31, "voice": 0.14},
    ),
    Exchange(
        "Sorry, can they come to my office instead?",
        "They can. What is the address of your office?",
        ("bob_question.wav",),
        parts={"speech to text": 0.09, "language model": 0.22, "voice": 0.13},
    ),
    Exchange(
        "It is twelve Mill Lane.",
        "Twelve Mill Lane, noted. You will get a message when they are there.",
        ("bob_long.wav",),
        parts={"speech to text": 0.1, "language model": 0.27, "voice": 0.12},
    ),
)


@dataclass(frozen=True)
class Desk(Backend):
    """The script as a backend.

    Attributes:
        script: What is said.
        greeting: What the bot says first; nothing where it is empty.
    """

    in_process = True
    capabilities = Capabilities(output_rate=RATE, wants_turn_audio=True, tools=True, text=True)

    script: tuple[Exchange, ...] = SCRIPT
    greeting: str = ""

    @asynccontextmanager
    async def connect(self, context: BackendContext) -> AsyncIterator[InlineSession]:
        session = DeskSession(self, context)
        if self.greeting:
            session.say(self.greeting, ("bob_yes.wav",))
        try:
            yield session
        finally:
            session.close()


class DeskSession(InlineSession):
    def __init__(self, settings: Desk, context: BackendContext) -> None:
        self._script = settings.script
        self._emit = context.emit
        self._loop = asyncio.get_running_loop()
        self._next = 0
        self._replies = 0
        self._timers: list[asyncio.TimerHandle] = []
        self._waiting: Exchange | None = None

    def handle(self, item: port.BackendInput) -> None:
        if isinstance(item, port.TurnStartedInput):
            words = self._exchange.said.split()
            for count in range(2, len(words), 2):
                partial = port.UserTranscript(" ".join(words[:count]), False, item.peer)
                self._later(count / WORDS_PER_SECOND, partial)
        elif isinstance(item, port.TurnEndedInput):
            self.close()
            self._answer(item.turn.id, item.turn.peer)
        elif isinstance(item, port.InterruptInput):
            self.close()
        elif isinstance(item, port.TextInput):
            self._answer(f"text-{self._replies}", None)
        elif isinstance(item, port.ToolResultInput) and self._waiting is not None:
            self.say(self._waiting.answer, self._waiting.voice, self._waiting.parts)
            self._waiting = None

    def close(self) -> None:
        """Take back what was to come."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    @property
    def _exchange(self) -> Exchange:
        return self._script[self._next % len(self._script)]

    def _answer(self, turn: str, peer: str | None) -> None:
        exchange = self._exchange
        self._next += 1
        if peer is not None:
            self._emit(port.UserTranscript(exchange.said, True, peer))
        if exchange.tool is not None:
            self._waiting = exchange
            self._emit(port.ToolCall(f"order-{turn}", "order_status", {"number": exchange.tool}))
            return
        delay = sum(exchange.parts.values())
        say = self._loop.call_later(delay, self.say, exchange.answer, exchange.voice, exchange.parts)
        self._timers.append(say)

    def _later(self, seconds: float, event: port.BackendEvent) -> None:
        self._timers.append(self._loop.call_later(seconds, self._emit, event))

    def say(self, words: str, voice: tuple[str, ...], parts: dict[str, float] | None = None) -> None:
        """Say something with sounds of about its length."""
        self._replies += 1
        reply = f"reply-{self._replies}"
        self._emit(port.ReplyStarted(reply))
        if parts:
            self._emit(port.ReplyLatency(reply, parts))
        self._emit(port.ReplyTextDelta(reply, words))
        for name in voice:
            self._emit(port.ReplyAudio(reply, load_speech(VOICES / name, RATE)))
        self._emit(port.ReplyAudioEnded(reply))


class FrontDesk(AgentPipeline):
    """Answers for a shop."""

    backend = Desk()
    instructions = "You answer for a shoe shop."
    tool_payloads = True

    @tool(timeout=5)
    async def order_status(self, number: int) -> str:
        """Look up where an order is.

        Args:
            number: The number on the receipt.
        """
        await asyncio.sleep(0.4)
        return f"order {number}: left the warehouse at 7:40, due tomorrow 9:00 to 12:00"


@dataclass(frozen=True)
class SeeingDesk(Desk):
    """The script of a model that takes pictures."""

    capabilities = replace(Desk.capabilities, images=True)


class Seeing(AgentPipeline):
    """May look at a camera."""

    backend = SeeingDesk()


HOSTILE = "<script>window.broken = 1</script><img src=x onerror='window.broken = 1'>"


class Hostile(AgentPipeline):
    """Says what a page must not take for HTML."""

    backend = Desk((Exchange(HOSTILE, HOSTILE, ("bob_yes.wav",)),), greeting=HOSTILE)
