"""A bot with words, which notes each of its connections: what it was told of the conversation before."""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

import numpy as np

from fishjam_agents.backends import port as p
from fishjam_agents.observe.log import log_room
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import Scripted, Step

SOUND = (3000 * np.sin(np.arange(12000) * 0.2)).astype(np.int16)
"""Half a second at 24 kHz."""


def says(reply: str, words: str) -> list[p.BackendEvent]:
    return [
        p.ReplyStarted(reply),
        p.ReplyTextDelta(reply, words),
        p.ReplyAudio(reply, SOUND),
        p.ReplyAudioEnded(reply),
    ]


@dataclass(frozen=True, eq=False)
class Teller(Scripted):
    """Says a sentence, or another one where it goes on with a conversation, and nothing more."""

    @asynccontextmanager
    async def connect(self, context: p.BackendContext) -> AsyncIterator[p.BackendSession]:
        past = context.conversation
        note = {
            "room": log_room.get(),
            "pid": os.getpid(),
            "at": time.time(),
            "past": None if past is None else [asdict(line) for line in past.lines],
        }
        with open(os.environ["CONNECTIONS"], "a") as file:  # noqa: ASYNC230 - one line
            file.write(json.dumps(note) + "\n")
        async with super().connect(context) as session:
            if past is None:
                self.answer(0.2, *says("first", "I am with you."))
            yield session


class Bot(AgentPipeline):
    def __init__(self) -> None:
        super().__init__()
        offers = p.Capabilities(text=True, replies_wait=True, conversation=True)
        self.backend = Teller(
            [Step(p.TextInput, says(f"again {n}", "I am back.")) for n in range(50)], offers
        )
