"""WebRTC peers that one server carries without loss, and where loss begins."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from bench.child import Child, child
from bench.machine import split_cores
from bench.table import Row, skipped
from fishjam_agents.fishjam import Agent, AsyncFishjamClient

_PEERS = 10
_WHAT = "WebRTC peers in one server, each with an agent that echoes it, none of their packets lost"
_STEPS = (10, 20, 30, 40, 60, 80)
_TRIES = 2
"""A shared machine stalls now and then: a step that fails once is tried again."""
_SECONDS = 6.0
_SETTLE = 2.0
_FRAMES_PER_SECOND = 50
_EDGE = 3
"""Frames of a stream that may lie before or behind the window that is counted."""
_LOUD = 1000.0
"""RMS of 16-bit samples; the tone has 5800."""


class _Listener:
    """An agent that hears one peer and sends back what it hears.

    Attributes:
        sounding: Frames in which the tone was there.
        silent: Frames in which it was not: packets that were lost or late.
    """

    def __init__(self, agent: Agent) -> None:
        self.sounding = self.silent = 0
        self._agent = agent

    async def run(self, ready: asyncio.Event) -> None:
        async with self._agent.connect() as session:
            track = await session.add_track()
            ready.set()
            async for message in session.receive():
                samples = np.frombuffer(message.data, np.int16).astype(float)
                if np.sqrt(np.mean(samples * samples)) > _LOUD:
                    self.sounding += 1
                else:
                    self.silent += 1
                await track.send_chunk(message.data)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Frames missing at agents and at peers, CPU of the server, and how late it and the peers were."""

    up: int
    down: int
    cpu: float
    lag: float
    in_time: bool

    @property
    def lost(self) -> int:
        return self.up + self.down


async def _step(peers: int, seconds: float) -> _Outcome:
    async with AsyncExitStack() as stack:
        fishjam = await stack.enter_async_context(child("fishjam", origin="http://127.0.0.1"))
        served = await fishjam.hear(20.0)
        url = served["url"].replace("http", "ws", 1) + "/socket/peer/websocket"
        others = await stack.enter_async_context(child("webrtc_peers", url=url))
        client = await stack.enter_async_context(AsyncFishjamClient(served["url"], served["token"]))
        own, rest = split_cores()
        fishjam.keep_to(own)
        others.keep_to(rest)
        listeners, tokens = [], []
        for _ in range(peers):
            room = await client.create_room()
            listener = _Listener(await client.create_agent(room.id))
            ready = asyncio.Event()
            running = asyncio.create_task(listener.run(ready))
            stack.callback(running.cancel)
            await asyncio.wait_for(ready.wait(), 10)
            listeners.append(listener)
            tokens.append((await client.create_peer(room.id))[1])
        await others.ask(40.0, do="join", tokens=tokens)
        await asyncio.sleep(_SETTLE)
        return await _count(fishjam, others, listeners, seconds)


async def _count(fishjam: Child, others: Child, listeners: list[_Listener], seconds: float) -> _Outcome:
    before = [(listener.sounding, listener.silent) for listener in listeners]
    heard, used = await asyncio.gather(
        others.ask(seconds + 20, do="measure", seconds=seconds),
        fishjam.ask(seconds + 20, do="cpu", seconds=seconds),
    )
    wanted = round(seconds * _FRAMES_PER_SECOND) - _EDGE
    up = 0
    for listener, (sounding, silent) in zip(listeners, before, strict=True):
        up += max(wanted - (listener.sounding - sounding), listener.silent - silent, 0)
    down = sum(max(wanted - packets, 0) for packets in heard["received"])
    in_time = min(heard["sent"]) >= wanted
    return _Outcome(up, down, used["seconds"] / seconds, used["lag"], in_time)


async def measure(quick: bool) -> list[Row]:
    """Step up until frames are missing at an agent or at a peer."""
    budget = f"{_PEERS}"
    if quick:
        return [skipped(_WHAT, budget, "not in --quick")]
    if find_spec("aiortc") is None:
        return [skipped(_WHAT, budget, "aiortc is not installed")]
    best, said = 0, ""
    for peers in _STEPS:
        for _ in range(_TRIES):
            outcome = await _step(peers, _SECONDS)
            if not outcome.lost:
                break
        frames = round(2 * peers * _SECONDS * _FRAMES_PER_SECOND)
        told = (
            f"{peers}: {outcome.lost} of {frames} lost, {outcome.cpu:.0%} CPU, "
            f"loop at most {1000 * outcome.lag:.0f} ms late"
        )
        if outcome.lost:
            where = f"{outcome.up} to agents, {outcome.down} to peers"
            said += f"; {told} ({where if outcome.in_time else 'the peers themselves were late'})"
            break
        best, said = peers, f" ({told})"
    return [Row(_WHAT, budget, f"{best}{said}", "", best >= _PEERS)]
