"""Tracks in both directions, encoded: what stands in the place of aiortc's encoders, buffers and decoders.

One of the two modules that know aiortc, which decodes every track in a thread of its own and hands the frames
over one task each; its buffer holds 80 ms back, and loses 320 ms after one lost packet. So each receiver's
buffer is replaced by one that hands packets on as they arrive, and senders are given what is encoded already.
`tests/server/webrtc/test_aiortc.py` checks that what is replaced is there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Protocol, TypeAlias

from aiortc import MediaStreamTrack, RTCRtpReceiver, RTCRtpSender
from aiortc.jitterbuffer import JitterBuffer
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import RtpPacket
from av.packet import Packet

from .opus import TIME_BASE
from .sdp import Kind

BUFFER = "_RTCRtpReceiver__jitter_buffer"
"""Name of the attribute that holds a receiver's buffer."""

KEYFRAME = "_send_keyframe"
"""Name of a sender's method that is called when the browser has lost the picture."""

MAX_WAITING = {"audio": 3, "video": 60}
"""Packets that may wait for the network, which takes them at once when it is connected. Little sound; of
pictures more, since the rest is worth nothing without them."""

VIDEO_PACKETS = 512
"""Packets of video that are kept to put them in order: aiortc's own number."""

_VIDEO_TIME_BASE = Fraction(1, 90000)

_Packet: TypeAlias = "Packet[Any]"


class PacketSink(Protocol):
    """Taker of an audio track's packets."""

    def put(self, sequence: int, timestamp: int, payload: bytes) -> None:
        """Take a packet as it arrives."""
        ...


class FrameSink(Protocol):
    """Taker of a video track's frames."""

    def begin(self, codec: str) -> None:
        """The codec is agreed on: `vp8` or `h264`."""
        ...

    def put_frame(self, timestamp: int, frame: bytes) -> None:
        """Take an encoded frame."""
        ...

    def asks_for_keyframe(self) -> bool:
        """Return whether the browser is to be asked for a frame that needs no other. Asked at each packet."""
        ...


class OutboundTrack(MediaStreamTrack):
    """A track on its way to one browser; what is pushed is sent at once.

    Args:
        kind: `audio` or `video`.
        codec: `opus`, `vp8` or `h264`.
        lost: Called when the browser needs a frame that needs no other.

    Attributes:
        codec: `opus`, `vp8` or `h264`.
    """

    def __init__(
        self, kind: Kind = "audio", codec: str = "opus", lost: Callable[[], None] | None = None
    ) -> None:
        super().__init__()
        self.kind = kind
        self.codec = codec
        self._lost = lost
        self._time_base = TIME_BASE if kind == "audio" else _VIDEO_TIME_BASE
        self._packets: deque[_Packet] = deque(maxlen=MAX_WAITING[kind])
        self._wanted: asyncio.Future[_Packet] | None = None

    def push(self, payload: bytes, position: int) -> None:
        """Send a packet of sound, or a frame, whose time stamp is `position`, in ticks of the RTP clock."""
        packet = Packet(payload)
        packet.pts = position
        packet.time_base = self._time_base
        wanted, self._wanted = self._wanted, None
        if wanted is not None and not wanted.done():
            wanted.set_result(packet)
        else:
            self._packets.append(packet)

    def stop(self) -> None:
        """Send nothing more: the sender ends."""
        super().stop()
        wanted, self._wanted = self._wanted, None
        if wanted is not None and not wanted.done():
            wanted.set_exception(MediaStreamError())

    async def recv(self) -> _Packet:
        """Part of `MediaStreamTrack`: called by the sender for each packet.

        Raises:
            MediaStreamError: The track was stopped.
        """
        if self.readyState != "live":
            raise MediaStreamError
        if self._packets:
            return self._packets.popleft()
        self._wanted = asyncio.get_running_loop().create_future()
        return await self._wanted

    def attach(self, sender: RTCRtpSender) -> None:
        """Let `sender` send it, in a stream of its own: a browser plays all that is in a stream."""
        sender.replaceTrack(self)
        sender._stream_id = self.id
        if self._lost is not None:
            setattr(sender, KEYFRAME, self._lost)
            self._lost()


def tap_audio(receiver: RTCRtpReceiver, sink: PacketSink) -> None:
    """Let `sink` take the packets of a receiver as they arrive."""
    setattr(receiver, BUFFER, _AudioTap(sink))


def tap_video(receiver: RTCRtpReceiver, sink: FrameSink) -> None:
    """Let `sink` take the frames of a receiver as they are complete."""
    setattr(receiver, BUFFER, _VideoTap(sink))


class _AudioTap:
    """In the place of aiortc's `JitterBuffer`: hands packets on, and gives nothing to decode."""

    def __init__(self, sink: PacketSink) -> None:
        self._sink = sink

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        self._sink.put(packet.sequence_number, packet.timestamp, packet.payload)
        return False, None


class _VideoTap:
    """Likewise, with aiortc's own buffer to make frames of packets."""

    def __init__(self, sink: FrameSink) -> None:
        self._sink = sink
        self._frames = JitterBuffer(capacity=VIDEO_PACKETS, is_video=True)

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        broken, frame = self._frames.add(packet)
        if frame is not None:
            self._sink.put_frame(frame.timestamp, frame.data)
        return broken or self._sink.asks_for_keyframe(), None
