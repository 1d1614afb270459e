"""`type: parrot`: answers each turn with the speaker's own words. Needs no key and no network."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar, assert_never

import numpy as np

from fishjam_agents.audio.resampling import resample
from fishjam_agents.backends import port
from fishjam_agents.errors import SettingError
from fishjam_agents.units import Factor, Seconds

_INPUT_RATE = 16000
_OUTPUT_RATE = 24000


@dataclass(frozen=True, slots=True)
class Parrot(port.Backend):
    """A bot that repeats what it was told, at 24 kHz as most models speak.

    Attributes:
        delay: Seconds between the end of a turn and the reply: a slow model.
        chunk: Seconds of audio in one piece.
        speed: How many times faster than real time the reply is given; 0 gives all of it at once.
        at_least: The words are repeated until the reply has this many seconds.
        text: What the reply is said to say; None leaves replies without words.
        ignore_tools: Whether it may have the place of a model in a bot that offers tools; it calls none.
    """

    in_process = True
    capabilities: ClassVar[port.Capabilities] = port.Capabilities(
        input_rate=_INPUT_RATE,
        output_rate=_OUTPUT_RATE,
        wants_turn_audio=True,
        cancel=True,
        truncate=True,
        replies_wait=True,
    )

    delay: Seconds = 0.2
    chunk: Seconds = 0.1
    speed: Factor = 0.0
    at_least: Seconds = 0.0
    text: str | None = None
    ignore_tools: bool = False

    @property
    def takes_tools(self) -> bool:
        """True if it is told to."""
        return self.ignore_tools

    def __post_init__(self) -> None:
        if self.delay < 0 or self.speed < 0 or not 0 <= self.at_least <= 600:
            raise SettingError(
                None,
                "delay, speed and at_least must not be negative, at_least at most 600 s",
                fields=["delay", "speed", "at_least"],
            )
        if not 0.02 <= self.chunk <= 60:
            raise SettingError("chunk", f"must be between 0.02 and 60 s, not {self.chunk:g}")

    @asynccontextmanager
    async def connect(self, context: port.BackendContext) -> AsyncIterator[port.InlineSession]:
        """Open a session; it lives in this process."""
        session = _ParrotSession(self, context)
        try:
            yield session
        finally:
            session.cancel()


@dataclass(slots=True)
class _Answer:
    reply: str
    peer: str | None
    samples: port.Samples
    started: bool = False
    timer: asyncio.TimerHandle | None = None


class _ParrotSession(port.InlineSession):
    def __init__(self, settings: Parrot, context: port.BackendContext) -> None:
        self._settings = settings
        self._emit = context.emit
        self._loop = asyncio.get_running_loop()
        self._answers: dict[str, _Answer] = {}
        self._ids = (f"parrot-{context.attempt}-{n}" for n in itertools.count(1))

    def handle(self, item: port.BackendInput) -> None:
        match item:
            case port.TurnEndedInput():
                self._answer(item)
            case port.TurnStartedInput(peer):
                # The speaker goes on: what would have answered the first half is out of date.
                for answer in [a for a in self._answers.values() if a.peer == peer and not a.started]:
                    self._drop(answer)
            case port.InterruptInput():
                self.cancel()
            case port.AudioInput() | port.AudioEndedInput() | port.ImageInput() | port.TextInput():
                pass
            case port.TurnPausedInput() | port.TurnResumedInput() | port.TurnCancelledInput():
                pass
            case port.SpeechSuspectedInput():
                pass
            case port.ToolResultInput() | port.UpdateInput() | port.ControlInput() | port.OutOfBandInput():
                pass
            case _:
                assert_never(item)

    def cancel(self) -> None:
        """Drop every answer that is not complete."""
        for answer in list(self._answers.values()):
            self._drop(answer)

    def _drop(self, answer: _Answer) -> None:
        if answer.timer is not None:
            answer.timer.cancel()
        self._answers.pop(answer.reply, None)

    def _answer(self, item: port.TurnEndedInput) -> None:
        words = item.audio
        if words is None or not len(words):
            return
        samples = resample(words, _INPUT_RATE, _OUTPUT_RATE)
        times = max(1, int(np.ceil(self._settings.at_least * _OUTPUT_RATE / len(samples))))
        answer = _Answer(next(self._ids), item.turn.peer, np.tile(samples, times))
        self._answers[answer.reply] = answer
        answer.timer = self._loop.call_later(self._settings.delay, self._speak, answer, 0)

    def _speak(self, answer: _Answer, position: int) -> None:
        settings = self._settings
        if not answer.started:
            answer.started = True
            self._emit(port.ReplyStarted(answer.reply))
            if settings.text:
                self._emit(port.ReplyTextDelta(answer.reply, settings.text))
        size = round(settings.chunk * _OUTPUT_RATE)
        # An event can end the answer (`cancel`) while it is being given.
        while position < len(answer.samples) and answer.reply in self._answers:
            self._emit(port.ReplyAudio(answer.reply, answer.samples[position : position + size]))
            position += size
            if settings.speed:
                answer.timer = self._loop.call_later(
                    settings.chunk / settings.speed, self._speak, answer, position
                )
                return
        if self._answers.pop(answer.reply, None) is not None:
            self._emit(port.ReplyAudioEnded(answer.reply))
