"""Files in place of a microphone and a loudspeaker: the same blocks at the same pace."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np

from fishjam_agents.audio.formats import FRAMES_PER_SECOND
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.wav import Clip, write_wav
from fishjam_agents.devices.device import Capture, Counters, Failed, Render

OUTPUT_RATE = 48000
"""Hz at which most loudspeakers play."""


class WavDevice:
    """A recording that is spoken, then silence, and a file of what the loudspeaker would have played.

    Args:
        clip: What the microphone hears.
        out: The file, written by `stop`; None for none.
        name: The recording, as a sentence names it.

    Attributes:
        input_rate: Hz of the recording.
        output_rate: Hz of the file.
        input_name: The recording.
        output_name: The file.
        input_latency: Zero.
        output_latency: Zero.
        counters: Zeros.
        lag: How late its latest block was at worst, seconds.
        played: What the loudspeaker would have played so far, from the recording's first sample on.
    """

    def __init__(self, clip: Clip, out: Path | None = None, name: str = "recording") -> None:
        self.input_rate = clip.sample_rate
        self.output_rate = OUTPUT_RATE
        self.input_name = name
        self.output_name = "nothing" if out is None else str(out)
        self.input_latency = self.output_latency = 0.0
        self.counters = Counters()
        self.lag = 0.0
        self.played: list[Samples] = []
        self._sound = clip.mono()
        self._seconds = clip.seconds
        self._out = out
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def seconds(self) -> float:
        """Duration of the recording."""
        return self._seconds

    def start(self, capture: Capture, render: Render, failed: Failed) -> None:
        """Part of `AudioDevice`."""
        self._thread = threading.Thread(
            target=self._run, args=(capture, render), name="wav-device", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Part of `AudioDevice`; writes the file.

        Raises:
            AudioError: The file cannot be written.
        """
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stopping.set()
        thread.join()
        if self._out is not None:
            write_wav(self._out, np.concatenate([np.zeros(0, np.int16), *self.played]), self.output_rate)

    def _run(self, capture: Capture, render: Render) -> None:
        began = time.monotonic()
        window = 0
        while not self._stopping.wait(max(began + (window + 1) / FRAMES_PER_SECOND - time.monotonic(), 0)):
            self.lag = max(self.lag, time.monotonic() - began - (window + 1) / FRAMES_PER_SECOND)
            # As of a device: sound is there when it is over, and fetched when it is due.
            first, end = (k * self.input_rate // FRAMES_PER_SECOND for k in (window, window + 1))
            block = np.zeros(end - first, np.int16)
            spoken = self._sound[first:end]
            block[: len(spoken)] = spoken
            capture(block)
            block = np.zeros(self.output_rate // FRAMES_PER_SECOND, np.int16)
            render(block)
            self.played.append(block)
            window += 1
