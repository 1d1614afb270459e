"""OpenAI Realtime as a backend."""

from __future__ import annotations

from fishjam_agents_openai.realtime.backend import Realtime
from fishjam_agents_openai.realtime.settings import Detection

__all__ = ["Detection", "Realtime"]
