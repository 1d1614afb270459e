"""Vapi on this machine: its REST interface and its media socket, for tests and for trying things out.

It follows what is known of the wire from Vapi's documentation, its OpenAPI file and its WebSocket tester.
What it says is no model's: it repeats its caller.
"""

from __future__ import annotations

from .behaviour import Behaviour, ToolUse
from .server import VapiEmulator

__all__ = ["Behaviour", "ToolUse", "VapiEmulator"]
