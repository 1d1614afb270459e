"""Answers that get lost on their way: what the server made all the same does not stay behind."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fishjam_agents.backends.parrot import Parrot
from fishjam_agents.fishjam import AsyncFishjamClient, UnreachableError
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.server.settings import PeerConfig
from fishjam_agents.session import PeerType
from fishjam_agents.worker import OrphanedAgents, RoomSettings, Worker


class Bot(AgentPipeline):
    backend = Parrot()


@asynccontextmanager
async def forgetful(server: EmbeddedServer, lost: bytes) -> AsyncIterator[str]:
    """A way to the server that loses the answer to the request that begins with `lost`."""
    tasks = set()

    async def carry(
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        back: asyncio.StreamWriter,
        seen: list[bool],
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if data.startswith(lost):
                    seen[0] = True
                if seen[0] and data.startswith(b"HTTP/1.1 201"):
                    back.transport.abort()
                    break
                writer.write(data)
        writer.close()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        there, there_writer = await asyncio.open_connection("127.0.0.1", server.port)
        seen = [False]
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(
                carry(reader, there_writer, writer, seen), carry(there, writer, there_writer, seen)
            )
        for each in (writer, there_writer):
            each.transport.abort()
        # One turn of the loop, in which they report their end.
        await asyncio.sleep(0)

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fishjam_agents.worker.unanswered.GRACE_SECONDS", 0.3)


def test_a_room_whose_answer_is_lost_does_not_stay_behind(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(20), EmbeddedServer() as server, forgetful(server, b"POST /room ") as url:
            other = server.rooms.create()
            worker = Worker(
                Bot(), fishjam_id=url, management_token=server.token, orphans=OrphanedAgents(tmp_path)
            )
            with pytest.raises(UnreachableError):
                await worker.run()
            assert [room.id for room in server.rooms] == [other.id]
        assert not os.listdir(tmp_path)

    asyncio.run(scenario())


@pytest.mark.parametrize("made_room", [False, True])
def test_an_agent_whose_answer_is_lost_does_not_stay_behind(made_room: bool, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(20), EmbeddedServer() as server, forgetful(server, b"POST /room/") as url:
            room = server.rooms.create()
            # Another bot's, in an outage, and one that is there.
            away = room.add_peer(PeerConfig(PeerType.AGENT))
            await server.add_caller(room.id)
            worker = Worker(
                Bot(),
                fishjam_id=url,
                management_token=server.token,
                room=RoomSettings() if made_room else RoomSettings(id=room.id),
                orphans=OrphanedAgents(tmp_path),
            )
            with pytest.raises(UnreachableError):
                await worker.run()
            assert list(server.rooms) == [room]
            assert len(room.peers) == 2
            assert away.id in room.peers
        assert not os.listdir(tmp_path)

    asyncio.run(scenario())


def test_what_others_make_meanwhile_is_theirs(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(20), EmbeddedServer() as server, forgetful(server, b"POST /room ") as url:

            def another(room_id: str, message: bytes) -> None:
                if len(server.rooms) == 1:
                    server.rooms.create()

            server.rooms.notifications.subscribe(another)
            with pytest.raises(UnreachableError):
                await Worker(Bot(), fishjam_id=url, management_token=server.token).run()
            # Which of the two is the bot's cannot be known.
            assert len(server.rooms) == 2

    caplog.set_level(logging.WARNING)
    asyncio.run(scenario())
    assert sum("delete it if it is nobody's" in record.message for record in caplog.records) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="notes are kept with the locks of Unix")
def test_a_bot_killed_between_making_its_room_and_its_agent_leaves_a_note(tmp_path: Path) -> None:
    program = """
        import asyncio, sys
        from pathlib import Path
        from fishjam_agents.backends.parrot import Parrot
        from fishjam_agents.fishjam import AsyncFishjamClient
        from fishjam_agents.pipeline import AgentPipeline
        from fishjam_agents.worker import OrphanedAgents, Worker

        class Bot(AgentPipeline):
            backend = Parrot()

        async def never(*_):
            print("made", flush=True)
            await asyncio.sleep(60)

        AsyncFishjamClient.create_agent = never
        url, token, notes = sys.argv[1:]
        worker = Worker(Bot(), fishjam_id=url, management_token=token, orphans=OrphanedAgents(Path(notes)))
        asyncio.run(worker.run())
    """

    async def scenario() -> None:
        async with asyncio.timeout(30), EmbeddedServer() as server:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", textwrap.dedent(program), server.url, server.token, str(tmp_path)),
                stdout=subprocess.PIPE,
            )
            assert process.stdout is not None
            assert await process.stdout.readline() == b"made\n"
            process.send_signal(signal.SIGKILL)
            await process.wait()
            assert len(server.rooms) == 1
            async with AsyncFishjamClient(server.url, server.token) as client:
                await OrphanedAgents(tmp_path).remove(client)
            assert len(server.rooms) == 0
        assert not os.listdir(tmp_path)

    asyncio.run(scenario())
