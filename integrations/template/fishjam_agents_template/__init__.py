"""A template for integrations: a backend that answers every turn with a beep."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fishjam_agents.backends import Backend, BackendContext, BackendInput, Capabilities, InlineSession
from fishjam_agents.backends.port import ReplyAudio, ReplyAudioEnded, ReplyStarted, TurnEndedInput

_RATE = 24000


@dataclass(frozen=True, slots=True)
class Beep(Backend):
    """Answers with a beep.

    Attributes:
        pitch: Hz.
        seconds: Length of the beep.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        output_rate=_RATE, wants_turn_audio=True, replies_wait=True
    )

    pitch: float = 440.0
    seconds: float = 0.5

    @asynccontextmanager
    async def connect(self, context: BackendContext) -> AsyncIterator[InlineSession]:
        """Open a session. A real backend imports its vendor's SDK here and dials."""
        yield _BeepSession(self, context)


class _BeepSession(InlineSession):
    def __init__(self, settings: Beep, context: BackendContext) -> None:
        times = np.arange(round(settings.seconds * _RATE)) / _RATE
        self._beep = (8000 * np.sin(2 * np.pi * settings.pitch * times)).astype(np.int16)
        self._emit = context.emit
        self._ids = (f"beep-{context.attempt}-{n}" for n in itertools.count(1))

    def handle(self, item: BackendInput) -> None:
        if isinstance(item, TurnEndedInput):
            reply = next(self._ids)
            self._emit(ReplyStarted(reply))
            self._emit(ReplyAudio(reply, self._beep))
            self._emit(ReplyAudioEnded(reply))
