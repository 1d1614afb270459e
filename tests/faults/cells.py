"""The matrix: faults, sockets and phases of a call, and the cells that they make."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from fishjam_agents.testing import Cut, Fault, Garble, HalfOpen, Refuse, Reset, Slow, Stall

Socket: TypeAlias = Literal["agent", "notifier", "rest", "gemini", "realtime", "vapi", "stt", "llm", "tts"]
Phase: TypeAlias = Literal[
    "joining", "greeting", "user speaking", "thinking", "bot speaking", "tool", "barge-in", "leaving"
]

SOCKETS: tuple[Socket, ...] = get_args(Socket)
PHASES: tuple[Phase, ...] = get_args(Phase)
FISHJAM: tuple[Socket, ...] = ("agent", "notifier", "rest")
PARTS: tuple[Socket, ...] = ("stt", "llm", "tts")
"""Vendors that are asked over HTTP, a request for each turn."""

HELD = 0.8
"""Seconds that a fault lasts which is not over at once."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that happens to a socket: faults that begin together, and are taken back after a while.

    Attributes:
        name: Its name in ids and in the table.
        faults: The faults.
        seconds: Until it is taken back.
    """

    name: str
    faults: tuple[Fault, ...]
    seconds: float = HELD


TROUBLES = (
    Trouble("cut", (Cut(),)),
    Trouble("reset", (Reset(),)),
    Trouble("cut in mid-frame", (Cut(mid_frame="both"),)),
    Trouble("reset in mid-frame", (Reset(mid_frame="both"),)),
    Trouble("reset, then refused", (Reset(), Refuse("port"))),
    Trouble("cut, then closed at once", (Cut(), Refuse("close"))),
    Trouble("half-open", (HalfOpen(),), 4.0),
    Trouble("half-open in mid-frame", (HalfOpen(mid_frame=True),), 4.0),
    Trouble("reset, then never answered", (Reset(), HalfOpen()), 2.0),
    Trouble("slow", (Slow(rate=40_000, latency=0.15, jitter=0.1),), 1.5),
    Trouble("stalled", (Stall(HELD),)),
    Trouble("garbled payload", (Garble("payload"),)),
    Trouble("garbled header", (Garble("header"),)),
    Trouble("garbled length", (Garble("length"),)),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One call: a fault of one socket in one phase."""

    socket: Socket
    trouble: Trouble
    phase: Phase

    def __str__(self) -> str:
        return f"{self.socket}: {self.trouble.name} while {self.phase}"


def every_cell() -> Iterator[Cell]:
    for socket, trouble, phase in itertools.product(SOCKETS, TROUBLES, PHASES):
        yield Cell(socket, trouble, phase)


def core_of(socket: Socket) -> list[Cell]:
    """Cells of a socket that are run every time: each fault once, each phase at least once."""
    first = SOCKETS.index(socket)
    return [
        Cell(socket, trouble, PHASES[(first + number) % len(PHASES)])
        for number, trouble in enumerate(TROUBLES)
    ]
