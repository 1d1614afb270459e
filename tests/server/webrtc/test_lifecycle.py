"""Joining, describing oneself, being muted, leaving, coming back, and what the others are told of it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from ..conftest import Client, Serve, closing
from ..sockets import peer_auth, until
from .agent import attend
from .browser import Browser, Tone, join, level, open_browser

PAUSED = {"type": "microphone", "paused": True}
OPEN = {"type": "microphone", "paused": False}


def test_a_backend_is_told_of_a_browser_as_of_an_agent(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        async with client.notifications() as told:
            async with join(client, room_id, displayName="Ann") as browser:
                track_id = await browser.publish(Tone(), OPEN)
                await browser.describe(track_id, PAUSED)
                await until(lambda: json.loads(source(client, room_id, track_id).track.metadata) == PAUSED)
                shown = await client.shown(room_id, browser.id)
                assert shown["status"] == "connected"
                assert shown["metadata"] == {"peer": {"displayName": "Ann"}, "server": {}}
                assert shown["tracks"] == [{"id": track_id, "type": "audio", "metadata": PAUSED}]
            names = []
            metadata: list[Any] = []
            async for name, message in told:
                if name == "vad_notification":
                    continue
                names.append(name)
                if hasattr(message, "track"):
                    assert (message.peer_id, message.track.id) == (browser.id, track_id)
                    metadata.append(json.loads(message.track.metadata))
                if name == "peer_disconnected":
                    break
            assert names == [
                "peer_added",
                "peer_connected",
                "peer_metadata_updated",
                "track_added",
                "track_metadata_updated",
                "track_removed",
                "peer_disconnected",
            ]
            assert metadata == [OPEN, PAUSED, PAUSED]

    serve(scenario)


def source(client: Client, room_id: str, track_id: str) -> Any:
    peers = client.server.rooms.get(room_id).peers.values()
    return next(peer.sources[track_id] for peer in peers if track_id in peer.sources)


def test_the_others_are_told_who_comes_changes_and_goes(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        async with join(client, room_id, displayName="Ann") as ann:
            _, token = await client.peer(room_id, metadata={"seat": 1})
            async with open_browser(client, token) as ben:
                # Who has not said `connect` yet is nobody.
                await asyncio.sleep(0.1)
                assert list(ann.endpoints) == [ann.id]
                await ben.connect({"displayName": "Ben"})
                await until(lambda: ben.id in ann.endpoints)
                expected = {"peer": {"displayName": "Ben"}, "server": {"seat": 1}}
                assert json.loads(ann.endpoints[ben.id]) == expected
                assert json.loads(ben.endpoints[ben.id]) == expected
                assert json.loads(ben.endpoints[ann.id])["peer"] == {"displayName": "Ann"}
                await ben.update({"displayName": "Benjamin"})
                await until(lambda: "Benjamin" in ann.endpoints[ben.id])
                track_id = await ben.publish(Tone(), OPEN)
                await until(lambda: track_id in ann.tracks)
                await ben.describe(track_id, PAUSED)
                await until(lambda: json.loads(ann.tracks[track_id][1]) == PAUSED)
                await ben.withdraw(track_id)
                await until(lambda: track_id not in ann.tracks)
                assert (await client.shown(room_id, ben.id))["tracks"] == []
                again = await ben.publish(Tone(700), OPEN)
                await until(lambda: again in ann.heard and level(ann.heard[again].samples[-4800:]) > 3000)
            await until(lambda: ben.id not in ann.endpoints)
            assert ann.tracks == {}

    serve(scenario)


def test_a_muted_browser_is_silent_and_is_heard_again(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        async with (
            attend(client, room_id) as agent,
            join(client, room_id) as ann,
            join(client, room_id) as ben,
        ):
            tone = Tone()
            track_id = await ann.publish(tone, OPEN)
            await agent.hear(0.2)
            await until(lambda: ben.speaking.get(track_id))
            tone.stopped = True
            await ann.describe(track_id, PAUSED)
            await until(lambda: not ben.speaking[track_id])
            await asyncio.sleep(0.1)
            before = len(agent.frames[track_id])
            await asyncio.sleep(0.3)
            assert len(agent.frames[track_id]) == before
            tone.stopped = False
            await ann.unmute(track_id)
            await ann.describe(track_id, OPEN)
            await agent.hear(0.2)
            await until(lambda: ben.speaking[track_id])
            kinds = [name for name, _ in ben.told if name == "vad_notification"]
            assert len(kinds) == 3

    serve(scenario)


def test_an_open_microphone_that_sends_nothing_is_silence(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        async with attend(client, room_id) as agent, join(client, room_id) as browser:
            tone = Tone()
            track_id = await browser.publish(tone, OPEN)
            await agent.hear(0.2)
            tone.stopped = True
            await asyncio.sleep(0.2)
            before, ticks = len(agent.frames[track_id]), client.server.clock.ticks
            await until(lambda: len(agent.frames[track_id]) - before >= 25)
            silence = agent.frames[track_id][before:]
            # One frame a tick; ticks that a busy machine makes up for bring none.
            assert len(silence) <= client.server.clock.ticks - ticks + 2
            assert all(level(frame) < 10 for frame in silence)

    serve(scenario)


@pytest.mark.parametrize("message", [True, False])
def test_who_leaves_may_come_back(serve: Serve, message: bool) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        peer_id, token = await client.peer(room_id)
        async with attend(client, room_id) as agent, join(client, room_id) as ben:
            for _ in range(2):
                async with open_browser(client, token) as ann:
                    await ann.connect()
                    assert ann.id == peer_id
                    track_id = await ann.publish(Tone(), OPEN)
                    await agent.hear(0.1, track_id)
                    await until(lambda track_id=track_id: track_id in ben.heard)
                    if message:
                        await ann.leave()
                        await until(lambda: peer_id not in ben.endpoints)
                        # The client takes a closed socket for a lost one, and would come back.
                        await asyncio.sleep(0.1)
                        assert ann.socket.close_code is None
                await until(lambda: peer_id not in ben.endpoints)
                shown = await client.shown(room_id, peer_id)
                assert (shown["status"], shown["tracks"]) == ("disconnected", [])

    serve(scenario)


def test_of_two_sockets_with_one_token_the_newer_wins_for_good(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        peer_id, token = await client.peer(room_id)
        async with join(client, room_id) as ben, open_browser(client, token) as old:
            await old.connect()
            first = await old.publish(Tone(), OPEN)
            await until(lambda: first in ben.heard)
            async with open_browser(client, token) as new:
                # One of the reasons after which Fishjam's web client does not connect anew.
                await until(lambda: old.socket.close_code is not None)
                assert (old.socket.close_code, old.socket.close_reason) == (1000, "reached peers limit")
                await new.connect()
                second = await new.publish(Tone(700), OPEN)
                await until(lambda: second in ben.heard and first not in ben.tracks)
                assert list(client.server.rooms.get(room_id).peers[peer_id].sources) == [second]

    serve(scenario)


def test_who_is_removed_cannot_come_back(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        async def refused(token: str, reason: str) -> None:
            async with client.socket("peer") as socket:
                await socket.send(peer_auth(token))
                assert await closing(socket) == (1000, reason)

        async def closed(browser: Browser, reason: str) -> None:
            await until(lambda: browser.socket.close_code is not None)
            assert (browser.socket.close_code, browser.socket.close_reason) == (1000, reason)

        room_id = await client.room()
        peer_id, token = await client.peer(room_id)
        _, other_token = await client.peer(room_id)
        async with open_browser(client, token) as ann, open_browser(client, other_token) as ben:
            await ann.connect()
            await ben.connect()
            await ann.publish(Tone(), OPEN)
            await client.http.delete(f"/room/{room_id}/peer/{peer_id}")
            await closed(ann, "Peer removed")
            await refused(token, "peer not found")
            await until(lambda: peer_id not in ben.endpoints)
            await client.http.delete(f"/room/{room_id}")
            await closed(ben, "Room stopped")
            await refused(other_token, "room not found")

    serve(scenario)


def test_a_browser_with_manual_subscriptions_hears_whom_it_subscribed_to(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        _, token = await client.peer(room_id, subscribeMode="manual")
        async with attend(client, room_id) as one, attend(client, room_id) as other:
            first = await one.sing(500, 4.0)
            second = await other.sing(700, 4.0)
            async with open_browser(client, token) as browser:
                await browser.connect()
                await asyncio.sleep(0.1)
                assert set(browser.endpoints) == {browser.id, one.id, other.id}
                assert browser.tracks == {}
                url = f"/room/{room_id}/peer/{browser.id}/subscribe_peer"
                assert (await client.http.post(url, params={"peer_id": one.id})).status_code == 200
                await until(lambda: first in browser.heard and level(browser.heard[first].samples) > 3000)
                assert list(browser.tracks) == [first]
                url = f"/room/{room_id}/peer/{browser.id}/subscribe_tracks"
                assert (await client.http.post(url, json={"track_ids": [second]})).status_code == 200
                await until(lambda: second in browser.heard and level(browser.heard[second].samples) > 3000)

    serve(scenario)


def test_an_interrupted_reply_is_not_sent_on(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        async with attend(client, room_id) as agent, join(client, room_id) as browser:
            track_id = await agent.sing(600, 5.0)
            await until(
                lambda: track_id in browser.heard and level(browser.heard[track_id].samples[-960:]) > 3000
            )
            await agent.interrupt(track_id)
            before = len(browser.heard[track_id].frames)
            await asyncio.sleep(1.0)
            after = browser.heard[track_id].frames[before:]
            assert sum(level(frame) > 500 for frame in after) <= 10

    serve(scenario)
