"""Sound of a remote caller in both directions: what it says, and what it hears of each peer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np

from fishjam_agents.audio.formats import FRAMES_PER_SECOND
from fishjam_agents.audio.resampling import Resampler
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.wav import Clip
from fishjam_agents.server.media.microphone import PreparedClip
from fishjam_agents.server.media.mix import RECORDING_RATE, Mix
from fishjam_agents.server.media.voice_activity import VoiceActivity, is_loud
from fishjam_agents.server.webrtc.opus import CLOCK_RATE, PACKET_TICKS, OpusDecoder, OpusEncoder
from fishjam_agents.server.webrtc.receive_buffer import ReceiveBuffer
from fishjam_agents.server.webrtc.tracks import OutboundTrack

_SHIFT = 0.1
"""Seconds by which sound may come earlier or later than where the last one ended, and still go on from there:
the network's jitter. Beyond, there was a pause, in which servers send nothing."""
SILENT = np.zeros(PACKET_TICKS, np.int16)


class Voice:
    """A recording on its way to the room, 20 ms at a time; silence before and after it.

    Args:
        clip: Any rate, mono or stereo.
        changed: Told when it begins and ends to be heard.
    """

    def __init__(self, clip: Clip, changed: Callable[[bool], None]) -> None:
        self._samples = PreparedClip(clip).at_rate(CLOCK_RATE)
        self._encoder = OpusEncoder(CLOCK_RATE)
        self._position = 0
        self._begun: int | None = None
        self._activity = VoiceActivity(changed)

    @property
    def speaks(self) -> bool:
        """True until the recording has been said."""
        return self._begun is None or self._position - self._begun < len(self._samples)

    def begin(self) -> None:
        """Say the recording from the next frame on."""
        self._begun = self._position

    def send(self, track: OutboundTrack) -> Samples:
        """Send the next 20 ms; returns them, int16 mono at 48 kHz."""
        frame = SILENT
        if self._begun is not None:
            start = self._position - self._begun
            frame = self._samples[start : start + PACKET_TICKS]
            if not len(frame):
                frame = SILENT
        window = self._position // PACKET_TICKS
        track.push(self._encoder.encode(frame), self._position)
        self._position += PACKET_TICKS
        watch(self._activity, frame, window)
        return frame


class HeardTrack:
    """Sound of another peer: in order, decoded, and placed in a recording by when it came.

    Args:
        recording: What it is added to, at 16 kHz.
        changed: Told when somebody begins and ends to speak.
    """

    def __init__(self, recording: Mix, changed: Callable[[bool], None]) -> None:
        self._recording = recording
        self._zero: float | None = None
        self._buffer = ReceiveBuffer()
        self._decoder = OpusDecoder()
        self._activity = VoiceActivity(changed)
        self._resampler = Resampler(CLOCK_RATE, RECORDING_RATE)
        self._next = 0
        self._end: float | None = None

    @property
    def speaking(self) -> bool:
        """True while somebody speaks."""
        return self._activity.speaking

    def put(self, sequence: int, timestamp: int, payload: bytes) -> None:
        """Take a packet as it arrives."""
        if self._zero is not None:
            self._buffer.put(sequence, timestamp, payload, asyncio.get_running_loop().time())

    def begin(self, zero: float) -> None:
        """Listen from now on.

        Args:
            zero: Time of the loop at which the recording begins.
        """
        self._zero = zero

    def take(self) -> None:
        """Decode what has come, and add it to the recording."""
        if self._zero is None:
            return
        now = asyncio.get_running_loop().time()
        window = int(now * FRAMES_PER_SECOND)
        loud = False
        for received in self._buffer.take(now):
            samples = self._decoder.decode(received.payload)
            if samples is None or not len(samples):
                continue
            self._buffer.decoded(len(samples))
            loud = loud or is_loud(samples)
            if received.lost:
                samples = np.concatenate([np.zeros(received.lost, np.int16), samples])
            self._place(samples, now - self._zero)
        watch(self._activity, None if loud else SILENT, window)

    def _place(self, samples: Samples, now: float) -> None:
        seconds = len(samples) / CLOCK_RATE
        if self._end is None or abs(now - seconds - self._end) > _SHIFT:
            self._resampler = Resampler(CLOCK_RATE, RECORDING_RATE)
            self._end = now - seconds
            self._next = round(self._end * RECORDING_RATE)
        self._end += seconds
        heard = self._resampler.process(samples)
        self._recording.add(self._next, heard)
        self._next += len(heard)


def watch(activity: VoiceActivity, frame: Samples | None, window: int) -> None:
    """Tell an activity of 20 ms of sound; None for what is known to be loud."""
    if frame is None or is_loud(frame):
        activity.loud_at = window
        if not activity.speaking:
            activity.begin()
    elif activity.speaking:
        activity.pause(window)
