"""Format of a stream of PCM: its rate and its channels."""

from __future__ import annotations

from dataclasses import dataclass

FRAMES_PER_SECOND = 50
"""Frames of 20 ms, which is what WebRTC sends and what webrtcvad takes."""

FRAME_SECONDS = 1 / FRAMES_PER_SECOND
"""Duration of one frame, seconds."""

SAMPLE_BYTES = 2
"""Bytes of one sample: all audio in this package is signed 16-bit little-endian PCM."""


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """Rate and channels of signed 16-bit little-endian PCM.

    Attributes:
        sample_rate: Samples per second and channel, Hz.
        channels: Interleaved channels, 1 or 2.

    Raises:
        ValueError: The rate is not positive or the channels are neither 1 nor 2.
    """

    sample_rate: int
    channels: int = 1

    def __post_init__(self) -> None:
        if self.sample_rate <= 0:
            raise ValueError(f"sample_rate must be positive, not {self.sample_rate}")
        if self.channels not in (1, 2):
            raise ValueError(f"channels must be 1 or 2, not {self.channels}")

    @property
    def frame_samples(self) -> int:
        """Samples per channel in one 20 ms frame."""
        return round(self.sample_rate * FRAME_SECONDS)

    def __str__(self) -> str:
        return f"{self.sample_rate} Hz {'mono' if self.channels == 1 else 'stereo'}"
