"""`python -m fishjam_agents_gemini.emulator COMMAND...`: run a command against an emulated Gemini Live."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from fishjam_agents.testing.emulator import run_emulator

from .answers import parrot
from .assistant import Assistant
from .server import GeminiEmulator


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--no-tools",
        action="store_true",
        help="call no tool; without this each is called once, with arguments made up from its schema",
    )


@asynccontextmanager
async def _gemini(options: argparse.Namespace) -> AsyncIterator[Mapping[str, str]]:
    async with GeminiEmulator(parrot if options.no_tools else Assistant(_tell)) as emulator:
        yield emulator.environment


def _tell(words: str) -> None:
    sys.stderr.write(f"emulator: {words}\n")
    sys.stderr.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command against an emulated Gemini Live; `testing.emulator.run_emulator` says how."""
    module = "fishjam_agents_gemini.emulator"
    return run_emulator(_gemini, module=module, what="Gemini Live", options=_options, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
