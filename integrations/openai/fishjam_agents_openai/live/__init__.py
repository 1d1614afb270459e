"""`stt: {type: openai_realtime}`: words while they are spoken, by a session that only transcribes."""

from __future__ import annotations

from fishjam_agents_openai.live.part import LiveTranscription

__all__ = ["LiveTranscription"]
