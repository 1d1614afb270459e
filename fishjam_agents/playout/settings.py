"""What a user can say about the bot's voice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class PlayoutSettings:
    """How replies are played. All durations in seconds.

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
    lead: float = 0.12
    max_lead: float = 0.4
    rewind: float = 0.4
    max_buffer: float = 300.0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("lead", 0.04, 1.0),
            ("max_lead", 0.04, 2.0),
            ("rewind", 0.02, 1.0),
            ("max_buffer", 1.0, 3600.0),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(
                    f"playout.{name} must be between {low:g} and {high:g} seconds, not {value:g}"
                )
        if self.max_lead < self.lead:
            raise ValueError(
                f"playout.max_lead ({self.max_lead:g}) must not be below playout.lead ({self.lead:g})"
            )
