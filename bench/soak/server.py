"""The embedded Fishjam of a soak in a process of its own: people who speak marked utterances, and listen."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import sys
from pathlib import Path

import numpy as np

from bench.child import requests, say
from bench.machine import ROOT
from bench.rooms_server import ProxiedServer
from bench.soak.marks import marked, marks, voiced
from bench.soak.notes import LATE, Notes
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.wav import Clip, read_wav
from fishjam_agents.cli.loops import freeze_gc
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.server.media.sources import AgentTrack, Source
from fishjam_agents.server.peer import Peer
from fishjam_agents.server.room import Room
from fishjam_agents.server.sockets.agent import AgentSocket
from fishjam_agents.session import PeerType

LOOK = 0.5
"""Seconds between two looks at what was dropped."""
QUIET = 25
"""Ticks of silence after which what the bot said is looked at."""
VOICES = ("alice_yes.wav", "bob_yes.wav")


class Person:
    """Somebody in a call: speaks now and then, and notes what the bot says.

    Args:
        number: Number of the call.
        room: Its room.
        notes: Where to note.
    """

    def __init__(self, number: int, room: Room, notes: Notes) -> None:
        self.number = number
        self.room = room
        self._notes = notes
        self._heard: list[Samples] = []
        self._quiet = 0

    def hear_source(self, publisher: Peer, source: Source, sounded: bool, ticks: int) -> None:
        """Part of `peer.SourceListener`."""
        if not isinstance(source, AgentTrack):
            return
        if sounded:
            self._heard += [segment.samples for segment in source.segments()]
            self._quiet = 0
        elif self._heard:
            self._quiet += 1
            if self._quiet == QUIET:
                self._notes.put_marks("heard", marks(np.concatenate(self._heard)))
                self._heard.clear()


class People:
    """All of them, and whether each has a bot.

    Args:
        server: The server.
        notes: Where to note.
        period: Seconds between two utterances of a person.
        seed: Of the moments at which they speak.
    """

    def __init__(self, server: EmbeddedServer, notes: Notes, period: float, seed: int) -> None:
        self._server = server
        self._notes = notes
        self._period = period
        self._random = random.Random(seed)
        self._clips = [read_wav(ROOT / "audio_fixtures" / name).samples.reshape(-1) for name in VOICES]
        self._bots: dict[str, int] = {}
        self._people: dict[str, Person] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.speaking = True
        server.rooms.notifications.subscribe(self._look)

    async def join(self, number: int, room_id: str | None, kind: str, first: int) -> str:
        """A person joins a room, which is made where it is missing, and begins to speak."""
        room = (room_id and self._server.rooms.find(room_id)) or self._server.rooms.create(room_id=room_id)
        person = self._people[room.id] = Person(number, room, self._notes)
        caller = await self._server.add_caller(room.id, metadata={"kind": kind})
        # Whoever publishes a track from now on is heard by it.
        caller.peer.source_listener = person

        async def speak() -> None:
            clip = self._clips[number % len(self._clips)]
            begin, end = voiced(clip)
            await asyncio.sleep(self._random.uniform(2.0, 2.0 + self._period))
            utterance = first
            while self.speaking:
                if self._bots.get(room.id):
                    caller.say(Clip(marked(clip, number, utterance), 16000))
                    self._notes.put(
                        "said",
                        call=number,
                        utterance=utterance,
                        first=begin,
                        last=end,
                        seconds=len(clip) / 16000,
                    )
                    utterance += 1
                await asyncio.sleep(self._period * self._random.uniform(0.8, 1.2))

        self._tasks.append(asyncio.create_task(speak(), name=f"person {number}"))
        return room.id

    async def watch(self) -> None:
        """Note whose bot takes so little that the server drops audio: that is lost by contract."""
        known: dict[object, int] = {}
        while True:
            await asyncio.sleep(LOOK)
            since = asyncio.get_running_loop().time() - 2 * LOOK
            if self._server.clock.worst_lag > LATE:
                self._notes.put("late", t=since, seconds=3 * LOOK)
            self._server.clock.reset_lag()
            for room_id, person in self._people.items():
                room = self._server.rooms.find(room_id)
                sockets = [] if room is None else [peer.attachment for peer in room.peers.values()]
                for socket in sockets:
                    if isinstance(socket, AgentSocket) and socket.connection is not None:
                        dropped = socket.connection.dropped
                        if dropped > known.get(socket, 0):
                            known[socket] = dropped
                            self._notes.put(
                                "fault",
                                t=since,
                                name="the bot is too slow",
                                call=person.number,
                                seconds=3 * LOOK,
                            )

    def bots(self) -> list[int]:
        """Number of bots in each call."""
        return [self._bots.get(room_id, 0) for room_id in self._people]

    def _look(self, room_id: str, message: bytes) -> None:
        room, person = self._server.rooms.find(room_id), self._people.get(room_id)
        if room is None or person is None:
            return
        bots = sum(peer.type is PeerType.AGENT and peer.connected for peer in room.peers.values())
        if bots != self._bots.get(room_id, 0):
            self._bots[room_id] = bots
            self._notes.put("bots", call=person.number, number=bots)


async def main(folder: str, token: str, port: int, period: float, seed: int, run: int) -> None:
    """Run until the parent hangs up."""
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    async with ProxiedServer(port=port, token=token) as server:
        people = People(server, Notes(Path(folder) / f"server-{run}.jsonl"), period, seed + run)
        watching = asyncio.create_task(people.watch(), name="what is dropped")
        freeze_gc()
        say(url=server.url, port=server.port)
        async for request in requests():
            match request["do"]:
                case "join":
                    say(
                        rooms=[
                            await people.join(call["number"], call["room"], call["kind"], request["first"])
                            for call in request["calls"]
                        ]
                    )
                case "hush":
                    people.speaking = False
                    say()
                case "bots":
                    say(bots=people.bots())
        watching.cancel()


if __name__ == "__main__":
    asyncio.run(main(**json.loads(sys.argv[1])))
