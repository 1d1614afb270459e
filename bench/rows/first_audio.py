"""From the first audio of a reply at the model's socket to the first chunk on Fishjam's."""

from __future__ import annotations

import statistics

from bench.run import Plan, run
from bench.table import Row, percentile

_BUDGET_MS = 2.0
_CALLS = 10


async def measure(quick: bool) -> list[Row]:
    """Ten calls hear their users all the time; each model gives a short reply every 240 ms.

    The load generator is model and room in one, so that one clock times both ends: what is measured holds
    the way of two messages through the kernel too. The relay, plain `websockets`, shows how long that is.
    """
    plan = Plan(0.3, 0.5) if quick else Plan(1.0, 6.0)
    ours = (await run("model", _CALLS, plan, "quiet")).load["first_audio_ms"]
    bare = (await run("relay", _CALLS, plan, "quiet")).load["first_audio_ms"]
    if not ours or not bare:
        raise RuntimeError("no reply of the model reached the room: see the error above")
    return [
        Row(
            "first model audio at the socket to `send_chunk` on the wire",
            f"p99 {_BUDGET_MS:g} ms",
            f"p99 {percentile(ours, 99):.2f}, median {statistics.median(ours):.2f} ms ({len(ours)} replies)",
            f"bare websockets relay p99 {percentile(bare, 99):.2f}, median {statistics.median(bare):.2f} ms",
            percentile(ours, 99) <= _BUDGET_MS,
        )
    ]
