"""The microphone and loudspeaker of this machine as a room of two: a person and the bot."""

from __future__ import annotations

from fishjam_agents.devices.device import AudioDevice, Counters
from fishjam_agents.devices.session import PERSON, DeviceSession
from fishjam_agents.devices.wav_device import WavDevice

__all__ = ["PERSON", "AudioDevice", "Counters", "DeviceSession", "WavDevice"]
