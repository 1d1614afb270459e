"""Browsers that are killed or cut off, and networks that lose packets or bring them late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ..conftest import Client, Serve
from ..sockets import until
from .agent import Agent, attend
from .browser import Browser, Samples, Tone, join, level, pitch
from .bystanders import bystanders
from .relay import Relay


def test_a_browser_killed_in_mid_call_is_gone(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        async with bystanders(client), join(client, room_id) as ben, join(client, room_id) as ann:
            track_id = await ann.publish(Tone())
            await until(lambda: track_id in ben.heard)
            ann.socket.transport.abort()
            await until(lambda: ann.id not in ben.endpoints)
            assert (await client.shown(room_id, ann.id))["status"] == "disconnected"

    serve(scenario)


def test_a_browser_that_ends_its_connection_alone_is_told_to_come_back(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        async with join(client, await client.room()) as browser:
            await browser.publish(Tone())
            await until(lambda: browser.pc.connectionState == "connected")
            await browser.pc.close()
            await until(lambda: browser.socket.close_code is not None)
            assert (browser.socket.close_code, browser.socket.close_reason) == (1011, "media connection lost")

    serve(scenario)


def test_a_network_that_dies_in_mid_call_ends_the_peer(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    # Six checks unanswered, as ever, but not five seconds apart.
    monkeypatch.setattr("aioice.ice.CONSENT_INTERVAL", 0.1)

    async def scenario(client: Client) -> None:
        room_id = await client.room()
        async with bystanders(client), through_relay(client, room_id) as (relay, browser):
            await browser.publish(Tone())
            await until(lambda: browser.pc.connectionState == "connected")
            relay.dead = True
            await until(lambda: browser.socket.close_code is not None)
            assert (browser.socket.close_code, browser.socket.close_reason) == (1011, "media connection lost")

    serve(scenario)


@asynccontextmanager
async def through_relay(client: Client, room_id: str) -> AsyncIterator[tuple[Relay, Browser]]:
    """A browser behind a bad network."""
    relay = Relay()
    await relay.open()
    try:
        async with join(client, room_id) as browser:
            browser.rewrite = relay.rewrite
            yield relay, browser
    finally:
        relay.close()


async def heard_in(agent: Agent, track_id: str, seconds: float) -> list[Samples]:
    """Sound that an agent hears in a while: as much as fits into it, give or take the jitter."""
    loop = asyncio.get_running_loop()
    began, before = loop.time(), len(agent.frames[track_id])
    await asyncio.sleep(seconds)
    frames = agent.frames[track_id][before:]
    assert abs(len(frames) - (loop.time() - began) * 50) <= 25
    return frames


def test_one_packet_in_ten_lost_costs_no_more_than_that(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        async with attend(client, room_id) as agent, through_relay(client, room_id) as (relay, browser):
            track_id = await browser.publish(Tone())
            await agent.hear(0.2, track_id)
            relay.loss = 0.1
            voice = await agent.sing(600, 6.0)
            frames = await heard_in(agent, track_id, 4.0)
            # Time goes on: what was lost is silence of its length.
            assert sum(level(frame) > 4000 for frame in frames) >= 150
            assert relay.lost > 20
            heard = browser.heard[voice].samples[48000:]
            assert abs(pitch(heard) - 600) < 5

    serve(scenario)


def test_jitter_of_300_ms_is_played(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        async with attend(client, room_id) as agent, through_relay(client, room_id) as (relay, browser):
            track_id = await browser.publish(Tone())
            await agent.hear(0.2, track_id)
            relay.jitter = 0.3
            await asyncio.sleep(3.0)
            frames = await heard_in(agent, track_id, 4.0)
            assert sum(level(frame) > 4000 for frame in frames) >= 165

    serve(scenario)
