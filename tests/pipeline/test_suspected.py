"""Sounds over the bot's voice that a backend hears before they are turns, whatever people do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from fishjam_agents.backends import Backend, BackendContext, Capabilities, InlineSession, port
from fishjam_agents.backends.port import BackendInput
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import VirtualClock
from fishjam_agents.turns.policies import BargeIn
from fishjam_agents.turns.settings import TurnSettings
from tests.pipeline.test_any_schedule import STEPS, Step, play

TOLD = (
    port.SpeechSuspectedInput,
    port.TurnStartedInput,
    port.AudioInput,
    port.TurnEndedInput,
    port.TurnCancelledInput,
)


@dataclass(frozen=True, eq=False)
class Hears(Backend):
    """Answers every turn with a long tone, and notes what it hears in each session."""

    in_process = True
    capabilities = Capabilities(
        wants_suspected=True, transcripts=True, truncate=True, cancel=True, replies_wait=True
    )
    sessions: list[list[BackendInput]] = field(default_factory=list)

    @asynccontextmanager
    async def connect(self, context: BackendContext) -> AsyncIterator[InlineSession]:
        entries: list[BackendInput] = []
        self.sessions.append(entries)
        yield _Session(context, entries)


class _Session(InlineSession):
    def __init__(self, context: BackendContext, entries: list[BackendInput]) -> None:
        self._emit = context.emit
        self._entries = entries
        self._count = 0

    def handle(self, item: BackendInput) -> None:
        if isinstance(item, TOLD):
            self._entries.append(item)
        if isinstance(item, port.TurnEndedInput):
            asyncio.get_running_loop().call_later(0.2, self._answer)

    def _answer(self) -> None:
        self._count += 1
        reply = f"r{self._count}"
        self._emit(port.ReplyStarted(reply))
        self._emit(port.ReplyAudio(reply, np.full(72000, 2000, np.int16)))
        self._emit(port.ReplyAudioEnded(reply))


def check(entries: Sequence[BackendInput]) -> int:
    """All sound is of a turn or of what may become one, told once; returns how many were suspected."""
    suspected = turn = None
    seconds, since, count = 0.0, 0.0, 0
    for entry in entries:
        match entry:
            case port.SpeechSuspectedInput(_, start, audio_from):
                assert suspected is turn is None, "a sound was suspected while something was heard"
                suspected, seconds, since = start, 0.0, audio_from
                count += 1
            case port.TurnStartedInput(_, start, audio_from):
                assert turn is None, "a turn began in a turn"
                assert suspected in (None, start), "a turn began before what was suspected was taken back"
                if suspected is None:
                    seconds, since = 0.0, start if audio_from is None else audio_from
                suspected, turn = None, start
            case port.AudioInput():
                assert (suspected, turn) != (None, None), "sound of nothing"
                seconds += entry.seconds
            case port.TurnCancelledInput():
                suspected = turn = None
            case port.TurnEndedInput(ended):
                assert turn is not None, "a turn ended that had not begun"
                turn = None
                # Twice would be twice as long.
                assert seconds <= ended.end - since + 1.6, f"{seconds:.2f} s of {ended.end - since:.2f}"
    return count


@pytest.mark.parametrize("mode", ["active_speaker", "mix", "per_peer"])
@settings(max_examples=4, derandomize=True, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(steps=STEPS)
def test_each_sound_is_told_once_and_taken_back_or_a_turn(mode: Any, steps: list[Step]) -> None:
    bot = AgentPipeline()
    bot.backend = backend = Hears()
    bot.hearing = HearingSettings(mode=mode, max_sessions=8)
    bot.turns = TurnSettings(barge_in=BargeIn(backchannel=("en",)))
    VirtualClock().run(play(bot, steps))
    for entries in backend.sessions:
        check(entries)
