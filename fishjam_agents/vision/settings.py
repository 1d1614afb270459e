"""Settings of the bot's vision: times and tracks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fishjam_agents.errors import SettingError
from fishjam_agents.units import Bytes, Seconds, Share

SHORTEST = 1.0
"""Seconds between two stills of a track: Fishjam takes one a second and does not answer what is beyond that
(Fishjam docs, Agents)."""


@dataclass(frozen=True, slots=True)
class VisionSettings:
    """Settings of the model's vision. Only some backends take pictures.

    Attributes:
        capture: `demand`: when the tool `look` or the bot's code asks. `interval`: every `every` seconds.
            `change`: as `interval`, but only pictures that differ from the last one sent.
        every: Seconds between two stills of a track.
        tracks: Metadata `type` of the video tracks it looks at by itself.
        change: How much of the picture must be different, as mean difference of grey values from 0 to 1.
        max_bytes: Larger stills are dropped, with a warning.
    """

    capture: Literal["demand", "interval", "change"] = "demand"
    every: Seconds = 2.0
    tracks: tuple[str, ...] = ("camera",)
    change: Share = 0.02
    max_bytes: Bytes = 1_000_000

    def __post_init__(self) -> None:
        if not SHORTEST <= self.every <= 3600:
            raise SettingError("every", f"must be between {SHORTEST:g} and 3600 s, not {self.every:g}")
        if not 0 < self.change < 1:
            raise SettingError("change", f"must be between 0 and 1, not {self.change:g}")
        if self.max_bytes < 1000:
            raise SettingError("max_bytes", f"must be at least 1000, not {self.max_bytes}")
