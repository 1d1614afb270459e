"""Ends of turns in real time: whole bots that hear streams at once, on this machine with its load."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from audio_fixtures.corpus import RATE
from fishjam_agents.audio.samples import Samples
from fishjam_agents.events import EndOfTurnPredicted, Event, UserTurnEnded
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryRoom
from fishjam_agents.turns.endpointing import EndOfTurn
from fishjam_agents.turns.settings import TurnSettings
from quality.conversation import Deaf

_SETTLE = 0.3
"""Seconds before and after a stream."""


@dataclass(frozen=True, slots=True)
class LiveEnds:
    """Ends of turns in some calls.

    Attributes:
        waits: Seconds from the last sound of each turn, as it was heard, to its end.
        predicted: Of these turns, those of which the policy was told something in time.
        answers: Seconds from each question to the answer that was in time.
    """

    waits: Sequence[float]
    predicted: int
    answers: Sequence[float]


def live_ends(policy: EndOfTurn, streams: Sequence[Samples]) -> LiveEnds:
    """Hear streams at the same time, one call each, as long as they last.

    Args:
        policy: Ends the turns of all.
        streams: int16 mono at 16 kHz, shape (n,) each.
    """
    events = asyncio.run(_calls(policy, streams))
    ended = [event for event in events if isinstance(event, UserTurnEnded)]
    ends = [event for event in ended if event.reason == "silence"]
    answers = [event.took for event in events if isinstance(event, EndOfTurnPredicted)]
    predicted = sum(end.probability is not None for end in ends)
    return LiveEnds([end.at - end.media_at for end in ends], predicted, answers)


async def _calls(policy: EndOfTurn, streams: Sequence[Samples]) -> list[Event]:
    events: list[Event] = []
    await asyncio.gather(*(_call(policy, stream, events) for stream in streams))
    return events


async def _call(policy: EndOfTurn, stream: Samples, events: list[Event]) -> None:
    bot = AgentPipeline()
    bot.backend = Deaf()
    bot.turns = TurnSettings(end_of_turn=policy)
    bot.observers.append(events.append)
    async with MemoryRoom(RATE) as room, asyncio.TaskGroup() as tasks:
        tasks.create_task(bot.run(room.session, room=room))
        await asyncio.sleep(_SETTLE)
        await room.join("caller").speak(stream)
        await asyncio.sleep(_SETTLE)
        bot.stop()
