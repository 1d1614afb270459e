"""The embedded Fishjam with rooms and people in them, in a process of its own that can be killed.

`python -m bench.rooms_server '{"port": 0, "token": "secret"}'` says its URL, then does what it is asked:
`occupy` makes rooms with a person in each, `bots` tells how many bots each room has and ever had at once, and
which of them have spoken since all people did (`ask`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from bench.child import requests, say
from bench.machine import ROOT
from fishjam_agents.audio.wav import read_wav
from fishjam_agents.cli.loops import freeze_gc
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.server.callers import Caller
from fishjam_agents.server.media.microphone import PreparedClip
from fishjam_agents.server.media.sources import AgentTrack
from fishjam_agents.server.room import Room
from fishjam_agents.session import PeerType


class ProxiedServer(EmbeddedServer):
    """A server that is reached by a proxy, agents included: their address is the one of the request."""

    def _peer_url(self, scheme: str, host: str) -> str:
        return f"{scheme.replace('http', 'ws')}://{host}/socket/peer/websocket"


class Rooms:
    """The rooms, and how many bots they had at most."""

    def __init__(self, server: EmbeddedServer) -> None:
        self.server = server
        self.callers: dict[str, Caller] = {}
        self.most: dict[str, int] = defaultdict(int)
        self._clip = PreparedClip(read_wav(ROOT / "audio_fixtures" / "alice_yes.wav"))
        self._played: dict[str, float] = {}
        server.rooms.notifications.subscribe(self._look)

    async def occupy(self, ids: Sequence[str | None]) -> list[str]:
        """Let a person join each room; those that are not there are made, with their ids where given."""
        made = []
        for id in ids:
            room = (id and self.server.rooms.find(id)) or self.server.rooms.create(room_id=id)
            self.callers[room.id] = await self.server.add_caller(room.id)
            made.append(room.id)
        return made

    def ask(self) -> None:
        """Let all people say something, and count from now on who answers."""
        self._played = {id: _played(caller.room) for id, caller in self.callers.items()}
        for caller in self.callers.values():
            caller.say(self._clip)

    def bots(self) -> dict[str, dict[str, Any]]:
        """Bots of each room: now, at most, and whether one of them has spoken since `ask`."""
        return {
            room.id: {
                "bots": len(_bots(room)),
                "ids": _bots(room),
                "most": self.most[room.id],
                "spoken": _played(room),
                "answered": _played(room) > self._played.get(room.id, 0.0) + 0.1,
            }
            for room in self.server.rooms
        }

    def _look(self, room_id: str, message: bytes) -> None:
        room = self.server.rooms.find(room_id)
        if room is not None:
            self.most[room_id] = max(self.most[room_id], len(_bots(room)))


def _bots(room: Room) -> list[str]:
    return [peer.id for peer in room.peers.values() if peer.type is PeerType.AGENT and peer.connected]


def _played(room: Room) -> float:
    """Seconds that bots have spoken in a room."""
    sources = [source for peer in room.peers.values() for source in peer.sources.values()]
    return sum(source.playout.played_seconds for source in sources if isinstance(source, AgentTrack))


async def main(port: int = 0, token: str = "secret") -> None:
    """Run until the parent hangs up."""
    # What it still sends to programs that were killed.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    async with ProxiedServer(port=port, token=token) as server:
        rooms = Rooms(server)
        freeze_gc()
        say(url=server.url, port=server.port)
        async for request in requests():
            match request["do"]:
                case "occupy":
                    say(rooms=await rooms.occupy(request["ids"]))
                case "rooms":
                    say(rooms=[room.id for room in server.rooms])
                case "ask":
                    rooms.ask()
                    say()
                case "bots":
                    say(rooms=rooms.bots())


if __name__ == "__main__":
    asyncio.run(main(**json.loads(sys.argv[1])))
