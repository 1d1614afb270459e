"""The journal of a bot with one room: where to come back to, and the conversation that goes on there."""

from __future__ import annotations

from collections.abc import Iterable

from fishjam_agents.fishjam import LiveRoom
from fishjam_agents.journal.journal import CallJournal, Journals
from fishjam_agents.journal.store import CallPlace
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.session import PeerType
from fishjam_agents.worker.call_outcome import CallOutcome


class OneRoomJournal:
    """The journal of one run.

    Args:
        journals: The journals of the process.
        bot: The kind of bot.
    """

    def __init__(self, journals: Journals, bot: str = "agent") -> None:
        self._journals = journals
        self._bot = bot
        self._journal: CallJournal | None = None

    async def left_behind(self, url: str, rooms: Iterable[str]) -> str | None:
        """Return the room whose conversation a lost run of this bot has left open; None where there is none.

        Args:
            url: Base URL of the server.
            rooms: Rooms that earlier runs made, and in which people still are.
        """
        for room_id in rooms:
            if await self._journals.is_open(CallPlace(url, room_id, self._bot)):
                return room_id
        return None

    async def open(self, pipeline: AgentPipeline, url: str, room: LiveRoom) -> None:
        """Give a bot the journal of its call, before it joins."""
        people = {peer.id for peer in room.peers.values() if peer.connected and peer.type is PeerType.WEBRTC}
        self._journal = await self._journals.open(CallPlace(url, room.id, self._bot), people)
        pipeline.journal = self._journal

    def end(self, outcome: CallOutcome, *, made_room: bool) -> None:
        """Note the end of a call; one that the program broke off in a room that stays is left open.

        Args:
            outcome: Why it ended.
            made_room: Whether the room goes with it.
        """
        if self._journal is not None and (made_room or outcome is not CallOutcome.STOPPED):
            self._journal.end(outcome.value)
