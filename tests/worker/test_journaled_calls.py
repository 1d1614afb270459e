"""Which calls of a worker go on with what was said before, and which begin anew."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from fishjam_agents.backends import port as p
from fishjam_agents.backends.conversation import BotLine
from fishjam_agents.backoff import Backoff
from fishjam_agents.errors import BackendError
from fishjam_agents.journal.journal import Journals
from fishjam_agents.journal.store import CallPlace, OpenedJournal
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.server.callers import Caller
from fishjam_agents.server.settings import PeerConfig
from fishjam_agents.session import PeerType
from fishjam_agents.testing import Scripted, Step
from fishjam_agents.testing.memory_journals import MemoryJournals
from fishjam_agents.worker import Bots, LimitSettings, MultiRoomWorker, RoomRule, RoomSnapshot

from .test_multi_room import running, until

OFFERS = p.Capabilities(text=True, replies_wait=True, conversation=True)
SOUND = (3000 * np.sin(np.arange(48000) * 0.2)).astype(np.int16)
LOST = BackendError("the vendor is gone", failure="network")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fishjam_agents.worker.rooms_follower.SHORTEST_INTERVAL", 0.05)
    monkeypatch.setattr("fishjam_agents.worker.call_state.RESTARTS", Backoff(first=0.05, longest=0.1))


class Served:
    """A worker whose first bot says two words, and what its bots were told."""

    def __init__(self, server: EmbeddedServer, *end: BackendError) -> None:
        self.store = MemoryJournals()
        self.journals = Journals(self.store, 60, 3600)
        says = [p.ReplyStarted("r"), p.ReplyTextDelta("r", "One. Two."), p.ReplyAudio("r", SOUND), 1.0, *end]
        self.backends = [Scripted([Step(None, [0.2, *says])], OFFERS)]
        self.made = 0
        self.worker = self.another(server)

    def another(self, server: EmbeddedServer) -> MultiRoomWorker:
        return MultiRoomWorker(
            Bots((RoomRule("bot", every=True),), {"bot": self.make}),
            fishjam_id=server.url,
            management_token=server.token,
            limits=LimitSettings(empty_room=0.3),
            journals=self.journals,
        )

    def make(self, room: RoomSnapshot) -> AgentPipeline:
        if self.made == len(self.backends):
            self.backends.append(Scripted([Step(p.TextInput)] * 2, OFFERS))
        bot = AgentPipeline()
        bot.backend = self.backends[self.made]
        self.made += 1
        return bot

    def told(self, bot: int) -> list[p.TextInput]:
        return [entry for entry in self.backends[bot].entries if isinstance(entry, p.TextInput)]

    async def has_ended(self) -> bool:
        (call,) = await self.store.calls()
        return call.ended


def test_a_call_whose_vendor_is_lost_for_good_goes_on_when_it_is_started_again() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server:
            served = Served(server, LOST)
            async with served.journals, running(served.worker):
                room = server.rooms.create()
                ann = await server.add_caller(room.id)
                await until(lambda: len(served.backends) == 2 and served.told(1))
                conversation = served.backends[1].connections[0].conversation
                assert conversation is not None
                (line,) = conversation.lines
                assert isinstance(line, BotLine)
                assert line.unheard
                (gap,) = served.told(1)
                assert not gap.note
                assert f'not heard was "{line.unheard}"' in gap.text
                assert not await served.has_ended()
                # Its people leave: that is the end of the conversation.
                ann.leave()
                await until(lambda: not served.worker.calls)
            assert await served.has_ended()

    asyncio.run(scenario())


def test_a_call_whose_program_ended_goes_on_in_the_next() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server:
            served = Served(server)
            async with served.journals:
                room = server.rooms.create()
                await server.add_caller(room.id)
                async with running(served.worker):
                    await until(lambda: served.backends[0].sessions)
                    await asyncio.sleep(1)
                assert not await served.has_ended()
                async with running(served.another(server)):
                    await until(lambda: len(served.backends) == 2 and served.told(1))
                    assert "The line was lost" in served.told(1)[0].text

    asyncio.run(scenario())


def test_a_call_that_is_ended_while_its_journal_is_opened_has_no_bot() -> None:
    async def scenario() -> None:
        asked, answers = asyncio.Event(), asyncio.Event()

        class Slow(MemoryJournals):
            async def open(self, place: CallPlace, now: float, resume: float) -> OpenedJournal:
                asked.set()
                await answers.wait()
                return await super().open(place, now, resume)

        async with EmbeddedServer() as server:
            served = Served(server)
            served.journals = Journals(Slow(), 60, 3600)
            worker = served.another(server)
            async with served.journals, running(worker):
                room = server.rooms.create()
                await server.add_caller(room.id)
                await asked.wait()
                call = worker.calls[room.id]
                worker.end(call)
                answers.set()
                await until(lambda: not worker.running)
                assert call.reason == "it was stopped"
                assert not served.backends[0].sessions
                assert not [peer for peer in room.peers.values() if peer.type is PeerType.AGENT]

    asyncio.run(scenario())


def test_whoever_comes_when_all_have_left_hears_nothing_of_them() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server:
            served = Served(server)
            async with served.journals:
                room = server.rooms.create()
                ann = await server.add_caller(room.id)
                async with running(served.worker):
                    await until(lambda: served.backends[0].sessions)
                    await asyncio.sleep(0.5)
                ann.leave()
                await server.add_caller(room.id)
                async with running(served.another(server)):
                    await until(lambda: len(served.backends) == 2 and served.backends[1].connections)
                    assert served.backends[1].connections[0].conversation is None
            assert [call.ended for call in await served.store.calls()] == [True, False]

    asyncio.run(scenario())


@pytest.mark.parametrize("are_known", [True, False], ids=["the same people", "new peers"])
def test_a_fishjam_that_lost_its_rooms_and_has_them_again(are_known: bool) -> None:
    async def scenario() -> None:
        server = EmbeddedServer(token="token")
        await server.start()
        port, served = server.port, Served(server)
        room = server.rooms.create()
        ann = await server.add_caller(room.id)
        async with served.journals, running(served.worker):
            await until(lambda: served.backends[0].sessions)
            await asyncio.sleep(1)
            await server.stop()
            async with EmbeddedServer(port=port, token="token") as again:
                same = again.rooms.create(room_id=room.id)
                peer = same.add_peer(PeerConfig(PeerType.WEBRTC, {}), ann.id if are_known else None)
                Caller(same, peer, again.clock).join()
                await until(lambda: len(served.backends) == 2 and served.backends[1].connections)
                conversation = served.backends[1].connections[0].conversation
                assert (conversation is not None) == are_known
                if are_known:
                    await until(lambda: served.told(1))
                    assert "The line was lost" in served.told(1)[0].text
                agents = [peer for peer in same.peers.values() if peer.type is PeerType.AGENT]
                assert len(agents) == 1

    asyncio.run(scenario())
