"""One connection through a `FaultProxy`: two ends, and two directions in which bytes pass, or do not."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import assert_never, cast

from fishjam_agents.testing.faults import (
    ActiveFault,
    Cut,
    Garble,
    HalfOpen,
    Refuse,
    Reset,
    Side,
    Slow,
    Stall,
    Way,
)
from fishjam_agents.testing.proxied_direction import Direction

_GONE_AFTER = 5.0
"""Seconds after its FIN that a cut side has to close by itself."""
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of 0 s: closing sends RST (tcp(7), socket(7))."""


class End(asyncio.Protocol):
    """The socket to the client or to the target."""

    transport: asyncio.Transport

    def __init__(
        self, out: Direction, incoming: Direction, lost: Callable[[End, Exception | None], None]
    ) -> None:
        self._out = out
        self._incoming = incoming
        self._lost = lost
        self.open = False
        self._cut = False
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        # That of uvloop is none by its class.
        self.transport = transport = cast(asyncio.Transport, transport)
        self.open = True
        # Nothing is read before there is somebody to pass it on to.
        transport.pause_reading()
        self._out.source = transport
        self._incoming.sink = transport

    def data_received(self, data: bytes) -> None:
        """Pass bytes on."""
        if self._cut:
            self.transport.abort()
        else:
            self._out.feed(data)

    def eof_received(self) -> bool:
        """Pass the end of the stream on; the other direction stays open."""
        if self._cut:
            return False
        self._out.finish()
        return True

    def pause_writing(self) -> None:
        """Push back: this socket takes no more for now."""
        self._incoming.pause()

    def resume_writing(self) -> None:
        """Go on after `pause_writing`."""
        self._incoming.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the connection."""
        self.open = False
        if self._patience is not None:
            self._patience.cancel()
        self._lost(self, exc)

    def reset(self) -> None:
        """End it by RST."""
        if self.open:
            with_linger = self.transport.get_extra_info("socket")
            with_linger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.transport.abort()

    def cut(self) -> None:
        """End it by FIN; what comes then finds nobody."""
        if self.open and not self.transport.is_closing():
            self._cut = True
            # Reset by its peer a moment ago, it is no longer connected, and not yet told of it.
            with suppress(OSError):
                self.transport.write_eof()
            self.transport.resume_reading()
            self._patience = asyncio.get_running_loop().call_later(_GONE_AFTER, self.transport.abort)


class ProxiedConnection:
    """A connection through the proxy.

    Attributes:
        severed: Whether an end was closed on purpose: nothing passes any more.
        closed: Set once both sockets are closed.
    """

    def __init__(self, path_known: Callable[[ProxiedConnection], None], random: Callable[[], float]) -> None:
        self.closed = asyncio.Event()
        self._path_known = path_known
        self.severed = False
        self._up = Direction(random, self._request)
        self._down = Direction(random)
        self.client = End(self._up, self._down, self._lost)
        self.target = End(self._down, self._up, self._lost)
        self._up.finished = self._down.finished = self._finished

    @property
    def path(self) -> str:
        """Target of its first HTTP request, with the query; empty until it is known, and of TLS."""
        return self._up.path

    @property
    def bytes_up(self) -> int:
        """Bytes that came from the client."""
        return self._up.came

    @property
    def bytes_down(self) -> int:
        """Bytes that came from the target."""
        return self._down.came

    @property
    def bytes_swallowed(self) -> int:
        """Bytes that were lost on purpose."""
        return self._up.swallowed + self._down.swallowed

    @property
    def bytes_garbled(self) -> int:
        """Bytes that were changed on purpose."""
        return self._up.garbled + self._down.garbled

    def begin(self) -> None:
        """Pass bytes, now that both sockets are there."""
        if self.client.open:
            for way in (self._up, self._down):
                way.resume()
        else:
            self.closed.clear()
            self.target.transport.abort()

    def apply(self, active: ActiveFault) -> None:
        """Let a fault happen to this connection."""
        fault = active.fault
        match fault:
            case Cut() | Reset():
                strike = self._strike(active, self.cut if isinstance(fault, Cut) else self.reset, fault.side)
                if fault.mid_frame is None:
                    strike()
                else:
                    for way in self._ways(fault.mid_frame):
                        way.at_middle(active, strike)
            case Refuse():
                self._strike(active, self.reset if fault.how == "reset" else self.cut, "both")()
            case HalfOpen():
                for way in self._ways(fault.way):
                    way.swallow(active, mid_frame=fault.mid_frame)
            case Slow():
                for way in self._ways(fault.way):
                    way.slow(active, fault)
            case Stall():
                for way in self._ways(fault.way):
                    way.stall(active, fault.seconds)
            case Garble():
                for way in self._ways(fault.way):
                    way.garble(active, fault)
            case _:
                assert_never(fault)

    def withdraw(self, active: ActiveFault) -> None:
        """Take a fault back; a connection that lost bytes by it is reset."""
        gaps = [way.withdraw(active) for way in (self._up, self._down)]
        if any(gaps):
            self.reset("both")

    def cut(self, side: Side) -> None:
        """End it by FIN."""
        self._end(side, End.cut)

    def reset(self, side: Side) -> None:
        """End it by RST."""
        self._end(side, End.reset)

    def abort(self) -> None:
        """Close both sockets, whatever is under way."""
        self.severed = True
        for way in (self._up, self._down):
            way.stop()
        for end in (self.client, self.target):
            if end.open:
                end.transport.abort()
        self._look_at_ends()

    def _ways(self, way: Way) -> list[Direction]:
        both = {"up": [self._up], "down": [self._down], "both": [self._up, self._down]}
        return both[way]

    def _strike(self, active: ActiveFault, end: Callable[[Side], None], side: Side) -> Callable[[], None]:
        def strike() -> None:
            active.struck.set()
            end(side)

        return strike

    def _end(self, side: Side, how: Callable[[End], None]) -> None:
        self.severed = True
        for way in (self._up, self._down):
            way.stop()
        told: dict[Side, list[End]] = {
            "client": [self.client],
            "target": [self.target],
            "both": [self.client, self.target],
        }
        for end in told[side]:
            how(end)

    def _request(self) -> None:
        self._path_known(self)

    def _finished(self) -> None:
        if self._up.over and self._down.over:
            for end in (self.client, self.target):
                if end.open:
                    end.transport.close()

    def _lost(self, end: End, error: Exception | None) -> None:
        way: Direction = self._up if end is self.client else self._down
        other = self.target if end is self.client else self.client
        if not self.severed and not way.swallows and other.open:
            if error is None:
                way.finish()
            else:
                other.reset()
        self._look_at_ends()

    def _look_at_ends(self) -> None:
        if not self.client.open and not self.target.open:
            for way in (self._up, self._down):
                way.stop()
            self.closed.set()
