"""Random faults between the bots and what they connect to."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.soak.notes import Notes
from fishjam_agents.testing.fault_proxy import FaultProxy
from fishjam_agents.testing.faults import Cut, Fault, Garble, HalfOpen, Refuse, Reset, Slow, Stall

AGENTS, NOTIFIER, REST = "/socket/agent", "/socket/server", "/room"


@dataclass(frozen=True, slots=True)
class Plan:
    """A kind of fault.

    Attributes:
        where: Path of the connections, empty for the vendor's.
        fault: The fault.
        seconds: Seconds until it is taken back.
        hurts: Seconds from its begin in which it may cost what people say: until the bot is back.
    """

    where: str
    fault: Fault
    seconds: float = 0.1
    hurts: float = 0.0


PLANS: Sequence[Plan] = (
    Plan(AGENTS, Cut(), hurts=3.0),
    Plan(AGENTS, Cut(mid_frame="down"), hurts=3.0),
    Plan(AGENTS, Reset(), hurts=3.0),
    Plan(AGENTS, HalfOpen(), 1.5, hurts=5.0),
    Plan(AGENTS, Stall(1.5), 1.6, hurts=5.0),
    Plan(AGENTS, Garble("header", way="down"), hurts=3.0),
    Plan(AGENTS, Slow(latency=0.05, jitter=0.05), 3.0, hurts=5.0),
    Plan(NOTIFIER, Cut()),
    Plan(NOTIFIER, Reset(mid_frame="down"), 1.0),
    Plan(NOTIFIER, HalfOpen(), 2.0),
    Plan(NOTIFIER, Stall(2.0), 2.1),
    Plan(REST, Reset()),
    Plan(REST, Refuse("reset"), 1.0),
    Plan(REST, Stall(1.0), 1.1),
    Plan("", Cut(), hurts=4.0),
    Plan("", Reset(), hurts=4.0),
    Plan("", Cut(mid_frame="up"), hurts=4.0),
    Plan("", Refuse("reset"), 2.0),
    Plan("", Stall(1.5), 1.6),
)


async def make_faults(
    fishjam: FaultProxy,
    vendor: FaultProxy,
    notes: Notes,
    rate: float,
    seed: int,
    vendors: Sequence[int],
    made: Callable[[str], None],
) -> None:
    """Make faults until cancelled.

    Args:
        fishjam: Between the bots and Fishjam.
        vendor: Between the bots and a vendor.
        notes: Where to note them.
        rate: Faults in a minute.
        seed: What they are is left to it.
        vendors: The calls whose backend is the vendor's.
        made: Called with the name of each.
    """
    chance = random.Random(seed)
    while True:
        await asyncio.sleep(chance.expovariate(rate / 60))
        plan = chance.choice(PLANS)
        name = f"{plan.where or 'vendor'} {plan.fault}"
        made(name)
        notes.put("made", name=name)
        if plan.hurts:
            for call in vendors if not plan.where else [None]:
                notes.put("fault", name=name, call=call, seconds=plan.hurts)
        proxy = fishjam if plan.where else vendor
        with proxy.inject(plan.fault, path=plan.where):
            await asyncio.sleep(plan.seconds)
