"""A server on this machine that speaks OpenAI's HTTP API: for tests, and for trying a bot without a key."""

from __future__ import annotations

from fishjam_agents_openai.emulator.answers import Answer, Broken, Failed, Raw
from fishjam_agents_openai.emulator.dialects import DIALECTS, Dialect
from fishjam_agents_openai.emulator.server import Emulator, Request

__all__ = ["DIALECTS", "Answer", "Broken", "Dialect", "Emulator", "Failed", "Raw", "Request"]
