"""The embedded server's VAPI peer: Fishjam in the middle, against the emulated Vapi."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import betterproto
import numpy as np
import pytest
from fishjam_agents_vapi.api import CallInfo, VapiApi
from fishjam_agents_vapi.emulator import VapiEmulator
from fishjam_agents_vapi.settings import CallSettings

from fishjam_agents.audio.wav import Clip, read_wav
from fishjam_agents.fishjam import AsyncFishjamClient, PeerOptionsVapi
from fishjam_agents.protocol import decode
from fishjam_agents.protocol.generated import notifications as schema
from fishjam_agents.server import EmbeddedServer

ALICE = Path(__file__).parents[3] / "audio_fixtures"
KEY = "vapi-private-key-1234"


@pytest.fixture(autouse=True)
def failures_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fishjam_agents.server.vapi_call.FAILURE_SECONDS", 0.0)


class Stage:
    """A room of the embedded server and a call at the emulated Vapi."""

    def __init__(self, server: EmbeddedServer, client: AsyncFishjamClient, vapi: VapiEmulator) -> None:
        self.server = server
        self.client = client
        self.vapi = vapi
        self.room = server.rooms.create()
        self.told: list[tuple[str, Any]] = []
        server.rooms.notifications.subscribe(self._note)

    def _note(self, room_id: str, data: bytes) -> None:
        self.told.append(betterproto.which_one_of(decode(schema.ServerMessage, data), "content"))

    @property
    def names(self) -> list[str]:
        quiet = ("vad_notification", "peer_metadata_updated", "track_added", "track_removed")
        told = [(name, message) for name, message in self.told if name not in quiet]
        return [name for name, message in told if getattr(message, "peer_type", None) == 3]

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110 - polled as a person would
                await asyncio.sleep(0.005)

    async def call(self) -> CallInfo:
        async with VapiApi(self.vapi.url, KEY) as api:
            return await api.create(_body())

    async def bring(self, call_id: str, **options: Any) -> str:
        """The VAPI peer, once it is in the room."""
        peer = await self.client.create_vapi_agent(self.room.id, PeerOptionsVapi(KEY, call_id, **options))
        await self.until(lambda: peer.id in self.room.peers and self.room.peers[peer.id].connected)
        return peer.id


def _body() -> dict[str, Any]:
    from fishjam_agents_vapi import Vapi

    settings: CallSettings = Vapi(assistant_id="a", api_key=KEY)
    return settings.body(16000)


@asynccontextmanager
async def staged(vapi: VapiEmulator) -> AsyncIterator[Stage]:
    async with (
        EmbeddedServer(vapi_url=vapi.url) as server,
        AsyncFishjamClient(server.url, server.token) as client,
    ):
        yield Stage(server, client, vapi)


def test_it_hears_a_caller_and_the_room_hears_it(emulate: Any) -> None:
    async def scenario(vapi: VapiEmulator) -> None:
        async with staged(vapi) as stage:
            caller = await stage.server.add_caller(stage.room.id)
            peer_id = await stage.bring((await stage.call()).id)
            shown = (await stage.client.get_room(stage.room.id)).peers[-1]
            assert (shown.type_, shown.status, len(shown.tracks)) == ("vapi", "connected", 1)
            recorder = stage.server.record(stage.room.id, views=[caller.id])
            caller.say(read_wav(ALICE / "alice_yes.wav"))
            await stage.until(lambda: stage.room.peers[peer_id].sources and vapi.call._speaking)
            await stage.until(lambda: not vapi.call._speaking)
            recording = recorder.stop(stage.server.clock.position)
            assert np.abs(recording.heard(caller.id)).max() > 3000
            assert np.abs(recording.room[:, 1]).max() > 3000
            assert vapi.call.authorization == f"Bearer {KEY}"
            assert vapi.call.sizes == {640}
            await stage.client.delete_peer(stage.room.id, peer_id)
            await stage.until(lambda: vapi.call.status == "ended")
        assert vapi.call.ended_reason == "manually-canceled"

    emulate(scenario)


def test_it_leaves_with_its_call(emulate: Any) -> None:
    async def scenario(vapi: VapiEmulator) -> None:
        async with staged(vapi) as stage:
            await stage.bring((await stage.call()).id)
            await vapi.call.end("customer-ended-call")
            await stage.until(lambda: not stage.room.peers)
            assert stage.names == ["peer_added", "peer_connected", "peer_disconnected", "peer_deleted"]

    emulate(scenario)


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ({}, "Vapi answered with 404"),
        ({"key": "another"}, "Vapi answered with 401"),
        ({"media_url": False}, "its transport is not vapi.websocket"),
        ({"bearer_on_socket": True}, None),
    ],
)
def test_a_call_that_cannot_be_joined_crashes_the_peer(
    behaviour: dict[str, Any], reason: str | None, emulate: Any
) -> None:
    async def scenario(vapi: VapiEmulator) -> None:
        async with staged(vapi) as stage:
            if "media_url" in behaviour or reason is None:
                call_id = (await stage.call()).id
            else:
                call_id = "no-such-call"
            await stage.client.create_vapi_agent(stage.room.id, PeerOptionsVapi(KEY, call_id))
            if reason is None:
                await stage.until(lambda: "peer_connected" in stage.names)
                return
            await stage.until(lambda: "peer_crashed" in stage.names)
            crashed = stage.told[-1][1]
            assert crashed.reason == f"cannot join the VAPI call {call_id}: {reason}"
            assert KEY not in crashed.reason
            assert not stage.room.peers

    emulate(scenario, **behaviour)


def test_with_auto_close_it_ends_the_call_when_the_last_participant_leaves(emulate: Any) -> None:
    async def scenario(vapi: VapiEmulator) -> None:
        async with staged(vapi) as stage:
            await stage.bring((await stage.call()).id, auto_close=True)
            await asyncio.sleep(0.1)
            assert vapi.call.status == "in-progress"  # nobody was there yet
            caller = await stage.server.add_caller(stage.room.id)
            await asyncio.sleep(0.1)
            caller.leave()
            await stage.until(lambda: vapi.call.status == "ended" and not _vapi_peers(stage))

    emulate(scenario)


def _vapi_peers(stage: Stage) -> list[str]:
    return [peer.id for peer in stage.room.peers.values() if peer.config.vapi is not None]


def test_it_hears_one_peer_at_a_time(emulate: Any) -> None:
    def voice(level: int) -> Clip:
        return Clip(np.full(6400, level, np.int16), 16000)

    async def scenario(vapi: VapiEmulator) -> None:
        async with staged(vapi) as stage:
            ann, bob = [await stage.server.add_caller(stage.room.id) for _ in range(2)]
            await stage.bring((await stage.call()).id)
            heard: list[bytes] = []
            take = vapi.call._hear
            vapi.call._hear = lambda data: (heard.append(data), take(data))  # type: ignore[method-assign,assignment,func-returns-value]
            at = stage.server.clock.position + 0.1
            ann.say(voice(5000), at)
            bob.say(voice(7000), at + 0.2)  # over Ann's last words, and on alone
            bob.say(voice(7000), at + 0.6)
            await stage.server.clock.wait_until(at + 1.2)
            await asyncio.sleep(0.05)
            levels = [int(np.frombuffer(frame, "<i2").max()) for frame in heard]
            spoken = [level for level in levels if level]
            changes = [level for n, level in enumerate(spoken) if n == 0 or level != spoken[n - 1]]
            assert changes == [5000, 7000]
            assert spoken.count(5000) == 20
            # Ann's words came whole; Bob was heard when she had been quiet for 0.3 s.
            assert 0 < spoken.count(7000) < 40

    emulate(scenario)


def test_a_server_that_stops_ends_the_calls_of_its_peers(emulate: Any) -> None:
    async def scenario(vapi: VapiEmulator) -> None:
        async with staged(vapi) as stage:
            await stage.bring((await stage.call()).id)
        assert vapi.call.ended_reason == "manually-canceled"

    emulate(scenario)
