"""Bytes that pass one way through a `FaultProxy`: held, delayed, swallowed, changed, or passed on at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from fishjam_agents.testing.faults import ActiveFault, Garble, Slow
from fishjam_agents.testing.websocket_frames import FrameFollower, PassingFrame

_MOST_HELD = 1 << 20
"""Bytes that are held of one direction before its source is read no further."""
_PIECE = 0.02
"""Seconds of a limited rate that are sent at once."""


@dataclass(slots=True)
class _Garbling:
    fault: Garble
    left: int | None
    flips: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class _AtMiddle:
    strike: Callable[[], None]
    position: int | None = None


class Direction:
    """Takes bytes from one socket and gives them to another.

    Args:
        random: Numbers from 0 to 1.
        request: Called when the path of the first request is known.

    Attributes:
        source: Where bytes come from.
        sink: Where they go.
        finished: Called when the end of the stream has been passed on.
        came: Bytes that came.
        swallowed: Bytes of them that were swallowed.
        garbled: Bytes of them that were changed.
        over: Whether the end of the stream has been passed on.
        stopped: Whether nothing passes any more.
    """

    def __init__(self, random: Callable[[], float], request: Callable[[], None] | None = None) -> None:
        self.source: asyncio.Transport | None = None
        self.sink: asyncio.Transport | None = None
        self.finished: Callable[[], None] = lambda: None
        self.came = self.swallowed = self.garbled = 0
        self.over = False
        self._random = random
        self._request = request
        self._follower = FrameFollower()
        self._loop = asyncio.get_running_loop()
        self._swallows: set[ActiveFault] = set()
        self._gaps: set[ActiveFault] = set()
        self._slows: dict[ActiveFault, Slow] = {}
        self._stalls: dict[ActiveFault, float] = {}
        self._garblings: dict[ActiveFault, _Garbling] = {}
        self._middles: dict[ActiveFault, _AtMiddle] = {}
        # Since when, how much of the jitter is added, and bytes, or what is to be done after those before it.
        self._held: deque[tuple[float, float, bytes | Callable[[], None]]] = deque()
        self._held_bytes = 0
        self._free_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._pushed_back = False
        self._ended = False
        self.stopped = False

    @property
    def path(self) -> str:
        """Target of the first HTTP request."""
        return self._follower.path

    @property
    def swallows(self) -> bool:
        """True while nothing gets through."""
        return bool(self._swallows)

    # --- bytes ---

    def feed(self, data: bytes) -> None:
        """Take bytes from the source."""
        if self.stopped:
            return
        begin = self.came
        self.came += len(data)
        frames = self._follower.feed(data)
        if self._request is not None and self._follower.path:
            tell, self._request = self._request, None
            tell()
            if self._is_stopped():
                return
        if self.sink is None or self._held or self._pushed_back or self._is_faulty():
            self._hold(data, begin, frames)
            self._pump()
        elif not self.sink.is_closing():
            self.sink.write(data)

    def finish(self) -> None:
        """Take the end of the stream."""
        if not self.stopped and not self._ended:
            self._ended = True
            self._held.append((self._loop.time(), self._random(), self._pass_end))
            self._pump()

    def stop(self) -> None:
        """Pass nothing any more."""
        self.stopped = True
        self._held.clear()
        if self._timer is not None:
            self._timer.cancel()

    def pause(self) -> None:
        """Wait: the sink takes no more for now."""
        self._pushed_back = True
        self._push_back()

    def resume(self) -> None:
        """Go on after `pause`."""
        self._pushed_back = False
        self._pump()

    # --- faults ---

    def swallow(self, active: ActiveFault, *, mid_frame: bool) -> None:
        """Let nothing through, from now on or from the middle of the next frame."""

        def begin() -> None:
            active.struck.set()
            self._swallows.add(active)

        if mid_frame:
            self.at_middle(active, begin)
        else:
            begin()
            self._pump()

    def slow(self, active: ActiveFault, fault: Slow) -> None:
        """Let bytes through late."""
        active.struck.set()
        self._slows[active] = fault

    def stall(self, active: ActiveFault, seconds: float) -> None:
        """Let nothing through for a while."""
        active.struck.set()
        self._stalls[active] = self._loop.time() + seconds

    def garble(self, active: ActiveFault, fault: Garble) -> None:
        """Change bytes of frames to come."""
        self._garblings[active] = _Garbling(fault, fault.frames)

    def at_middle(self, active: ActiveFault, strike: Callable[[], None]) -> None:
        """Do something when half of the next frame has passed."""
        self._middles[active] = _AtMiddle(strike)

    def withdraw(self, active: ActiveFault) -> bool:
        """Take a fault back.

        Returns:
            Whether bytes are missing because of it.
        """
        self._slows.pop(active, None)
        self._stalls.pop(active, None)
        self._garblings.pop(active, None)
        self._middles.pop(active, None)
        self._swallows.discard(active)
        if active in self._gaps:
            return True
        self._free_at = 0.0
        self._pump()
        return False

    # --- inside ---

    def _is_stopped(self) -> bool:
        return self.stopped

    def _is_faulty(self) -> bool:
        return bool(self._swallows or self._slows or self._stalls or self._garblings or self._middles)

    def _hold(self, data: bytes, begin: int, frames: list[PassingFrame]) -> None:
        now, chance = self._loop.time(), self._random()
        changed = self._garbled(data, begin, frames)
        at = 0
        for active, middle in list(self._middles.items()):
            if middle.position is None:
                middle.position = next((frame.middle for frame in frames if not frame.control), None)
            if middle.position is None or middle.position > begin + len(data):
                continue
            del self._middles[active]
            cut = max(at, middle.position - begin)
            self._held.append((now, chance, changed[at:cut]))
            self._held.append((now, chance, middle.strike))
            at = cut
        self._held.append((now, chance, changed[at:]))
        self._held_bytes += len(data)

    def _garbled(self, data: bytes, begin: int, frames: list[PassingFrame]) -> bytes:
        if not self._garblings:
            return data
        changed = bytearray(data)
        for active, garbling in list(self._garblings.items()):
            for frame in frames:
                if garbling.left != 0 and not frame.control and self._choose(garbling, frame, begin):
                    active.struck.set()
                    garbling.left = None if garbling.left is None else garbling.left - 1
            for position in [p for p in garbling.flips if p < begin + len(data)]:
                changed[position - begin] ^= garbling.flips.pop(position)
                self.garbled += 1
            if garbling.left == 0 and not garbling.flips:
                del self._garblings[active]
        return bytes(changed)

    def _choose(self, garbling: _Garbling, frame: PassingFrame, begin: int) -> bool:
        """Choose the bytes of a frame that are changed; False if they have passed already, or are none."""
        match garbling.fault.part:
            case "header" if frame.header:
                # The reserved bits; those that no extension gave a meaning fail a connection (RFC 6455, 5.2).
                flips = {frame.position: 0x70}
            case "length" if frame.header:
                flips = {frame.position + 1: 1 << int(self._random() * 7)}
            case _ if frame.payload:
                first = frame.position + frame.header
                flips = {
                    first + int(self._random() * frame.payload): 1 + int(self._random() * 255)
                    for _ in range(garbling.fault.flips)
                }
            case _:
                return False
        if min(flips) < begin:
            return False
        garbling.flips.update(flips)
        return True

    def _pump(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        # Until both sockets are there, what comes waits.
        while self._held and not self.stopped and self.sink is not None:
            since, chance, item = self._held[0]
            if self._swallows and (not callable(item) or item == self._pass_end):
                self._held.popleft()
                self._swallow(b"" if callable(item) else item)
                continue
            if self._pushed_back and not callable(item):
                break
            now = self._loop.time()
            due = self._due(since, chance)
            if due > now:
                self._timer = self._loop.call_at(due, self._pump)
                break
            self._held.popleft()
            if callable(item):
                item()
            else:
                self._pass(item, since, chance, now)
        self._push_back()

    def _due(self, since: float, chance: float) -> float:
        delay = sum(slow.latency + chance * slow.jitter for slow in self._slows.values())
        return max(since + delay, self._free_at if self._slows else 0.0, *self._stalls.values(), 0.0)

    def _pass(self, data: bytes, since: float, chance: float, now: float) -> None:
        rate = min((slow.rate for slow in self._slows.values() if slow.rate is not None), default=None)
        if rate is not None:
            size = max(1, int(rate * _PIECE))
            if len(data) > size:
                self._held.appendleft((since, chance, data[size:]))
                data = data[:size]
            self._free_at = max(self._free_at, now) + len(data) / rate
        self._held_bytes -= len(data)
        if self.sink is not None and not self.sink.is_closing():
            self.sink.write(data)

    def _swallow(self, data: bytes) -> None:
        """Swallow bytes, or with none the end of the stream."""
        self._gaps.update(self._swallows)
        self.swallowed += len(data)
        self._held_bytes -= len(data)

    def _pass_end(self) -> None:
        self.over = True
        if self.sink is not None and not self.sink.is_closing():
            self.sink.write_eof()
        self.finished()

    def _push_back(self) -> None:
        """Read no further while much is held, and read on when it is not."""
        if self.source is None or self.source.is_closing() or self.sink is None or self._ended:
            return
        if self._pushed_back or self._held_bytes > _MOST_HELD:
            if not self._swallows:
                self.source.pause_reading()
        else:
            self.source.resume_reading()
