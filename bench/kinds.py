"""The kinds of calls whose cost is measured as their number grows."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from bench.run import Outcome, Plan, run


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of call.

    Attributes:
        title: Its name in tables and plots.
        subject: Its kind in `bench.subject`.
        sound: Its scene in `bench.sounds`.
    """

    title: str
    subject: str
    sound: str

    async def run(self, calls: int, plan: Plan, *, uvloop: bool, witness: bool = False) -> Outcome:
        """Measure so many calls of it."""
        return await run(self.subject, calls, plan, self.sound, uvloop=uvloop, witness=witness)

    async def bare(self, calls: int, plan: Plan, *, uvloop: bool) -> Outcome:
        """Measure a bare client that is sent the same and sends as much."""
        return await run("bare", calls, plan, self.sound, uvloop=uvloop)


ECHO = Kind("both directions all the time", "echo", "conversation")
HALF = Kind("the bot speaks half of the time", "half", "half")
MIX = Kind("a mix of four", "mix", "mix")
BARE = Kind("bare websockets", "bare", "conversation")


def loops() -> tuple[bool, ...]:
    """Kinds of event loops there are here, the faster one first: True is uvloop."""
    return (False,) if find_spec("uvloop") is None else (True, False)


def loop_name(uvloop: bool) -> str:
    """Name of a kind of loop."""
    return "uvloop" if uvloop else "asyncio"
