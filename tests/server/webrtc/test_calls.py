"""Browsers, agents and simulated callers in one room, over real connections."""

from __future__ import annotations

import numpy as np

from ..conftest import Client, Serve
from ..sockets import until
from .agent import attend
from .browser import Tone, join, level, pitch


def test_an_agent_hears_a_browser_at_its_level(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        async with attend(client, room_id) as agent, join(client, room_id) as browser:
            await browser.publish(Tone(440, 9000))
            heard = await agent.hear(0.5)
            assert abs(pitch(heard, 16000) - 440) < 5
            assert 0.9 < level(heard[1600:]) / (9000 / np.sqrt(2)) < 1.1

    serve(scenario)


def test_a_browser_hears_an_agent_at_its_level(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        async with attend(client, room_id) as agent, join(client, room_id) as browser:
            track_id = await agent.sing(600, 3.0)
            await until(lambda: track_id in browser.heard)
            heard = browser.heard[track_id]
            await until(lambda: len(heard.samples) > 48000)
            sound = heard.samples[24000:48000]
            assert abs(pitch(sound) - 600) < 5
            assert 0.9 < level(sound) / (9000 / np.sqrt(2)) < 1.1

    serve(scenario)


def test_agents_come_and_go_while_a_browser_stays(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        async with join(client, room_id) as browser:
            await browser.publish(Tone())
            for hertz in (500, 700, 900):
                async with attend(client, room_id) as agent:
                    track_id = await agent.sing(hertz, 2.0)
                    await until(lambda track_id=track_id: track_id in browser.heard)
                    heard = browser.heard[track_id]
                    await until(lambda heard=heard: len(heard.samples) > 24000)
                    assert abs(pitch(heard.samples[9600:24000]) - hertz) < 10
                    assert abs(pitch(await agent.hear(0.2), 16000) - 440) < 10
                await until(lambda agent=agent: agent.id not in browser.endpoints)
            assert browser.tracks == {}

    serve(scenario)


def test_browsers_and_simulated_callers_hear_each_other(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        async with join(client, room_id) as ann, join(client, room_id) as ben:
            mine = await ann.publish(Tone(500))
            his = await ben.publish(Tone(800))
            await until(lambda: his in ann.heard and mine in ben.heard)
            await until(lambda: len(ann.heard[his].samples) > 38400)
            await until(lambda: len(ben.heard[mine].samples) > 38400)
            assert abs(pitch(ann.heard[his].samples[-19200:]) - 800) < 10
            assert abs(pitch(ben.heard[mine].samples[-19200:]) - 500) < 10
            caller = await client.server.add_caller(room_id)
            await until(lambda: caller.id in ann.endpoints)
            times = np.arange(32000) / 16000
            caller.feed((9000 * np.sin(2 * np.pi * 1000 * times)).astype(np.int16), 16000)
            track_id = caller.microphone.track.id
            await until(lambda: track_id in ann.heard and level(ann.heard[track_id].samples[-9600:]) > 3000)
            assert abs(pitch(ann.heard[track_id].samples[-9600:]) - 1000) < 20

    serve(scenario)
