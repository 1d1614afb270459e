"""The wire protocol of Gemini Live on this machine: tests, demos and offline work need no key and no network.

What a client sees is faithful, as far as it is known: TLS, paths, casing, message order, close codes,
resumption. The model behind it is not: it says what it was told, calls tools in turn (`Assistant`), or does
what a test's `Answer` has it do.
"""

from __future__ import annotations

from .answers import Answer, parrot, say, tone
from .assistant import Assistant
from .connection import Connection
from .messages import Request
from .server import GeminiEmulator
from .state import Session

__all__ = [
    "Answer",
    "Assistant",
    "Connection",
    "GeminiEmulator",
    "Request",
    "Session",
    "parrot",
    "say",
    "tone",
]
