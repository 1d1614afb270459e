"""The port that microphones and loudspeakers stand behind: PortAudio's, files, or those of a test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from fishjam_agents.audio.samples import Samples
from fishjam_agents.errors import DeviceError

Capture: TypeAlias = Callable[[Samples], None]
"""Takes what a microphone heard: int16 mono, shape (n,), at its rate. Called in the device's thread; the
array may be used only until it returns."""
Render: TypeAlias = Callable[[Samples], None]
"""Fills an int16 mono array, shape (n,), with what a loudspeaker plays next. Called in the device's
thread."""
Failed: TypeAlias = Callable[[DeviceError], None]
"""Told once that the device is gone. Called in any thread."""


@dataclass(slots=True)
class Counters:
    """Failures of a device to keep time, as it tells of them itself.

    Attributes:
        overflows: How often a microphone's sound was lost, because nobody fetched it in time.
        underflows: How often a loudspeaker had nothing to play, because nobody brought it in time.
    """

    overflows: int = 0
    underflows: int = 0


class AudioDevice(Protocol):
    """A microphone and a loudspeaker.

    Both call back from `start` to `stop`, whether anything is said or not: a microphone that is silent gives
    zeros, a loudspeaker asks for sound all the time.
    """

    @property
    def input_rate(self) -> int:
        """Sample rate of the microphone, Hz."""
        ...

    @property
    def output_rate(self) -> int:
        """Sample rate of the loudspeaker, Hz."""
        ...

    @property
    def input_name(self) -> str:
        """The microphone, as a sentence names it."""
        ...

    @property
    def output_name(self) -> str:
        """The loudspeaker, as a sentence names it."""
        ...

    @property
    def input_latency(self) -> float:
        """Seconds from a sound to its block, as the device says once it is started; 0 if it says nothing."""
        ...

    @property
    def output_latency(self) -> float:
        """Seconds from a block to its sound; as `input_latency`."""
        ...

    @property
    def counters(self) -> Counters:
        """Number of times it failed to keep time."""
        ...

    def start(self, capture: Capture, render: Render, failed: Failed) -> None:
        """Begin to hear and to play.

        Raises:
            DeviceError: It cannot be used.
        """
        ...

    def stop(self) -> None:
        """Fall silent at once, and call back no more. Does nothing when stopped; may take a while."""
        ...
