"""At which rates a pipeline meets Fishjam, so that the usual backend needs no resampler."""

from __future__ import annotations

from fishjam_agents.backends.port import Capabilities
from fishjam_agents.playout.settings import PlayoutSettings

FISHJAM_RATES = (16000, 24000)
"""Rates at which Fishjam gives and plays PCM, Hz (facts: agent `output`)."""


def room_rate(capabilities: Capabilities) -> int:
    """Hz to ask of Fishjam for what the bot hears: the backend's own where Fishjam has it, else 16000."""
    return capabilities.input_rate if capabilities.input_rate in FISHJAM_RATES else 16000


def track_rate(capabilities: Capabilities, playout: PlayoutSettings) -> int:
    """Hz of the bot's track: as set, else the backend's own where Fishjam plays it, else 24000."""
    if playout.sample_rate is not None:
        return playout.sample_rate
    return capabilities.output_rate if capabilities.output_rate in FISHJAM_RATES else 24000
