"""The WebRTC connection of one browser. One of the two modules that know aiortc.

aiortc decodes every track in a thread of its own and hands the frames over one task each; its buffer holds
80 ms back, and loses 320 ms after one lost packet. So each receiver's buffer is replaced by one that hands
the packets on as they arrive. `tests/server/webrtc` checks that what is replaced is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from aioice import Candidate
from aioice import Connection as IceConnection
from aioice.ice import get_host_addresses
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCIceTransport,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.rtcconfiguration import RTCBundlePolicy
from aiortc.rtp import RtpPacket
from aiortc.sdp import candidate_from_sdp

from .outbound import OutboundTrack
from .sdp import OfferError, is_mdns, without_mdns

_log = logging.getLogger(__name__)

BUFFER = "_RTCRtpReceiver__jitter_buffer"
"""Name of the attribute that holds a receiver's buffer."""

MAX_CANDIDATES = 128
"""Candidates taken from one browser: it has a few for each of its networks. Our choice."""


class PacketSink(Protocol):
    """Taker of a track's packets."""

    def put(self, sequence: int, timestamp: int, payload: bytes) -> None:
        """Take a packet as it arrives."""
        ...


class _Tap:
    """In the place of aiortc's `JitterBuffer`: hands packets on, and gives nothing to decode."""

    def __init__(self, sink: PacketSink) -> None:
        self._sink = sink

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        self._sink.put(packet.sequence_number, packet.timestamp, packet.payload)
        return False, None


class Connection:
    """One `RTCPeerConnection` that answers offers.

    Args:
        addresses: Where this machine can be reached, as host candidates.
        lost: Called with the reason once the connection has failed or the browser ended it.
    """

    def __init__(self, addresses: Sequence[str], lost: Callable[[str], None]) -> None:
        # No STUN: aiortc's default is a server of a third party.
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self._addresses = list(addresses)
        self._lost = lost
        self._closed = False
        self._candidates = 0
        self._early: list[str] | None = []
        self._sinks: dict[str, PacketSink] = {}
        self._pc.on("track", self._track)
        self._pc.on("connectionstatechange", self._changed)

    @property
    def connected(self) -> bool:
        """True while media can flow."""
        return self._pc.connectionState == "connected"

    async def answer(
        self, offer: str, incoming: Mapping[str, PacketSink], outgoing: Mapping[str, OutboundTrack]
    ) -> str:
        """Answer an offer.

        Args:
            offer: The SDP.
            incoming: By mid, what takes the packets of a track that is new.
            outgoing: By mid, everything that is sent.

        Raises:
            OfferError: aiortc cannot answer it.
        """
        pc = self._pc
        self._sinks.update(incoming)
        try:
            await pc.setRemoteDescription(RTCSessionDescription(without_mdns(offer), "offer"))
            for transceiver in pc.getTransceivers():
                track = outgoing.get(transceiver.mid or "")
                if track is not None:
                    transceiver.direction = "sendonly"
                    if transceiver.sender.track is not track:
                        transceiver.sender.replaceTrack(track)
                        # A stream for each track: a browser plays all that is in a stream.
                        transceiver.sender._stream_id = track.id
                elif transceiver.direction == "sendonly":
                    transceiver.direction = "inactive"
            self._use_addresses()
            await pc.setLocalDescription(await pc.createAnswer())
        except Exception as error:  # aiortc raises what its parser stumbles over
            if isinstance(error, asyncio.CancelledError) or self._closed:
                raise
            raise OfferError(f"the offer cannot be answered ({type(error).__name__}: {error})") from error
        early, self._early = self._early, None
        for candidate in early or ():
            self._add(candidate)
        return str(pc.localDescription.sdp)

    def add_candidate(self, candidate: str) -> None:
        """Take a candidate of the browser's, which may come before its offer; what is none is left out.

        Names of mDNS are left out, too: looking one up takes seconds, and a browser that knows where this
        machine is makes itself known (a peer-reflexive candidate, RFC 8445, section 7.3.1.3).
        """
        if not candidate or is_mdns(candidate) or self._candidates >= MAX_CANDIDATES:
            return
        self._candidates += 1
        if self._early is not None:
            self._early.append(candidate)
        else:
            self._add(candidate)

    async def close(self) -> None:
        """End it. Does nothing the second time."""
        self._closed = True
        await self._pc.close()

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
        connection = self._ice().iceGatherer._connection
        if not connection.local_candidates:
            gather = partial(_gather, IceConnection.get_component_candidates, connection, self._addresses)
            setattr(connection, "get_component_candidates", gather)  # noqa: B010 - mypy knows it as a method

    def _track(self, track: MediaStreamTrack) -> None:
        for transceiver in self._pc.getTransceivers():
            if transceiver.receiver.track is track:
                sink = self._sinks.pop(transceiver.mid or "", None)
                if sink is not None:
                    replace_buffer(transceiver.receiver, sink)
                return

    def _changed(self) -> None:
        state = self._pc.connectionState
        if state in ("failed", "closed") and not self._closed:
            self._lost(state)


def replace_buffer(receiver: RTCRtpReceiver, sink: PacketSink) -> None:
    """Let `sink` take the packets of a receiver as they arrive."""
    setattr(receiver, BUFFER, _Tap(sink))


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
