"""At which rates a pipeline meets Fishjam, so that the usual backend needs no resampler."""

from __future__ import annotations

from typing import Literal

from fishjam_agents.backends.port import Capabilities
from fishjam_agents.playout.settings import PlayoutSettings

FISHJAM_RATES = (16000, 24000)
"""Rates at which Fishjam gives and plays PCM, Hz (Fishjam docs, Agent Internals)."""


def room_rate(capabilities: Capabilities) -> Literal[16000, 24000]:
    """Hz to ask of Fishjam for what the bot hears: as much of what the backend takes as Fishjam has."""
    return 24000 if capabilities.input_rate > 16000 else 16000


def track_rate(capabilities: Capabilities, playout: PlayoutSettings) -> int:
    """Hz of the bot's track: as set, else the backend's own where Fishjam plays it, else 24000."""
    if playout.sample_rate is not None:
        return playout.sample_rate
    return capabilities.output_rate if capabilities.output_rate in FISHJAM_RATES else 24000
