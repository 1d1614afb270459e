"""Speech to text, a language model and text to speech, composed to one backend."""

from __future__ import annotations

from fishjam_agents.backends.cascade.backend import Cascade
from fishjam_agents.backends.cascade.components import (
    ContextFullError,
    EndOfSpeech,
    LanguageModel,
    LLMChunk,
    LLMToolCall,
    LLMUsage,
    Message,
    Reasoning,
    SpeechToText,
    StreamingSpeechToText,
    TextToSpeech,
    Transcript,
    TranscriptPiece,
)
from fishjam_agents.backends.cascade.speech import Paused, Speech

__all__ = [
    "Cascade",
    "ContextFullError",
    "EndOfSpeech",
    "LLMChunk",
    "LLMToolCall",
    "LLMUsage",
    "LanguageModel",
    "Message",
    "Paused",
    "Reasoning",
    "Speech",
    "SpeechToText",
    "StreamingSpeechToText",
    "TextToSpeech",
    "Transcript",
    "TranscriptPiece",
]
