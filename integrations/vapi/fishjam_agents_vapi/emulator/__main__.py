"""`python -m fishjam_agents_vapi.emulator COMMAND...`: run a command against an emulated Vapi."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from fishjam_agents.testing.emulator import run_emulator

from .server import VapiEmulator


@asynccontextmanager
async def _vapi(options: argparse.Namespace) -> AsyncIterator[Mapping[str, str]]:
    async with VapiEmulator() as emulator:
        yield emulator.environment


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command against an emulated Vapi; `testing.emulator.run_emulator` says how."""
    return run_emulator(_vapi, module="fishjam_agents_vapi.emulator", what="Vapi", arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
