"""From the first audible frame of an interruption to `interrupt` on the wire."""

from __future__ import annotations

import asyncio
import statistics

from bench.child import child
from bench.table import Row, percentile

_MEDIAN_MS, _P95_MS = 100.0, 220.0
_SECONDS = 4.5
"""A second of listening, the longest utterance as far as it matters, and time for the last interrupt."""


async def measure(quick: bool) -> list[Row]:
    """Interrupt bots that talk, all at once over real agent sockets."""
    count = 8 if quick else 40
    async with child("generator", sound="quiet", trials=count) as generator:
        ports = await generator.hear(20.0)
        async with child("subject", kind="talk", calls=count, **ports) as subject:
            await subject.hear(20.0)
            await generator.ask(5.0, do="start")
            await asyncio.sleep(2.0 if quick else _SECONDS)
            results = (await generator.ask(5.0, do="trials"))["trials"]
    delays = [result["ms"] for result in results if result["ms"] is not None]
    early = sum(result["early"] for result in results)
    missed = sum(result["ms"] is None for result in results)
    if not delays:
        raise RuntimeError("no interruption was noticed: see the error above")
    median, p95 = statistics.median(delays), percentile(delays, 95)
    return [
        Row(
            "first audible frame to `interrupt` on the wire, -20 to -40 dBFS, 20-30 dB above noise",
            f"median {_MEDIAN_MS:.0f}, p95 {_P95_MS:.0f} ms",
            f"median {median:.0f}, p95 {p95:.0f} ms ({count} trials, {missed} missed, {early} too early)",
            within=median <= _MEDIAN_MS and p95 <= _P95_MS and not missed,
        )
    ]
