"""Scale from one replica to three and back while people talk; prints what an observer saw as JSON."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from typing import Any

from cluster import cluster, replicas, run, until

DEADLINE = 120.0
"""Seconds that more replicas, or fewer, may take."""


async def scenario() -> dict[str, Any]:
    calls = 60 if os.environ.get("RAY_FULL") else 12
    target = calls // 3
    settings = {
        "min_replicas": 1,
        "max_replicas": 3,
        "target": target,
        "cpus": 0.5,
        "drain": 5,
        "upscale_delay": 1,
        "downscale_delay": 3,
    }
    async with cluster(settings, [1, 1]) as made:
        watch = made.watch
        began = time.monotonic()
        served: dict[str, float] = {}
        asked: dict[str, float] = {}
        for _ in range(calls):
            asked[await made.call()] = time.monotonic()
            await asyncio.sleep(0.05)

        def all_served() -> bool:
            now = time.monotonic()
            for room in asked:
                if watch.now.get(room) and room not in served:
                    served[room] = now - asked[room]
            return len(served) == calls

        await until(lambda: all_served() and len(replicas()) == 3, DEADLINE)
        up = {
            "calls": calls,
            "seconds": round(time.monotonic() - began, 1),
            "longest_wait": round(max(served.values()), 2),
            "interrupted": len(watch.seen.changed),
            "doubles": len(watch.seen.doubles),
            "longest_look": round(watch.seen.longest_look, 2),
        }
        print("up", up, file=sys.stderr, flush=True)
        await asyncio.sleep(3)
        # Two of three hang up, and the rest is spread over all replicas.
        for number, room in enumerate(list(made.callers)):
            if number % 3:
                made.hang_up(room)
        watch.mark()
        before = len(made.connections())
        began = time.monotonic()
        await until(lambda: len(replicas()) == 1 and watch.exactly_one(), DEADLINE)
        seconds = time.monotonic() - began
        await asyncio.sleep(3)
        notes = made.connections()[before:]
        told = Counter(note["room"] for note in notes if note["past"] is not None)
        gaps = [gap for gaps in watch.seen.gaps.values() for gap in gaps]
        down = {
            "calls": len(watch.rooms),
            "seconds": round(seconds, 1),
            "interrupted": len(watch.seen.changed),
            "longest_gap": round(max(gaps, default=0.0), 2),
            "doubles": len(watch.seen.doubles),
            "gone_on_once": sum(count == 1 for count in told.values()),
            "gone_on_again": sum(count > 1 for count in told.values()),
            "begun_anew": sum(1 for note in notes if note["past"] is None),
            "longest_look": round(watch.seen.longest_look, 2),
        }
        print("down", down, file=sys.stderr, flush=True)
        return {"up": up, "down": down}


if __name__ == "__main__":
    run(scenario)
