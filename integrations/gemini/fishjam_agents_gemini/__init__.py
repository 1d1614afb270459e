"""Google's Gemini Live: the backend `type: gemini`, and its audio formats for programs of one's own."""

from __future__ import annotations

from .backend import Gemini
from .integration import GeminiIntegration
from .settings import Activity, Compression, HistoryMessage, Thinking, Transcription, Vertex

__all__ = [
    "Activity",
    "Compression",
    "Gemini",
    "GeminiIntegration",
    "HistoryMessage",
    "Thinking",
    "Transcription",
    "Vertex",
]
