"""A cascade that is told entries one by one, without a room, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import numpy as np

from fishjam_agents.backends import port
from fishjam_agents.backends.cascade import Cascade
from fishjam_agents.events import Turn
from fishjam_agents.testing import VirtualClock

SOUND = np.ones(16000, np.int16)
ENDED = port.TurnEndedInput(Turn("t1", "alice", "mic", 0.0, 1.0), SOUND)
E = TypeVar("E")
Step: TypeAlias = port.BackendInput | float | Callable[[], None]


@dataclass
class Told:
    """What a cascade said, and when: loop time."""

    events: list[tuple[float, port.BackendEvent]] = field(default_factory=list)

    def of(self, kind: type[E]) -> list[E]:
        return [event for _, event in self.events if isinstance(event, kind)]

    def times(self, kind: type[Any]) -> list[float]:
        return [at for at, event in self.events if isinstance(event, kind)]

    @property
    def text(self) -> list[str]:
        return [event.text.strip() for event in self.of(port.ReplyTextDelta)]


def drive(clock: VirtualClock, cascade: Cascade, steps: Sequence[Step]) -> Told:
    """Tell a cascade entries, with pauses and looks at it between them."""
    told = Told()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        context = port.BackendContext("c", lambda event: told.events.append((loop.time(), event)))
        async with cascade.connect(context) as session:
            assert isinstance(session, port.BackendSession)
            for step in steps:
                if isinstance(step, float):
                    await asyncio.sleep(step)
                elif callable(step):
                    step()
                else:
                    await session.send(step)
        assert len(asyncio.all_tasks()) == 1, "a task was left behind"

    clock.run(main())
    return told
