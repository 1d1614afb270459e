"""OpenAI, and servers that speak its HTTP API, as the parts of a cascade."""

from __future__ import annotations

from fishjam_agents_openai.chat import Chat
from fishjam_agents_openai.speech import Speech
from fishjam_agents_openai.transcription import Transcription

__all__ = ["Chat", "Speech", "Transcription"]
