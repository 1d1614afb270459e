"""The sound of a livestream, from its streamer (WHIP, RFC 9725) to its viewers (WHEP).

Each side is one offer and one answer; nothing is negotiated anew. Only sound is taken: what else is offered
is answered as inactive.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..livestream import Livestream
from ..tokens import LivestreamRole
from .connection import Channel, Connection
from .microphone import BrowserMicrophone
from .sdp import OfferError, Section, read_offer
from .tracks import OutboundTrack

if TYPE_CHECKING:
    from .media import Media

ANSWER_SECONDS = 10.0
"""Longest time an answer may take: it asks nobody but this machine."""

CONNECT_SECONDS = 30.0
"""Seconds a client may take to connect after its answer, after which its place is free again. Our choice."""

_OVER = "the livestream ended before it was answered"
_DIRECTION = re.compile(r"(?m)^a=(?:sendrecv|sendonly|recvonly)[ \t]*(?=\r?$)")
_CANDIDATE = re.compile(r"(?m)^a=(candidate:[^\r\n]+)")
_FRAGMENT_OF_ICE = re.compile(r"(?m)^a=ice-ufrag:(\S+)")


class Broadcast:
    """One livestream: at most one streamer, any number of viewers.

    Args:
        media: What all connections of a server share.
    """

    def __init__(self, media: Media) -> None:
        self.media = media
        self._source: BrowserMicrophone | None = None
        self._viewers: list[OutboundTrack] = []
        self._unsubscribe: Callable[[], None] = lambda: None

    def send(self, source: BrowserMicrophone) -> None:
        """Send a source to every viewer, those to come included."""
        self._source = source
        self._unsubscribe = self.media.clock.subscribe(self._tick)

    def stop(self) -> None:
        """Send nothing more."""
        self._source = None
        self._unsubscribe()

    def watch(self, track: OutboundTrack) -> None:
        """Add a viewer."""
        self._viewers.append(track)

    def leave(self, track: OutboundTrack) -> None:
        """Remove a viewer. Does nothing the second time."""
        if track in self._viewers:
            self._viewers.remove(track)

    def _tick(self, ticks: int) -> None:
        source = self._source
        if source is None:
            return
        sounded = source.advance(ticks)
        for packet in self.media.voices.packets(source, sounded, ticks):
            for viewer in self._viewers:
                viewer.push(packet.payload, packet.position)


class BroadcastSession:
    """Part of `livestream.LiveSession` and of `connection.ConnectionEvents`: one streamer or viewer.

    Args:
        livestream: Who may, and does, take part.
        broadcast: Its sound.
        holder_id: Whose it is.
        role: Streamer or viewer.
        over: Called when it has ended.
    """

    def __init__(
        self,
        livestream: Livestream,
        broadcast: Broadcast,
        holder_id: str,
        role: LivestreamRole,
        over: Callable[[], object],
    ) -> None:
        self.holder_id = holder_id
        self.role: LivestreamRole = role
        self._livestream = livestream
        self._over = over
        self._broadcast = broadcast
        self._media = broadcast.media
        self._connection = Connection(self._media.addresses(), self)
        self._ice = ""
        self._outbound: OutboundTrack | None = None
        self._sends = False
        self._deadline: asyncio.TimerHandle | None = None
        self.ended = False

    async def answer(self, offer: str) -> str:
        """The SDP that answers the client's offer.

        Raises:
            OfferError: It cannot be answered; the session is over then.
            RequestError: As of `Livestream.begin`.
        """
        self._livestream.begin(self)
        try:
            answer = await self._answer(offer)
        except BaseException as error:
            ended = self.ended
            self.end()
            if ended and isinstance(error, Exception):
                raise OfferError(_OVER) from error
            raise
        if not self.ended:
            self._livestream.connected(self)
            loop = asyncio.get_running_loop()
            self._deadline = loop.call_later(CONNECT_SECONDS, self._give_up)
        return answer

    def trickle(self, fragment: str) -> bool:
        """Take candidates (RFC 8840); False if the client asks for a restart of ICE, which there is not."""
        ice = _FRAGMENT_OF_ICE.search(fragment)
        if ice is not None and ice[1] != self._ice:
            return False
        for candidate in _CANDIDATE.findall(fragment):
            self._connection.add_candidate(candidate)
        return True

    def end(self) -> None:
        """Part of `livestream.LiveSession`."""
        if self.ended:
            return
        self.ended = True
        if self._deadline is not None:
            self._deadline.cancel()
        if self._outbound is not None:
            self._broadcast.leave(self._outbound)
        if self._sends:
            self._broadcast.stop()
        self._livestream.ended(self)
        self._over()
        self._media.tasks.spawn(self._connection.close(), f"the end of the {self.role} {self.holder_id}")

    def lost(self, state: str) -> None:
        """Part of `connection.ConnectionEvents`."""
        self.end()

    def channel_opened(self, label: str, channel: Channel) -> None:
        """Part of `connection.ConnectionEvents`: nobody is at the other end of a data channel."""

    def channel_closed(self, label: str) -> None:
        """Part of `connection.ConnectionEvents`."""

    def data_received(self, label: str, message: bytes) -> None:
        """Part of `connection.ConnectionEvents`."""

    async def _answer(self, offer: str) -> str:
        sections = read_offer(offer)
        section = _audio(sections, self.role)
        incoming, outgoing = {}, {}
        source = track = None
        if self.role == "streamer":
            clock = self._media.clock
            source = BrowserMicrophone(str(uuid.uuid4()), "null", lambda speaking: None, lambda: clock.now)
            incoming[section.mid] = source
        else:
            track = outgoing[section.mid] = OutboundTrack()
        found = _FRAGMENT_OF_ICE.search(offer)
        self._ice = "" if found is None else found[1]
        async with asyncio.timeout(ANSWER_SECONDS):
            answer = await self._connection.answer(only(offer, section.mid), incoming, outgoing)
        if self.ended:
            raise OfferError(_OVER)
        if source is not None:
            self._sends = True
            self._broadcast.send(source)
        if track is not None:
            self._outbound = track
            self._broadcast.watch(track)
        return answer

    def _give_up(self) -> None:
        if not self._connection.connected:
            self.end()


def only(offer: str, mid: str) -> str:
    """An offer of which one media section is left; the others are inactive."""
    head, *sections = re.split(r"(?m)^(?=m=)", offer)
    mids = [section.mid for section in read_offer(offer)]
    return head + "".join(
        text if name == mid else _DIRECTION.sub("a=inactive", text)
        for name, text in zip(mids, sections, strict=True)
    )


def _audio(sections: tuple[Section, ...], role: LivestreamRole) -> Section:
    for section in sections:
        wanted = section.sends if role == "streamer" else section.receives
        if section.kind == "audio" and wanted and "opus" in section.codecs:
            return section
    direction = "sends" if role == "streamer" else "takes"
    raise OfferError(f"the offer has no audio section that {direction} Opus: offer one")
