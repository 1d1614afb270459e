"""Troubles of a call's audio that nobody decides on: underruns, losses, a late loop; told once a second."""

from __future__ import annotations

from collections.abc import Callable

from fishjam_agents import events
from fishjam_agents.events import Event
from fishjam_agents.playout.audio_output import AudioOutput
from fishjam_agents.playout.ticker import Ticker

INTERVAL = 1.0
"""Seconds between two looks."""
LATE = 0.1
"""Seconds of lag that are told: `playout.lead`, 0.12 s, rides out what is less."""


class AudioHealth:
    """Turns counts that grow on the audio path into events.

    Args:
        emit: Takes them.
        output: The bot's voice.
        input_dropped: Tells how many seconds of what was said the backend did not take.
        ticker: What it is ticked by, which knows how late the loop is.

    Attributes:
        due: Call time of the next look; a tick before it that is less than `LATE` late may be left out.
    """

    def __init__(
        self,
        emit: Callable[[Event], None],
        output: AudioOutput,
        input_dropped: Callable[[], float],
        ticker: Ticker,
    ) -> None:
        self._emit = emit
        self._output = output
        self._input_dropped = input_dropped
        self._ticker = ticker
        self.due = INTERVAL
        self._lag = 0.0
        self._underruns = 0
        self._dropped = (0.0, 0.0)

    def tick(self, now: float) -> None:
        """Take notice of the time; called every 20 ms with call time."""
        if self._ticker.lag > self._lag:
            self._lag = self._ticker.lag
        if now >= self.due:
            self.due = now + INTERVAL
            self.tell(now)

    def tell(self, now: float) -> None:
        """Tell what has happened since the last time."""
        underruns = self._output.underruns - self._underruns
        if underruns:
            self._underruns += underruns
            self._emit(events.AudioUnderrun(now, underruns))
        dropped = (self._input_dropped(), self._output.dropped)
        lost_in, lost_out = (after - before for before, after in zip(self._dropped, dropped, strict=True))
        self._dropped = dropped
        if lost_in > 0:
            self._emit(events.AudioDropped(now, "input", round(lost_in, 3)))
        if lost_out > 0:
            self._emit(events.AudioDropped(now, "output", round(lost_out, 3)))
        if self._lag >= LATE:
            self._emit(events.LoopLag(now, round(self._lag, 3)))
        self._lag = 0.0
