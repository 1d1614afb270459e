"""Speech to text, a language model and text to speech, composed to one backend."""

from __future__ import annotations

from fishjam_agents.backends.cascade.backend import Cascade
from fishjam_agents.backends.cascade.parts import (
    ContextFullError,
    LanguageModel,
    Message,
    Piece,
    Requested,
    SpeechToText,
    Spent,
    TextToSpeech,
    Thought,
    Transcript,
)

__all__ = [
    "Cascade",
    "ContextFullError",
    "LanguageModel",
    "Message",
    "Piece",
    "Requested",
    "SpeechToText",
    "Spent",
    "TextToSpeech",
    "Thought",
    "Transcript",
]
