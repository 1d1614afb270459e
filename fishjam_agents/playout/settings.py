"""Settings of the bot's voice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fishjam_agents.errors import SettingError
from fishjam_agents.units import Decibels, FullScaleDecibels, Seconds


@dataclass(frozen=True, slots=True)
class PlayoutSettings:
    """Settings of how replies are played. All durations in seconds.

    Attributes:
        sample_rate: Hz of the bot's track; None takes the backend's rate where Fishjam plays it (16000
            or 24000), else 24000.
        lead: Audio sent ahead of real time. Less cuts sooner, more rides out longer stalls.
        max_lead: How far the lead may grow by itself when it underruns.
        rewind: The most that is repeated when a reply goes on after a pause; it goes on from the nearest dip
            in its energy.
        max_buffer: Audio of replies held here; beyond it the backend's audio is dropped with a warning.
    """

    sample_rate: Literal[16000, 24000] | None = None
    lead: Seconds = 0.12
    max_lead: Seconds = 0.4
    rewind: Seconds = 0.4
    max_buffer: Seconds = 300.0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("lead", 0.04, 1.0),
            ("max_lead", 0.04, 2.0),
            ("rewind", 0.02, 1.0),
            ("max_buffer", 1.0, 3600.0),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise SettingError(
                    name, f"must be between {low:g} and {high:g} seconds, not {value:g}", section="playout"
                )
        if self.max_lead < self.lead:
            raise SettingError(
                "max_lead",
                f"({self.max_lead:g}) must not be below playout.lead ({self.lead:g})",
                section="playout",
                fields=["lead"],
            )


@dataclass(frozen=True, slots=True)
class AmbientSettings:
    """Sound that is always heard of the bot: an office, a street.

    Attributes:
        wav: A 16-bit WAV of any rate, mono or stereo; it is repeated without a seam.
        level: How loud it plays, dBFS (RMS).
        duck: How much quieter it is while the bot speaks, dB.
    """

    wav: Path
    level: FullScaleDecibels = -40.0
    duck: Decibels = 10.0

    def __post_init__(self) -> None:
        _check_level("ambient", self.level)
        if not 0 <= self.duck <= 60:
            raise SettingError("duck", f"must be between 0 and 60 dB, not {self.duck:g}", section="ambient")


@dataclass(frozen=True, slots=True)
class ThinkingSettings:
    """Sound while the bot works on an answer: from a turn's end to the first sound of the reply.

    Attributes:
        wav: A 16-bit WAV of any rate, mono or stereo; it is repeated.
        level: How loud it plays, dBFS (RMS).
        after: Seconds from the turn's end; a quicker answer is not announced.
    """

    wav: Path
    level: FullScaleDecibels = -35.0
    after: Seconds = 0.5

    def __post_init__(self) -> None:
        _check_level("thinking", self.level)
        if not 0 <= self.after <= 30:
            raise SettingError(
                "after", f"must be between 0 and 30 seconds, not {self.after:g}", section="thinking"
            )


@dataclass(frozen=True, slots=True)
class BackgroundAudioSettings:
    """Sounds under and between replies. Neither counts as heard, and neither keeps anybody waiting.

    Attributes:
        ambient: What is always there.
        thinking: What fills the wait for an answer.
    """

    ambient: AmbientSettings | None = None
    thinking: ThinkingSettings | None = None


def _check_level(section: str, level: float) -> None:
    if not -100 <= level <= 0:
        raise SettingError("level", f"must be between -100 and 0 dBFS, not {level:g}", section=section)
