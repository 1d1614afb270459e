"""Tracks that a browser is sent, of packets that are encoded already.

One of the two modules that know aiortc.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, TypeAlias

from aiortc import MediaStreamTrack
from av.packet import Packet

from .opus import TIME_BASE

_Packet: TypeAlias = "Packet[Any]"

MAX_WAITING = 3
"""Packets that may wait for the network, which takes them at once when it is connected."""


class OutboundTrack(MediaStreamTrack):
    """Audio of one publisher on its way to one browser; packets are sent as soon as they are pushed."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._packets: deque[_Packet] = deque(maxlen=MAX_WAITING)
        self._wanted: asyncio.Future[_Packet] | None = None

    def push(self, payload: bytes, position: int) -> None:
        """Send a packet whose first sample has the room time `position`, in ticks of 48 kHz."""
        packet = Packet(payload)
        packet.pts = position
        packet.time_base = TIME_BASE
        wanted, self._wanted = self._wanted, None
        if wanted is not None and not wanted.done():
            wanted.set_result(packet)
        else:
            self._packets.append(packet)

    async def recv(self) -> _Packet:
        """Part of `MediaStreamTrack`: called by the sender for each packet."""
        if self._packets:
            return self._packets.popleft()
        self._wanted = asyncio.get_running_loop().create_future()
        return await self._wanted
