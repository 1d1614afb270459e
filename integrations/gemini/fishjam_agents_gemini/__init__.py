"""Google's Gemini Live API: its client, and the audio formats it takes and gives."""

from __future__ import annotations

from .integration import GeminiIntegration

__all__ = ["GeminiIntegration"]
