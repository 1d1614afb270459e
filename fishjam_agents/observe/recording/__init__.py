"""Recordings of calls: what callers and bot said, as sound and as text."""

from __future__ import annotations

from fishjam_agents.observe.recording.recorder import SoundRecorder
from fishjam_agents.observe.recording.transcript import web_vtt

__all__ = ["SoundRecorder", "web_vtt"]
