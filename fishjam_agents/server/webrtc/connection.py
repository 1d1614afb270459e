"""The WebRTC connection of one browser. One of the two modules that know aiortc."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Protocol, cast

from aioice import Candidate
from aioice import Connection as IceConnection
from aioice.ice import get_host_addresses
from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCIceTransport,
    RTCPeerConnection,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.codecs import is_rtx
from aiortc.rtcconfiguration import RTCBundlePolicy
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.sdp import candidate_from_sdp

from .sdp import OfferError, check_transport, is_mdns, without_mdns
from .tracks import FrameSink, OutboundTrack, PacketSink, tap_audio, tap_video
from .video import CODECS

_log = logging.getLogger(__name__)

MAX_CANDIDATES = 128
"""Candidates taken from one browser: it has a few for each of its networks. Our choice."""

MAX_BUFFERED = 1024 * 1024
"""Bytes that may wait in one data channel; what is sent beyond that is dropped. Our choice."""


class ConnectionEvents(Protocol):
    """Callbacks by which a connection tells its owner."""

    def lost(self, state: str) -> None:
        """It has failed, or the browser ended it."""

    def channel_opened(self, label: str, channel: Channel) -> None:
        """The browser opened a data channel."""

    def channel_closed(self, label: str) -> None:
        """A data channel is closed."""

    def data_received(self, label: str, message: bytes) -> None:
        """A message came by a data channel."""


class Channel:
    """A data channel."""

    def __init__(self, channel: RTCDataChannel) -> None:
        self._channel = channel

    def send(self, message: bytes) -> None:
        """Send a message; dropped if too much waits for the browser, or the channel is closed."""
        channel = self._channel
        if channel.readyState == "open" and channel.bufferedAmount + len(message) <= MAX_BUFFERED:
            channel.send(message)


class Connection:
    """One `RTCPeerConnection` that answers offers.

    Args:
        addresses: Where this machine can be reached, as host candidates.
        events: Told what happens to it.
        video_codec: `h264` or `vp8`: the codec of all video that both sides know.
    """

    def __init__(self, addresses: Sequence[str], events: ConnectionEvents, video_codec: str = "h264") -> None:
        # No STUN: aiortc's default is a server of a third party.
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self._addresses = list(addresses)
        self._events = events
        self._video_codecs = sorted(CODECS, key=lambda codec: codec != video_codec)
        self._closed = False
        self._answering = asyncio.Lock()
        self._candidates = 0
        self._early: list[str] | None = []
        self._pc.on("connectionstatechange", self._changed)
        self._pc.on("datachannel", self._opened)

    @property
    def connected(self) -> bool:
        """True while media can flow."""
        return self._pc.connectionState == "connected"

    async def answer(
        self,
        offer: str,
        incoming: Mapping[str, PacketSink | FrameSink],
        outgoing: Mapping[str, OutboundTrack],
    ) -> str:
        """Answer an offer.

        Args:
            offer: The SDP.
            incoming: By mid, what takes the packets or frames of a track that is new.
            outgoing: By mid, everything that is sent.

        Raises:
            OfferError: It cannot be answered.
        """
        check_transport(offer)
        async with self._answering:
            if self._closed:
                raise OfferError("the connection is closed")
            try:
                await self._negotiate(offer, incoming, outgoing)
            except OfferError:
                raise
            except Exception as error:  # aiortc raises what its parser stumbles over
                why = f"{type(error).__name__}: {error}"
                raise OfferError(f"the offer cannot be answered ({why})") from error
        early, self._early = self._early, None
        for candidate in early or ():
            self._add(candidate)
        return str(self._pc.localDescription.sdp)

    def add_candidate(self, candidate: str) -> None:
        """Take a candidate of the browser's, which may come before its offer; what is none is left out.

        Names of mDNS are left out, too: looking one up takes seconds, and a browser that knows where this
        machine is makes itself known (a peer-reflexive candidate, RFC 8445, section 7.3.1.3).
        """
        if not candidate or is_mdns(candidate) or self._candidates >= MAX_CANDIDATES or self._closed:
            return
        self._candidates += 1
        if self._early is not None:
            self._early.append(candidate)
        else:
            self._add(candidate)

    async def close(self) -> None:
        """End it. Does nothing the second time."""
        self._closed = True
        # An answer that is being made would open sockets after they were closed.
        async with self._answering:
            await self._pc.close()
        # What aiortc was about to start when it was closed, it starts all the same, and never stops.
        for transceiver in self._pc.getTransceivers():
            await transceiver.stop()

    async def _negotiate(
        self,
        offer: str,
        incoming: Mapping[str, PacketSink | FrameSink],
        outgoing: Mapping[str, OutboundTrack],
    ) -> None:
        pc = self._pc
        await pc.setRemoteDescription(RTCSessionDescription(without_mdns(offer), "offer"))
        # Nothing may be awaited here: aiortc begins to receive in the next turn of the loop.
        for transceiver in pc.getTransceivers():
            self._direct(transceiver, incoming, outgoing)
        self._use_addresses()
        await pc.setLocalDescription(await pc.createAnswer())

    def _direct(
        self,
        transceiver: RTCRtpTransceiver,
        incoming: Mapping[str, PacketSink | FrameSink],
        outgoing: Mapping[str, OutboundTrack],
    ) -> None:
        """Decide on the direction and the codec of one section."""
        mid = transceiver.mid or ""
        track, sink = outgoing.get(mid), incoming.get(mid)
        wanted = ["opus"] if transceiver.kind == "audio" else self._video_codecs
        if track is not None:
            wanted = [track.codec]
        codecs = _codecs(transceiver._codecs, wanted)
        if not codecs:
            if sink is not None or transceiver.kind == "audio":
                raise OfferError(f"a section of the offer has none of the codecs {', '.join(wanted)}")
            transceiver.direction = "inactive"
            return
        transceiver._codecs = codecs
        if track is not None:
            transceiver.direction = "sendonly"
            if transceiver.sender.track is not track:
                track.attach(transceiver.sender)
        elif transceiver.direction == "sendonly":
            transceiver.direction = "inactive"
        if sink is not None:
            if transceiver.kind == "audio":
                tap_audio(transceiver.receiver, cast(PacketSink, sink))
            else:
                frames = cast(FrameSink, sink)
                frames.begin(codecs[0].name.lower())
                tap_video(transceiver.receiver, frames)

    def _add(self, candidate: str) -> None:
        ice = self._ice()
        try:
            parsed = candidate_from_sdp(candidate.removeprefix("candidate:"))
            # The one transport of the bundle, whichever section the candidate names. It is a coroutine for
            # the sake of mDNS alone: without a name to look up it ends at once.
            adding = ice.addRemoteCandidate(parsed)
            with contextlib.closing(adding), contextlib.suppress(StopIteration):
                adding.send(None)
        except (ValueError, IndexError, AssertionError) as error:
            _log.debug("a candidate of a browser is left out: %s", error)

    def _ice(self) -> RTCIceTransport:
        transceivers = self._pc.getTransceivers()
        sctp = self._pc.sctp
        if transceivers:
            return transceivers[0].receiver.transport.transport
        assert sctp is not None
        return sctp.transport.transport

    def _use_addresses(self) -> None:
        """Let the transport gather the addresses it was made with: aioice leaves the loopback out."""
        gather_at(self._ice(), self._addresses)

    def _changed(self) -> None:
        state = self._pc.connectionState
        if state in ("failed", "closed") and not self._closed:
            self._events.lost(state)

    def _opened(self, channel: RTCDataChannel) -> None:
        label = channel.label

        def received(message: str | bytes) -> None:
            if not self._closed:
                data = message.encode() if isinstance(message, str) else message
                self._events.data_received(label, data)

        channel.on("message", received)
        channel.on("close", lambda: self._events.channel_closed(label))
        if not self._closed:
            self._events.channel_opened(label, Channel(channel))


def _codecs(known: list[RTCRtpCodecParameters], wanted: Sequence[str]) -> list[RTCRtpCodecParameters]:
    """The first of the `wanted` codecs that both sides know, and its retransmissions; [] if there is none."""
    for name in wanted:
        for codec in known:
            if codec.name.lower() == name:
                again = [c for c in known if is_rtx(c) and c.parameters.get("apt") == codec.payloadType]
                return [codec, *again]
    return []


def gather_at(transport: RTCIceTransport, addresses: list[str]) -> None:
    """Let a transport that has gathered nothing so far gather these addresses."""
    connection = transport.iceGatherer._connection
    if not connection.local_candidates:
        gather = partial(_gather, IceConnection.get_component_candidates, connection, addresses)
        setattr(connection, "get_component_candidates", gather)  # noqa: B010 - mypy knows it as a method


async def _gather(
    gather: Callable[..., Awaitable[list[Candidate]]],
    connection: IceConnection,
    ours: list[str],
    component: int,
    addresses: list[str],
    timeout: int = 5,
) -> list[Candidate]:
    return await gather(connection, component, ours, timeout)


def interface_addresses() -> list[str]:
    """Addresses of this machine's networks."""
    return get_host_addresses(use_ipv4=True, use_ipv6=True)
