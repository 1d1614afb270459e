"""`python -m fishjam_agents_gemini.emulator COMMAND...`: run a command against an emulated Gemini Live."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fishjam_agents.testing.emulator import run_emulator

from .server import GeminiEmulator


@asynccontextmanager
async def _gemini(options: argparse.Namespace) -> AsyncIterator[Mapping[str, str]]:
    async with GeminiEmulator() as emulator:
        yield emulator.environment


if __name__ == "__main__":
    sys.exit(run_emulator(_gemini, module="fishjam_agents_gemini.emulator", what="Gemini Live"))
