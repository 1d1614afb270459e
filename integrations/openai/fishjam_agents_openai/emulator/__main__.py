"""`python -m fishjam_agents_openai.emulator COMMAND...`: run a command against an emulated OpenAI."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fishjam_agents.testing.emulator import port, run_emulator

from .realtime import RealtimeEmulator
from .server import Emulator


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--realtime", action="store_true", help="the Realtime API in place of the HTTP API")
    parser.add_argument(
        "--port", type=port, default=0, metavar="N", help="where; any that is free if not given"
    )


@asynccontextmanager
async def _openai(options: argparse.Namespace) -> AsyncIterator[Mapping[str, str]]:
    emulator = RealtimeEmulator() if options.realtime else Emulator()
    await emulator.start(options.port)
    try:
        yield {"OPENAI_BASE_URL": emulator.base_url, "OPENAI_API_KEY": "emulated-key"}
    finally:
        await emulator.stop()


if __name__ == "__main__":
    sys.exit(run_emulator(_openai, module="fishjam_agents_openai.emulator", what="OpenAI", options=_options))
