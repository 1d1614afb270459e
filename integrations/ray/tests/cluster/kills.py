"""Kill and hang what can be, one after the other, under calls; prints what an observer saw as JSON."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from cluster import Cluster, cluster, kill, ledgers, replicas, run, until

SETTLED = 60.0
"""Seconds that the service has to be whole again before the next kill."""


async def step(made: Cluster, name: str, do: Callable[[], Awaitable[None]]) -> dict[str, Any]:
    """Do something to the service; returns what the observer saw until it was whole again."""
    watch = made.watch
    await until(lambda: watch.exactly_one() and made.is_whole(2), SETTLED)
    await asyncio.sleep(2)
    watch.mark()
    before = len(made.connections())
    began = time.monotonic()
    await do()
    await asyncio.sleep(1)
    # A room that appears meanwhile waits no longer than the others.
    room = await made.call()
    asked = time.monotonic()
    await until(lambda: watch.now.get(room) == 1, SETTLED)
    new_room = time.monotonic() - asked
    await until(watch.exactly_one, SETTLED)
    await asyncio.sleep(3)
    made.hang_up(room)
    gaps = [gap for gaps in watch.seen.gaps.values() for gap in gaps]
    again = Counter(note["room"] for note in made.connections()[before:] if note["room"] != room)
    told = Counter(note["room"] for note in made.connections()[before:] if note["past"] is not None)
    figures = {
        "rooms": len(watch.rooms),
        "interrupted": len(watch.seen.changed),
        "back_after": round(max(watch.seen.changed.values(), default=0.0), 2),
        "longest_gap": round(max(gaps, default=0.0), 2),
        "new_room": round(new_room, 2),
        "doubles": len(watch.seen.doubles),
        "gone_on_once": sum(count == 1 for count in told.values()),
        "gone_on_again": sum(count > 1 for count in again.values()),
        "begun_anew": sum(1 for room in again if room not in told),
        "looks": watch.seen.looks,
        "longest_look": round(watch.seen.longest_look, 2),
        "seconds": round(time.monotonic() - began, 1),
    }
    print(name, figures, file=sys.stderr, flush=True)
    return figures


async def scenario() -> dict[str, Any]:
    calls, full = (12, True) if os.environ.get("RAY_FULL") else (8, False)
    settings = {"min_replicas": 2, "max_replicas": 2, "target": calls, "cpus": 1, "drain": 5}
    async with cluster(settings, [1, 1]) as made:
        for _ in range(calls):
            await made.call()
        await until(made.watch.exactly_one, SETTLED)

        async def replica() -> None:
            kill(made.busiest(replicas()))

        async def watcher() -> None:
            kill(made.ruling())

        async def ledger() -> None:
            kill(ledgers()[0])

        async def both() -> None:
            kill(made.ruling())
            kill(made.busiest(replicas()))

        async def frozen_watcher() -> None:
            pid = made.ruling()
            os.kill(pid, signal.SIGSTOP)
            await until(lambda: made.ruling() != pid, SETTLED)
            await asyncio.sleep(1)
            # The zombie wakes and believes that it rules.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

        async def frozen_ledger() -> None:
            os.kill(ledgers()[0], signal.SIGSTOP)
            await asyncio.sleep(8)

        async def frozen_replica() -> None:
            pid = made.busiest(replicas())
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(10)
            os.kill(pid, signal.SIGCONT)

        async def node() -> None:
            made.kill_node()

        async def frozen_node() -> None:
            """A machine that is silent until its calls are elsewhere, and then is there again."""
            processes = made.node_processes()
            for pid in processes:
                os.kill(pid, signal.SIGSTOP)
            await until(lambda: made.watch.seen.changed, SETTLED)
            await asyncio.sleep(2)
            await until(made.watch.exactly_one, SETTLED)
            await asyncio.sleep(2)
            for pid in processes:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(5)

        async def call_anew() -> None:
            """Spread the calls over the replicas again: after a kill all are at one."""
            for room in list(made.callers):
                made.hang_up(room)
            for _ in range(calls):
                await made.call()

        steps = {"replica": replica, "watcher": watcher, "ledger": ledger, "frozen watcher": frozen_watcher}
        if full:
            steps |= {"watcher and replica": both, "frozen ledger": frozen_ledger}
            steps |= {"frozen replica": frozen_replica}
            steps |= {f"replica {n}": replica for n in range(2, 6)}
            steps |= {f"watcher {n}": watcher for n in range(2, 6)}
        names = made.names()
        figures = {name: await step(made, name, do) for name, do in steps.items()}
        await until(lambda: made.is_whole(2), SETTLED)
        await call_anew()
        await until(made.watch.exactly_one, SETTLED)
        await asyncio.sleep(3)
        figures["node"] = await step(made, "node", node)
        if full:
            await asyncio.to_thread(made.add_node, 1)
            await until(lambda: made.is_whole(2), SETTLED)
            await call_anew()
            await until(made.watch.exactly_one, SETTLED)
            await asyncio.sleep(3)
            figures["frozen node"] = await step(made, "frozen node", frozen_node)
        return figures | {"names": names}


if __name__ == "__main__":
    run(scenario)
