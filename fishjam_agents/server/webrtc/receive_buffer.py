"""Receive buffer of one audio track: packets in order, without a clock, a codec or a socket.

Every packet of Opus is a whole frame, so what is in order is given at once, and nothing is ever stuck in the
buffer: a packet only waits while one before it is missing, and no longer than `HOLE_SECONDS`, or than this
network has shown to take.
"""

from __future__ import annotations

from dataclasses import dataclass

HOLE_SECONDS = 0.06
"""First wait of later packets for a missing one, in seconds. Our choice: three packets."""

MAX_HOLE_SECONDS = 0.4
"""Longest such wait, in seconds, where packets come after they were given up."""

_LESS_PATIENT = 0.999
"""Factor of the wait with each packet that comes: it halves in 14 s."""

MAX_LOST_SAMPLES = 9600
"""Longest hole that is filled, in samples at 48 kHz: 0.2 s. After a longer one time begins anew."""

_MAX_MISORDER = 1000
"""A sequence number further away than this is the beginning of another stream."""

_MAX_WAITING = 250
"""Packets that may wait: 5 s, more than any network holds back. Older ones are given up."""


@dataclass(frozen=True, slots=True)
class Received:
    """One packet, in order.

    Attributes:
        payload: What the packet carried.
        lost: Samples at 48 kHz that are missing right before it.
    """

    payload: bytes
    lost: int = 0


class ReceiveBuffer:
    """Packets of one track.

    Attributes:
        lost: Packets that never came, or too late.
        late: Packets that came after they had been given up.
    """

    def __init__(self) -> None:
        self.lost = 0
        self.late = 0
        self._next: int | None = None
        self._after = 0
        self._waiting: dict[int, tuple[int, bytes, float]] = {}
        self._patience = HOLE_SECONDS
        self._last_payload_samples = 960

    def put(self, sequence: int, timestamp: int, payload: bytes, now: float) -> None:
        """Take a packet that arrives at `now`: numbers of 16 and time stamps of 32 bits (RFC 3550)."""
        if not payload:
            return
        if self._next is not None:
            ahead = (sequence - self._next) & 0xFFFF
            if ahead >= 0x10000 - _MAX_MISORDER:
                self.late += 1
                self._patience = min(self._patience * 1.5, MAX_HOLE_SECONDS)
                return
            if ahead > _MAX_MISORDER:
                self._waiting.clear()
                self._next = None
        if self._next is None:
            self._next = sequence
            self._after = timestamp
        self._waiting.setdefault(sequence, (timestamp, payload, now))

    def take(self, now: float) -> list[Received]:
        """Everything that is in order at `now`, and what lies behind a hole that is given up."""
        given: list[Received] = []
        waiting = self._waiting
        hole = False
        while waiting and self._next is not None:
            found = waiting.pop(self._next, None)
            if found is None:
                oldest = min(arrived for _, _, arrived in waiting.values())
                if now - oldest < self._patience and len(waiting) < _MAX_WAITING:
                    break
                first = self._next
                following = min(waiting, key=lambda sequence: (sequence - first) & 0xFFFF)
                self.lost += (following - first) & 0xFFFF
                self._next = following
                hole = True
                continue
            timestamp, payload, _ = found
            lost = (timestamp - self._after) & 0xFFFFFFFF if hole else 0
            given.append(Received(payload, lost if lost <= MAX_LOST_SAMPLES else 0))
            hole = False
            self._after = (timestamp + self._last_payload_samples) & 0xFFFFFFFF
            self._next = (self._next + 1) & 0xFFFF
            self._patience = max(self._patience * _LESS_PATIENT, HOLE_SECONDS)
        return given

    @property
    def empty(self) -> bool:
        """True if no packet waits for a missing one."""
        return not self._waiting

    def decoded(self, samples: int) -> None:
        """The packets carry `samples` samples each, at 48 kHz: known once one is decoded."""
        self._last_payload_samples = samples
