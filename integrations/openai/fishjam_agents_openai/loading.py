"""Importing this builds and reads what the client would build and read in the loop at its first request."""

from __future__ import annotations

import platform

import httpx2
from openai.types import CompletionUsage
from openai.types.audio import Transcription
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import Choice, ChoiceDelta

for _model in (ChatCompletionChunk, Choice, ChoiceDelta, CompletionUsage, Transcription):
    _model.model_rebuild()
# Each client tells its server what it runs on. That is found out once for all, by starting a program.
platform.platform()

TLS = httpx2.create_ssl_context()
"""The certificates that all clients share: reading them takes as long as a frame or two."""
