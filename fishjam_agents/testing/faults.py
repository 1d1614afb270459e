"""Faults of a network, as `FaultProxy` makes them. All are data; times are seconds, sizes bytes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Literal, TypeAlias, assert_never

Way: TypeAlias = Literal["up", "down", "both"]
"""Direction of bytes: `up` from the client to the target, `down` from the target to the client."""

Side: TypeAlias = Literal["client", "target", "both"]
"""Ends of a connection through the proxy."""

Scope: TypeAlias = Literal["live", "next", "all"]
"""Connections that are open now, those that come later, or both."""


@dataclass(frozen=True, slots=True)
class Cut:
    """An end of the connection as of a program that exits: FIN, and RST for whatever is sent to it then.

    Attributes:
        side: Who is told. The side that is not told keeps a connection on which nothing passes any more.
        mid_frame: Wait for the next frame that passes this way, and cut when half of it has passed. A frame
            is a message or fragment of a WebSocket; of what is none (HTTP, TLS) it is the bytes of one read.
    """

    side: Side = "both"
    mid_frame: Way | None = None


@dataclass(frozen=True, slots=True)
class Reset:
    """An end of the connection as of a machine that forgot it: RST.

    Attributes:
        side: Who is told. The side that is not told keeps a connection on which nothing passes any more.
        mid_frame: As of `Cut`.
    """

    side: Side = "both"
    mid_frame: Way | None = None


@dataclass(frozen=True, slots=True)
class Refuse:
    """Nobody is there for connections to come; open ones go on.

    Attributes:
        how: `port`: nobody listens. `reset` or `close`: the connection is made, and ended by RST or FIN at
            once; where only a path is refused, after its request has come.
    """

    how: Literal["port", "reset", "close"] = "port"


@dataclass(frozen=True, slots=True)
class HalfOpen:
    """Everything is swallowed, goodbyes included, and the connection stays open.

    When it is cleared, connections that lost bytes are reset: no TCP goes on behind a gap.

    Attributes:
        way: Direction in which bytes are swallowed.
        mid_frame: Begin when half of the next frame has passed.
    """

    way: Way = "both"
    mid_frame: bool = False


@dataclass(frozen=True, slots=True)
class Slow:
    """A thin or a long line.

    Attributes:
        rate: Bytes per second in each direction; None is no limit.
        latency: Added to every byte.
        jitter: What may come on top of `latency`, by chance; bytes never overtake.
        way: Direction that is slow.
    """

    rate: float | None = None
    latency: float = 0.0
    jitter: float = 0.0
    way: Way = "both"

    def __post_init__(self) -> None:
        if self.rate is not None and not self.rate > 0:
            raise ValueError(f"rate {self.rate} passes nothing: use HalfOpen or Stall")
        if min(self.latency, self.jitter) < 0:
            raise ValueError("latency and jitter are seconds from 0")


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing passes for a while, then everything at once.

    Attributes:
        seconds: How long, from the injection, or from when a later connection is made.
        way: Direction that stalls.
    """

    seconds: float
    way: Way = "both"


@dataclass(frozen=True, slots=True)
class Garble:
    """Bytes that arrive changed, as no TCP delivers them and broken programs do.

    Attributes:
        part: `payload`: some bytes of a message. `header`: opcode and reserved bits of a frame. `length`: the
            length of a frame, so that what follows is read at the wrong place.
        frames: How many frames of each connection are garbled; None is all until it is cleared. Control
            frames of a WebSocket are left alone.
        flips: Bytes that are changed in each payload.
        way: Direction that is garbled.
    """

    part: Literal["payload", "header", "length"] = "payload"
    frames: int | None = 1
    flips: int = 4
    way: Way = "both"


Fault: TypeAlias = Cut | Reset | Refuse | HalfOpen | Slow | Stall | Garble


def usual_scope(fault: Fault) -> Scope:
    """Return the connections that a fault is for where nothing else is said."""
    match fault:
        case Cut() | Reset():
            return "live"
        case Refuse():
            return "next"
        case HalfOpen() | Slow() | Stall() | Garble():
            return "all"
        case _:
            assert_never(fault)


class ActiveFault:
    """A fault in force.

    Attributes:
        fault: The fault.
        struck: Set once it has happened to a connection: for one in mid-frame or a garbled frame, when that
            frame came.
    """

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.struck = asyncio.Event()
