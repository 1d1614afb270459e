"""`type: vapi_peer`: Fishjam in the middle, followed by the worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fishjam_agents_vapi import VapiPeer, control
from fishjam_agents_vapi.emulator import VapiEmulator

from fishjam_agents import AgentPipeline
from fishjam_agents.audio.wav import read_wav
from fishjam_agents.backends import port, registry
from fishjam_agents.errors import BackendError, FishjamAgentsError
from fishjam_agents.events import Event
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.session import PeerType
from fishjam_agents.simulation import simulate
from fishjam_agents.worker import CallOutcome, JoinedRoom, LimitSettings, RoomSettings, Worker

ALICE = Path(__file__).parents[3] / "audio_fixtures"
KEY = "vapi-private-key-1234"


@pytest.fixture(autouse=True)
def failures_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fishjam_agents.server.vapi_call.FAILURE_SECONDS", 0.0)


class Receptionist(AgentPipeline):
    def __init__(self, vapi: VapiEmulator, **settings: Any) -> None:
        super().__init__()
        self.backend = VapiPeer(**{"assistant_id": "a", "api_key": KEY, "url": vapi.url, **settings})
        self.hooks: list[str] = []
        self.seen: list[Event] = []
        self.observers.append(self.seen.append)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event.as_dict() for event in self.seen if event.kind == kind]

    async def on_start(self) -> None:
        self.hooks.append("start")

    async def on_peer_joined(self, peer: str) -> None:
        self.hooks.append("joined")

    async def on_peer_left(self, peer: str) -> None:
        self.hooks.append("left")

    async def on_stop(self) -> None:
        self.hooks.append("stop")


class Job:
    """A worker with a room of the embedded server."""

    def __init__(self, server: EmbeddedServer, bot: AgentPipeline, **limits: Any) -> None:
        self.server = server
        self.room = server.rooms.create()
        self.where: asyncio.Future[JoinedRoom] = asyncio.get_running_loop().create_future()
        self.worker = Worker(
            bot,
            fishjam_id=server.url,
            management_token=server.token,
            room=RoomSettings(id=self.room.id),
            limits=LimitSettings(**limits),
            placed=self.where.set_result,
        )
        self.task = asyncio.create_task(self.worker.run())

    async def joined(self) -> None:
        await self.until(
            lambda: any(peer.connected and peer.config.vapi for peer in self.room.peers.values())
        )

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(5):
            while not condition():
                assert not self.task.done(), self.task
                await asyncio.sleep(0.005)


@asynccontextmanager
async def job(vapi: VapiEmulator, bot: AgentPipeline, **limits: Any) -> AsyncIterator[Job]:
    async with EmbeddedServer(vapi_url=vapi.url) as server:
        work = Job(server, bot, **limits)
        try:
            yield work
        finally:
            work.task.cancel()
            await asyncio.gather(work.task, return_exceptions=True)


def test_it_is_found_by_its_type() -> None:
    assert registry.load("vapi_peer") is VapiPeer


def test_a_simulated_caller_talks_to_the_peer(emulate: Any) -> None:
    async def scenario(vapi: VapiEmulator) -> None:
        bot = Receptionist(vapi)
        result = await simulate(bot, [read_wav(ALICE / "alice_yes.wav")], seconds=2.2)
        assert result.failure is None
        assert np.abs(result.heard).max() > 3000
        assert np.abs(result.room[:, 1]).max() > 3000
        assert result.kinds == ["call_started", "peer_joined"]
        assert bot.hooks == ["start", "joined", "stop"] or bot.hooks == ["joined", "start", "stop"]
        assert vapi.call.body["transport"]["audioFormat"]["sampleRate"] == 16000
        assert vapi.call.status == "ended"

    # The simulation makes a server of its own, which learns of Vapi's address by the environment.
    async def with_address(vapi: VapiEmulator) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("VAPI_URL", vapi.url)
            await scenario(vapi)

    emulate(with_address)


def test_stopping_the_bot_ends_the_call_and_leaves_nothing(emulate: Any) -> None:
    async def scenario(vapi: VapiEmulator) -> None:
        bot = Receptionist(vapi)
        async with job(vapi, bot) as work:
            await work.joined()
            placement = await work.where
            assert work.room.peer(placement.peer_id).type is PeerType.VAPI
            assert bot.call_id is not None
            work.worker.stop()
            assert await work.task is CallOutcome.STOPPED
            assert not work.room.peers
        assert vapi.call.status == "ended"
        assert bot.hooks == ["start", "stop"]

    emulate(scenario)


def test_text_and_control_go_by_the_control_url(emulate: Any) -> None:
    async def scenario(vapi: VapiEmulator) -> None:
        bot = Receptionist(vapi)
        bot.instructions = "Be brief."
        async with job(vapi, bot) as work:
            await work.joined()
            bot.send_text("I am Ann.")
            bot.control(control.mute_customer())
            assert bot.peer_name("somebody") == "Speaker 1"
            for action in (lambda: bot.say("Hello"), bot.mute, bot.interrupt):
                with pytest.raises(FishjamAgentsError, match="does not pass through this process"):
                    action()
            await work.until(lambda: len(vapi.call.received) == 3)
            bot.control({"type": "nonsense"})
            bot.end_call()
            assert await work.task is CallOutcome.FINISHED
        assert [message["type"] for message in vapi.call.received[:3]] == [
            "add-message",
            "add-message",
            "control",
        ]
        assert vapi.call.received[0]["message"] == {"role": "system", "content": "Be brief."}
        assert not vapi.call.received[0]["triggerResponseEnabled"]

    emulate(scenario)


def test_the_end_of_the_call_is_the_end_of_the_bot(emulate: Any) -> None:
    async def scenario(vapi: VapiEmulator) -> None:
        bot = Receptionist(vapi)
        async with job(vapi, bot) as work:
            await work.joined()
            await vapi.call.end("customer-ended-call")
            assert await work.task is CallOutcome.FINISHED
        assert [event["reason"] for event in bot.of("backend_ended")] == ["customer-ended-call"]

    emulate(scenario)


def test_a_call_that_fails_ends_the_bot_with_a_sentence(emulate: Any) -> None:
    async def scenario(vapi: VapiEmulator) -> None:
        bot = Receptionist(vapi)
        async with job(vapi, bot) as work:
            await work.joined()
            await vapi.call.end("pipeline-error-openai-401-unauthorized")
            with pytest.raises(BackendError, match="see the keys of the assistant's providers"):
                await work.task
        (failure,) = bot.of("backend_failure")
        assert failure["failure"] == "auth"

    emulate(scenario)


def test_a_peer_that_crashes_tells_why(emulate: Any) -> None:
    async def scenario(vapi: VapiEmulator) -> None:
        vapi.behaviour.bearer_on_socket = True
        bot = Receptionist(vapi)
        async with job(vapi, bot) as work:
            # The server looks for the call at a Vapi that is not there.
            work.server._calls._url = "http://127.0.0.1:9"
            with pytest.raises(
                BackendError, match=r"gave up the Vapi peer .*Vapi cannot be reached.*: check"
            ):
                await work.task
            assert not work.room.peers
        assert vapi.call.received == [{"type": "end-call"}]

    emulate(scenario)


def test_it_leaves_an_empty_room(emulate: Any) -> None:
    async def scenario(vapi: VapiEmulator) -> None:
        bot = Receptionist(vapi, auto_close=False)
        async with job(vapi, bot, empty_room=0.3) as work:
            caller = await work.server.add_caller(work.room.id)
            await work.joined()
            await work.until(lambda: "joined" in bot.hooks)
            caller.leave()
            assert await work.task is CallOutcome.EMPTY_ROOM
        assert bot.hooks[-2:] == ["left", "stop"]
        assert vapi.call.status == "ended"

    emulate(scenario)


def test_auto_close_is_passed_on(emulate: Any) -> None:
    async def scenario(vapi: VapiEmulator) -> None:
        bot = Receptionist(vapi)
        async with job(vapi, bot) as work:
            caller = await work.server.add_caller(work.room.id)
            await work.joined()
            await asyncio.sleep(0.1)
            caller.leave()
            assert await work.task is CallOutcome.FINISHED

    emulate(scenario)


@pytest.mark.parametrize(("status", "kind"), [(401, "auth"), (429, "quota"), (400, "config")])
def test_a_call_that_cannot_be_made_brings_nobody_into_the_room(status: int, kind: str, emulate: Any) -> None:
    async def scenario(vapi: VapiEmulator) -> None:
        bot = Receptionist(vapi)
        async with job(vapi, bot) as work:
            with pytest.raises(BackendError) as raised:
                await work.task
            assert raised.value.failure == kind
            assert KEY not in str(raised.value)
            assert not work.room.peers
            assert not bot.hooks

    emulate(scenario, statuses=[status])


def test_outside_a_worker_it_says_where_it_belongs() -> None:
    backend = VapiPeer(assistant_id="a", api_key=KEY)
    assert KEY not in repr(backend)
    with pytest.raises(BackendError, match="run it with a Worker"):
        backend.connect(port.BackendContext("c", lambda event: None))
