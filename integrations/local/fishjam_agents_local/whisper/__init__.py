"""`stt: {type: whisper}`: Whisper on this machine."""

from __future__ import annotations

from fishjam_agents_local.whisper.component import Whisper

__all__ = ["Whisper"]
