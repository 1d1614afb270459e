"""Recorded callers in a room of a server that runs: real sockets, WebRTC and a real bot."""

from __future__ import annotations

import asyncio
import gc
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fishjam_agents import AgentPipeline
from fishjam_agents.audio.wav import read_wav
from fishjam_agents.backends import Parrot
from fishjam_agents.errors import ConfigError, FishjamAgentsError, ProtocolError
from fishjam_agents.fishjam import AsyncFishjamClient
from fishjam_agents.fishjam.errors import SessionClosedError, UnauthorizedError, UnreachableError
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.simulation import StoppedError, StopRequest
from fishjam_agents.worker import RoomSettings, Worker

pytest.importorskip("aiortc", reason="needs the extra webrtc")

from fishjam_agents.server.webrtc.connection import Connection
from fishjam_agents.simulation.remote import recorded_call
from fishjam_agents.simulation.remote.peer_session import PeerSession, PeerTokenError
from fishjam_agents.simulation.remote.recorded_call import (
    Account,
    Admission,
    RecordedCall,
    RemoteScene,
    admitted,
    call_room,
)

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"
DEADLINE = 250.0

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a busy machine take its time to bring a bot and its sound into the room."""
    monkeypatch.setattr(recorded_call, "COMPANY_DEADLINE", 100.0)
    monkeypatch.setattr(recorded_call, "JOIN_DEADLINE", 100.0)


class Bot(AgentPipeline):
    backend = Parrot(delay=0.0)


class Told:
    """What a call told."""

    def __init__(self) -> None:
        self.lines: list[tuple[float | None, str]] = []

    def __call__(self, at: float | None, sentence: str) -> None:
        self.lines.append((at, sentence))

    @property
    def text(self) -> str:
        return "\n".join(sentence for _, sentence in self.lines)


@asynccontextmanager
async def parrot_room() -> AsyncIterator[tuple[EmbeddedServer, str, Worker]]:
    """A server with a parrot in a room of it."""
    async with EmbeddedServer() as server:
        room_id = server.rooms.create().id
        worker = Worker(
            Bot(),
            fishjam_id=server.url,
            management_token=server.token,
            room=RoomSettings(id=room_id),
        )
        running = asyncio.create_task(worker.run())
        try:
            yield server, room_id, worker
        finally:
            worker.stop()
            with suppress(SessionClosedError):  # its room was deleted
                await running


async def call(
    server: EmbeddedServer, room_id: str, told: Told, *names: str, stop: StopRequest | None = None
) -> RecordedCall:
    clips = [read_wav(FIXTURES / f"{name}.wav") for name in names]
    async with admitted(Account(server.url, server.token), room_id, len(names)) as admissions:
        return await call_room(server.url, admissions, names, clips, told, stop=stop)


def loud(samples: np.ndarray[tuple[int, ...], np.dtype[np.int16]]) -> bool:
    return bool(np.abs(samples).max(initial=0) > 500)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, DEADLINE))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.02)


def test_what_the_bot_says_is_heard_told_and_recorded() -> None:
    async def scenario() -> None:
        told = Told()
        async with parrot_room() as (server, room_id, _):
            result = await call(server, room_id, told, "alice_yes")
            peers = [peer for room in (server.rooms.get(room_id),) for peer in room.peers.values()]
        assert result.said
        assert result.failure is None
        assert loud(result.heard)
        assert result.room.shape == (len(result.heard), 2)
        assert loud(result.room[:, 0])
        # It says "yes" as the caller does: it is the same sound, a while later.
        assert np.argmax(np.abs(result.room[:, 0])) < np.argmax(np.abs(result.heard))
        # Who was let in for the call is gone with it.
        assert len(peers) == 1
        order = (
            r"^peer \w+ is in the room\n(?s:.*)^peer \w+ publishes sound\n(?s:.*)^alice_yes speaks\n(?s:.*)"
            r"^alice_yes fell silent, after \d\.\d s\n(?s:.*)^peer \w+ speaks, \d+\.\d+ s after alice_yes"
        )
        assert re.search(order, told.text, re.MULTILINE), told.text

    run(scenario())


def test_several_callers_are_told_apart_and_do_not_count_as_the_others() -> None:
    async def scenario() -> None:
        told = Told()
        async with parrot_room() as (server, room_id, _):
            result = await call(server, room_id, told, "alice_yes", "bob_yes")
        assert result.said
        assert "alice_yes speaks" in told.text
        assert "bob_yes speaks" in told.text
        assert "bob_yes publishes sound" not in told.text
        assert "bob_yes is in the room" not in told.text

    run(scenario())


def test_a_caller_joins_with_the_token_of_a_peer() -> None:
    async def scenario() -> None:
        told = Told()
        async with parrot_room() as (server, room_id, _):
            async with AsyncFishjamClient(server.url, server.token) as client:
                _, token = await client.create_peer(room_id)
            clip = read_wav(FIXTURES / "alice_yes.wav")
            result = await call_room(server.url, [Admission(token)], ["ann"], [clip], told)
        assert loud(result.heard)

    run(scenario())


def test_a_room_that_is_deleted_ends_the_call_and_what_was_recorded_is_there() -> None:
    async def scenario() -> None:
        told = Told()
        async with parrot_room() as (server, room_id, _):
            calling = asyncio.create_task(call(server, room_id, told, "alice_long"))
            await until(lambda: "alice_long speaks" in told.text)
            server.rooms.delete(room_id)
            result = await calling
        assert not result.said
        assert "the server ended the peer session" in told.text
        assert loud(result.room[:, 0])

    run(scenario())


def test_sessions_that_end_together_are_one_error_and_no_complaint_of_the_loop() -> None:
    class Over(PeerSession):
        def __init__(self) -> None:
            """Without a socket: it has ended."""

        async def flows(self) -> None:
            await asyncio.Event().wait()

        async def read(self) -> None:
            raise SessionClosedError("the room was removed", "removed")

    async def scenario() -> None:
        complaints: list[str] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(str(context["message"])))
        clips = [read_wav(FIXTURES / f"{name}.wav") for name in ("alice_yes", "bob_yes")]
        scene = RemoteScene(["alice", "bob"], clips, [], Told(), None, StopRequest())
        with pytest.raises(SessionClosedError, match="the room was removed"):
            await scene.play([Over(), Over()])
        gc.collect()
        assert complaints == []

    run(scenario())


def test_a_caller_that_was_removed_keeps_no_other_in_the_room() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server:
            room_id = server.rooms.create().id
            async with admitted(Account(server.url, server.token), room_id, 2) as admissions:
                async with AsyncFishjamClient(server.url, server.token) as client:
                    await client.delete_peer(room_id, admissions[0].id)
                assert len(server.rooms.get(room_id).peers) == 1
            assert not server.rooms.get(room_id).peers

    run(scenario())


def test_a_call_that_is_stopped_is_recorded_so_far() -> None:
    async def scenario() -> None:
        told, stop = Told(), StopRequest()
        async with parrot_room() as (server, room_id, _):
            calling = asyncio.create_task(call(server, room_id, told, "alice_long", stop=stop))
            await until(lambda: "alice_long speaks" in told.text)
            stop.ask()
            result = await calling
        assert not result.said
        assert loud(result.room[:, 0])

    run(scenario())


def test_a_call_is_stopped_before_it_begins() -> None:
    async def scenario() -> None:
        stop = StopRequest()
        async with EmbeddedServer() as server:
            room_id = server.rooms.create().id
            calling = asyncio.create_task(call(server, room_id, Told(), "alice_yes", stop=stop))
            await until(lambda: bool(server.rooms.get(room_id).peers))
            stop.ask()
            with pytest.raises(StoppedError):
                await calling

    run(scenario())


@pytest.mark.parametrize("answers", [False, True], ids=["connecting", "shaking hands"])
def test_a_call_is_stopped_while_its_sockets_connect(answers: bool) -> None:
    async def scenario() -> None:
        stop, came = StopRequest(), asyncio.Event()
        gone = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            came.set()
            if answers:
                # Half a line of an answer.
                writer.write(b"HTTP/1.1 ")
            while await reader.read(1024):
                pass
            writer.close()
            gone.set()

        async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            clips = [read_wav(FIXTURES / "alice_yes.wav")]
            before = asyncio.all_tasks()
            calling = asyncio.create_task(
                call_room(f"http://127.0.0.1:{port}", [Admission("t")], ["alice"], clips, Told(), stop=stop)
            )
            await came.wait()
            stop.ask()
            with pytest.raises(StoppedError):
                await calling
            await gone.wait()
            assert not {task for task in asyncio.all_tasks() - before if not task.done()}

    run(scenario())


def test_nobody_to_talk_to_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded_call, "COMPANY_DEADLINE", 0.5)

    async def scenario() -> None:
        async with EmbeddedServer() as server:
            room_id = server.rooms.create().id
            with pytest.raises(
                FishjamAgentsError, match=r"nobody else published sound in the room within 0\.5"
            ):
                await call(server, room_id, Told(), "alice_yes")

    run(scenario())


@pytest.mark.parametrize("answer", ["", "v=0\r\na=group\r\n"])
def test_an_answer_of_the_server_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    async def garbled(*_: object) -> str:
        return answer

    monkeypatch.setattr(Connection, "answer", garbled)

    async def scenario() -> None:
        async with EmbeddedServer() as server:
            room_id = server.rooms.create().id
            with pytest.raises(ProtocolError, match="the server's SDP answer cannot be used"):
                await call(server, room_id, Told(), "alice_yes")

    run(scenario())


def test_what_is_wrong_with_room_token_or_server_is_told() -> None:
    async def scenario() -> None:
        told = Told()
        clip = read_wav(FIXTURES / "alice_yes.wav")
        async with EmbeddedServer() as server:
            room_id = server.rooms.create().id
            with pytest.raises(ConfigError, match=f"there is no room nowhere at {server.url}: give the id"):
                await call(server, "nowhere", told, "alice_yes")
            with pytest.raises(UnauthorizedError, match="check the management token"):
                async with admitted(Account(server.url, "wrong"), room_id, 1):
                    pass
            with pytest.raises(
                PeerTokenError, match=r"refused the peer token \(invalid token\): make a new one"
            ):
                await call_room(server.url, [Admission("wrong")], ["ann"], [clip], told)
            url = server.url
        with pytest.raises(UnreachableError, match="is the server running"):
            await call_room(url, [Admission("any")], ["ann"], [clip], told)
        with pytest.raises(FishjamAgentsError, match="is the server running"):
            async with admitted(Account(url, "any"), room_id, 1):
                pass

    run(scenario())
