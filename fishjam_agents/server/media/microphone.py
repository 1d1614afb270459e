"""Audio of a simulated microphone, window by window: clips, live audio, silence, nothing."""

from __future__ import annotations

import bisect
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...audio.formats import FRAMES_PER_SECOND, SAMPLE_BYTES
from ...audio.resampling import StreamResampler, live_resampler, resample
from ...audio.samples import Samples
from ...audio.wav import Clip
from ...protocol import Track, TrackType
from .playout import Segment
from .recorder import RECORDING_RATE
from .voice_activity import VoiceActivity, loud_windows

LIVE_SECONDS = 10.0
"""Live audio that may wait to be spoken; older audio is dropped."""


class PreparedClip:
    """A clip at every sample rate it was asked for; shared by all callers who speak it.

    Attributes:
        ticks: How many windows of 20 ms it lasts, the last one filled up with silence.
        seconds: Its exact duration.
        voice: One byte per window: whether it is loud enough for voice.
    """

    def __init__(self, clip: Clip) -> None:
        self.seconds = clip.seconds
        self.ticks = -(-len(clip.samples) * FRAMES_PER_SECOND // clip.sample_rate)
        self._mono = clip.mono()
        self._rate = clip.sample_rate
        self._rates: dict[int, Samples] = {}
        self.voice = loud_windows(self.at_rate(RECORDING_RATE))

    def at_rate(self, sample_rate: int) -> Samples:
        """The whole clip at `sample_rate` Hz, int16 mono, exactly `ticks` windows long."""
        samples = self._rates.get(sample_rate)
        if samples is None:
            samples = np.zeros(self.ticks * (sample_rate // FRAMES_PER_SECOND), np.int16)
            resampled = resample(self._mono, self._rate, sample_rate)[: len(samples)]
            samples[: len(resampled)] = resampled
            self._rates[sample_rate] = samples
        return samples

    def packet(self, window: int, sample_rate: int) -> Samples:
        """Window number `window` of the clip at `sample_rate` Hz."""
        samples = self._rates.get(sample_rate)
        if samples is None:
            samples = self.at_rate(sample_rate)
        size = sample_rate // FRAMES_PER_SECOND
        return samples[window * size : (window + 1) * size]


class Microphone:
    """The audio track of a simulated caller.

    An open microphone always sends: digital silence where nothing is said. A muted one sends nothing,
    and time goes on.

    Args:
        track_id: Its id.
        metadata: Its metadata.
        voice_changed: Told when someone begins or ends to speak into it.

    Attributes:
        track: Id, type and metadata.
        muted: Whether it sends nothing.
        live_dropped: Seconds of live audio dropped because too much waited.
    """

    recording_rate = RECORDING_RATE
    finished = False

    def __init__(
        self, track_id: str, metadata: Mapping[str, Any], voice_changed: Callable[[bool], None]
    ) -> None:
        self.muted = False
        self._activity = VoiceActivity(voice_changed)
        self.live_dropped = 0.0
        self._metadata = dict(metadata)
        self.track = Track(track_id, int(TrackType.AUDIO), json.dumps(self._metadata))
        # Start windows and clips, sorted; the line that began last is the one that is heard.
        self._starts: list[int] = []
        self._lines: list[PreparedClip] = []
        self._live: list[Samples] = []
        self._live_waiting = 0
        self._live_to_recording: StreamResampler | None = None
        self._live_packet: Samples | None = None
        self._live_resamplers: dict[int, StreamResampler] = {}
        self._window = -1
        self._line: tuple[PreparedClip, int] | None = None
        self._silence: dict[int, bytes] = {}

    @property
    def speaking(self) -> bool:
        """True while someone speaks into it."""
        return self._activity.speaking

    def update_metadata(self, **changes: Any) -> Track:
        """Change the track's metadata; returns the track as it is now."""
        self._metadata.update(changes)
        self.track = Track(self.track.id, self.track.type, json.dumps(self._metadata))
        return self.track

    def schedule(self, clip: PreparedClip, window: int) -> None:
        """Speak `clip` from window number `window` on, over whatever is being said."""
        position = bisect.bisect_right(self._starts, window)
        self._starts.insert(position, window)
        self._lines.insert(position, clip)

    @property
    def last_window(self) -> int:
        """The window in which everything scheduled has been said; -1 if nothing ever was."""
        ends = (start + line.ticks for start, line in zip(self._starts, self._lines, strict=True))
        return max(ends, default=-1)

    def feed(self, samples: Samples, sample_rate: int) -> None:
        """Speak live audio after what waits already: int16 mono, shape (n,). A scheduled line covers it."""
        stream = self._live_to_recording
        if stream is None or stream.from_rate != sample_rate:
            stream = self._live_to_recording = live_resampler(sample_rate, RECORDING_RATE)
        self._live.append(stream.process(samples))
        self._live_waiting += len(self._live[-1])
        while self._live_waiting > LIVE_SECONDS * RECORDING_RATE:
            dropped = self._live.pop(0)
            self._live_waiting -= len(dropped)
            self.live_dropped += len(dropped) / RECORDING_RATE

    def advance(self, ticks: int) -> bool:
        """Part of `sources.Source`."""
        window = self._window = ticks - 1
        self._line = None
        loud = 0
        position = bisect.bisect_right(self._starts, window) - 1
        if position >= 0:
            offset = window - self._starts[position]
            line = self._lines[position]
            if offset < line.ticks:
                self._line = line, offset
                loud = line.voice[offset]
        if self._live:
            self._live_packet = self._take_live()
            if self._line is None:
                loud = loud_windows(self._live_packet)[0]
        else:
            self._live_packet = None
        activity = self._activity
        if loud and not self.muted:
            activity.loud_at = window
            if not activity.speaking:
                activity.begin()
        elif activity.speaking:
            activity.pause(window)
        return not self.muted

    def packets(self, sample_rate: int) -> Sequence[bytes]:
        """Part of `sources.Source`: one packet, always."""
        if self._line is not None:
            clip, offset = self._line
            return (clip.packet(offset, sample_rate).tobytes(),)
        if self._live_packet is not None:
            stream = self._live_resamplers.get(sample_rate)
            if stream is None:
                stream = live_resampler(RECORDING_RATE, sample_rate)
                self._live_resamplers[sample_rate] = stream
            return (stream.process(self._live_packet).tobytes(),)
        silence = self._silence.get(sample_rate)
        if silence is None:
            silence = bytes(sample_rate // FRAMES_PER_SECOND * SAMPLE_BYTES)
            self._silence[sample_rate] = silence
        return (silence,)

    def segments(self) -> Sequence[Segment]:
        """Part of `sources.Source`."""
        if self._line is not None:
            clip, offset = self._line
            samples = clip.packet(offset, RECORDING_RATE)
        elif self._live_packet is not None:
            samples = self._live_packet
        else:
            return ()
        return (Segment(self._window * (RECORDING_RATE // FRAMES_PER_SECOND), samples),)

    def _take_live(self) -> Samples:
        wanted = RECORDING_RATE // FRAMES_PER_SECOND
        packet = np.zeros(wanted, np.int16)
        filled = 0
        while self._live and filled < wanted:
            head = self._live[0]
            taken = min(len(head), wanted - filled)
            packet[filled : filled + taken] = head[:taken]
            filled += taken
            self._live_waiting -= taken
            if taken == len(head):
                self._live.pop(0)
            else:
                self._live[0] = head[taken:]
        return packet
