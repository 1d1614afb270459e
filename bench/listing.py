"""Cost of listing all rooms, which have no pages: `python -m bench.listing`, or with numbers of rooms.

Rooms are as the embedded server lists them: in each a person with metadata and a bot, both with a track. Of
more than a hundred the same ones come again. The times are CPU time of a worker, for each listing.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import sys
import time
import uuid
from collections.abc import Sequence
from typing import Any

import httpx

from fishjam_agents.fishjam.listing import all_rooms
from fishjam_agents.fishjam.models import Room
from fishjam_agents.fishjam.webhooks import decode_server_notifications
from fishjam_agents.protocol import Track, TrackType
from fishjam_agents.protocol.generated import notifications as n
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.server.settings import PeerConfig
from fishjam_agents.session import FISHJAM, PeerType
from fishjam_agents.worker import RoomRule
from fishjam_agents.worker.reconcile import WorkerView, reconcile
from fishjam_agents.worker.rooms_view import RoomsView, snapshot
from fishjam_agents.worker.shard_rooms import ShardRooms

ROOMS = (100, 1_000, 10_000)
REPEATS = 5
NOTIFICATIONS = 2_000
PERSON = {"name": "Ann Example", "plan": "gold", "language": "en-GB"}


class Silent:
    """A connected peer that hears nothing, and its track, which sends nothing."""

    speaking = None
    finished = False

    def __init__(self, track: Track) -> None:
        self.track = track

    def detach(self, code: int, reason: str) -> None:
        """Nobody is there."""

    def advance(self, ticks: int) -> bool:
        """Send nothing."""
        return False

    def packets(self, sample_rate: int) -> Sequence[bytes]:
        """Have nothing."""
        return ()


async def rooms_of_a_server(count: int) -> list[dict[str, Any]]:
    """Rooms as REST lists them."""
    async with EmbeddedServer() as server:
        for number in range(count):
            room = server.rooms.create()
            for kind, metadata in ((PeerType.WEBRTC, PERSON), (PeerType.AGENT, {})):
                peer = room.add_peer(PeerConfig(kind, metadata=metadata))
                mark = dict(FISHJAM.agent_mark) if kind is PeerType.AGENT else {"type": "microphone"}
                track = Track(f"{peer.id}:{number}", int(TrackType.AUDIO), json.dumps(mark))
                silent = Silent(track)
                room.connect(peer, silent)
                room.add_track(peer, silent)
        async with httpx.AsyncClient(trust_env=False) as http:
            headers = {"authorization": f"Bearer {server.token}"}
            answer = await http.get(f"{server.url}/room", headers=headers)
        rooms: list[dict[str, Any]] = answer.json()["data"]
        return rooms


def measure(rooms: Sequence[dict[str, Any]], count: int) -> str:
    """One row of the table."""
    many = [{**room, "id": str(uuid.uuid4())} for room in itertools.islice(itertools.cycle(rooms), count)]
    content = json.dumps({"data": many}, separators=(",", ":")).encode()
    parsing, looking, deciding = [], [], []
    shard, view = ShardRooms(0, 3, 10.0), RoomsView()
    rules = (RoomRule("bot", every=True),)
    for _ in range(REPEATS):
        begun = time.process_time()
        listed = all_rooms().answer(200, content)
        parsed = time.process_time()
        view.listed([snapshot(Room.from_dict(room)) for room in listed])
        looked = time.process_time()
        shard.looked(view.rooms, 0.0)
        reconcile(WorkerView(view.rooms, rules, claimed=shard.left_to_others(0.0)), {})
        decided = time.process_time()
        for times, seconds in (
            (parsing, parsed - begun),
            (looking, looked - parsed),
            (deciding, decided - looked),
        ):
            times.append(seconds * 1000)
    size = len(content)
    row = [f"{count:,}", f"{size / 1e6:.2f} MB", f"{size / count:.0f}"]
    row += [f"{statistics.median(times):.1f} ms" for times in (parsing, looking, deciding)]
    return f"| {' | '.join(row)} |"


def notification() -> str:
    """Cost of a notification of voice activity: every process is told of every room."""
    message = n.ServerMessageVadNotification(str(uuid.uuid4()), str(uuid.uuid4()), str(uuid.uuid4()))
    content = bytes(n.ServerMessage(vad_notification=message))
    view, times = RoomsView(), []
    for _ in range(REPEATS):
        begun = time.process_time()
        for _ in range(NOTIFICATIONS):
            for event in decode_server_notifications(content):
                view.notified(event)
        times.append((time.process_time() - begun) / NOTIFICATIONS)
    return f"A notification costs a process {statistics.median(times) * 1e6:.0f} us."


async def main(counts: Sequence[int]) -> None:
    """Print the table."""
    rooms = await rooms_of_a_server(100)
    print("| rooms | answer | bytes a room | begun | read, in slices | decided |")
    print("|---|---|---|---|---|---|")
    for count in counts:
        print(measure(rooms, count), flush=True)
    print(f"\n{notification()}")


if __name__ == "__main__":
    asyncio.run(main([int(word) for word in sys.argv[1:]] or ROOMS))
