"""Crosstalk: a voice in several microphones of a room is one turn, of the microphone that hears it best."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from fishjam_agents.audio.formats import FRAME_SECONDS
from fishjam_agents.audio.samples import Samples
from fishjam_agents.hearing.microphone import Deliver, Microphone
from fishjam_agents.turns.crosstalk import LAG, Comparison, coarse
from fishjam_agents.turns.machine import (
    CANCELLED,
    Confirmed,
    SpeechEnded,
    SpeechStarted,
    Suspected,
    TurnEnded,
    TurnEvent,
    TurnStarted,
    Withdrawn,
)

_PIECE = 1.0
"""Seconds that are compared at a time, once what is late at the others is there, too."""
_LEAST = 0.2
"""Seconds of a last piece that is worth comparing by itself."""
_KEPT = 2.5
"""Seconds of every microphone that are kept; the end of a turn is known up to 0.74 s after it, by default."""


class _Heard:
    """Latest audio of one microphone, and the turn that is open there."""

    def __init__(self) -> None:
        self.frames: deque[tuple[float, Samples]] = deque(maxlen=round(_KEPT / FRAME_SECONDS))
        self.comparison: Comparison | None = None
        self.compared = 0.0
        self.ended = float("-inf")

    def between(self, start: float, end: float) -> list[Samples]:
        """Frames that end in this time."""
        return [frame for at, frame in self.frames if start < at <= end + 1e-6]


class CrossTalk:
    """Filter between the microphones and the turn controller, which takes back turns that are copies.

    Args:
        deliver: Takes the frames and events.
    """

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._heard: dict[Microphone, _Heard] = {}

    def left(self, peer: str) -> None:
        """Forget a peer who is gone."""
        self._heard = {m: heard for m, heard in self._heard.items() if m.peer != peer}

    def deliver(self, microphone: Microphone, frame: Samples | None, happened: Sequence[TurnEvent]) -> None:
        """Take a frame of a microphone, or its silence (None), with what follows from it."""
        heard = self._heard.get(microphone)
        if heard is None:
            heard = self._heard[microphone] = _Heard()
        if frame is not None:
            heard.frames.append((microphone.media, frame))
        if happened:
            happened = [self._judge(microphone, heard, event) for event in happened]
        elif heard.comparison is not None and microphone.media >= heard.compared + _PIECE + LAG:
            self._compare(microphone, heard, heard.compared + _PIECE)
        self._deliver(microphone, frame, happened)

    def _judge(self, microphone: Microphone, heard: _Heard, event: TurnEvent) -> TurnEvent:
        match event:
            case TurnStarted(at):
                heard.comparison, heard.compared = Comparison(), at
            case TurnEnded(end=end):
                comparison = heard.comparison
                if comparison is not None and end - heard.compared >= _LEAST:
                    self._compare(microphone, heard, end)
                heard.comparison, heard.ended = None, end
                if comparison is not None and comparison.is_copy:
                    return replace(event, reason=CANCELLED)
            case SpeechStarted() | SpeechEnded() | Suspected() | Confirmed() | Withdrawn():
                pass
            case _:
                assert_never(event)
        return event

    def _compare(self, microphone: Microphone, heard: _Heard, end: float) -> None:
        start, heard.compared = heard.compared, end
        if heard.comparison is None:
            return
        others = [
            coarse(other.between(start - LAG, end + LAG))
            for peer, other in self._heard.items()
            # A turn is only taken back in favour of another one.
            if peer is not microphone and (other.comparison is not None or other.ended > start - LAG)
        ]
        heard.comparison.add(coarse(heard.between(start, end)), others, end - start)
