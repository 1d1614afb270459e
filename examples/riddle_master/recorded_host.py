"""A model that needs no network: it says recorded lines, and knows who spoke only by what it is told."""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from fishjam_agents import load_speech
from fishjam_agents.backends import Backend, BackendContext, BackendInput, Capabilities, InlineSession, port

RATE = 24000
PAUSE = np.zeros(round(0.15 * RATE), np.int16)
RIDDLES = 2
LINES = {
    "riddle_1": "What has hands, and cannot clap?",
    "answer_1": "It is a clock.",
    "riddle_2": "What gets wetter, the more it dries?",
    "answer_2": "It is a towel.",
    "over": "That was the last riddle. Goodbye!",
    "first": "You were first.",
    "next": "You were next. One after the other, please.",
    "alice": "Alice!",
    "bob": "Bob!",
    "carol": "Carol!",
    "somebody": "You, over there!",
}
"""Every line of the host, and the file of `lines/` it is recorded in."""


@dataclass(frozen=True, slots=True)
class RecordedHost(Backend):
    """Asks riddles when it is told to, and names who answers.

    It understands no words: whoever is first is told the answer. A real model listens to what they say.
    """

    in_process = True
    capabilities: ClassVar[Capabilities] = Capabilities(
        output_rate=RATE, wants_turn_audio=True, text=True, replies_wait=True
    )

    lines: Path = Path(__file__).parent / "lines"

    @asynccontextmanager
    async def connect(self, context: BackendContext) -> AsyncIterator[InlineSession]:
        """Open a session; it lives in this process."""
        yield _Host(context, {name: load_speech(self.lines / f"{name}.wav", RATE) for name in LINES})


class _Host(InlineSession):
    def __init__(self, context: BackendContext, lines: dict[str, np.ndarray]) -> None:
        self._emit = context.emit
        self._lines = lines
        self._ids = (f"host-{context.attempt}-{n}" for n in itertools.count(1))
        self._riddle = 0
        self._answered = False
        self._speaker = "somebody"

    def handle(self, item: BackendInput) -> None:
        """Take an entry: a note says who speaks, other text asks for the next riddle, a turn is an answer."""
        if isinstance(item, port.TextInput) and item.note:
            name = re.fullmatch(r"\[(.*) speaks\]", item.text)
            if name is not None:
                self._speaker = name[1].lower() if name[1].lower() in self._lines else "somebody"
        elif isinstance(item, port.TextInput):
            self._riddle += 1
            self._answered = False
            self._say([f"riddle_{self._riddle}" if self._riddle <= RIDDLES else "over"])
        elif isinstance(item, port.TurnEndedInput) and 0 < self._riddle <= RIDDLES:
            answer = ["next"] if self._answered else ["first", f"answer_{self._riddle}"]
            self._answered = True
            self._say([self._speaker, *answer])

    def _say(self, names: Sequence[str]) -> None:
        reply = next(self._ids)
        self._emit(port.ReplyStarted(reply))
        self._emit(port.ReplyTextDelta(reply, " ".join(LINES[name] for name in names)))
        for name in names:
            self._emit(port.ReplyAudio(reply, np.concatenate((self._lines[name], PAUSE))))
        self._emit(port.ReplyAudioEnded(reply))
