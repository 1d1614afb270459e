"""`python -m fishjam_agents_openai.emulator COMMAND...`: run a command against an emulated OpenAI."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from fishjam_agents.testing.emulator import port, run_emulator

from .assistant import RealtimeAssistant, chat_assistant
from .dialects import DIALECTS
from .realtime import RealtimeEmulator
from .server import Emulator

KEY = "emulated-key"


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--realtime", action="store_true", help="the Realtime API in place of the HTTP API")
    parser.add_argument(
        "--server",
        choices=sorted(DIALECTS),
        default="openai",
        help="whose ways the HTTP API has: what it insists on, and how it writes its answers",
    )
    parser.add_argument(
        "--no-tools",
        action="store_true",
        help="call no tool; without this each is called once, with arguments made up from its schema",
    )
    parser.add_argument(
        "--port", type=port, default=0, metavar="N", help="where; any that is free if not given"
    )


@asynccontextmanager
async def _openai(options: argparse.Namespace) -> AsyncIterator[Mapping[str, str]]:
    emulator: RealtimeEmulator | Emulator
    if options.realtime:
        # The HTTP API takes any key: parts with a `base_url` of their own send none.
        emulator = RealtimeEmulator(
            key=KEY, model=lambda line: RealtimeAssistant(line, _tell, not options.no_tools)
        )
    else:
        emulator = Emulator(
            dialect=DIALECTS[options.server],
            model=None if options.no_tools else lambda request: chat_assistant(request, _tell),
        )
    await emulator.start(options.port)
    try:
        yield {"OPENAI_BASE_URL": emulator.base_url, "OPENAI_API_KEY": KEY}
    finally:
        await emulator.stop()


def _tell(words: str) -> None:
    sys.stderr.write(f"emulator: {words}\n")
    sys.stderr.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command against an emulated OpenAI; `testing.emulator.run_emulator` says how."""
    module = "fishjam_agents_openai.emulator"
    return run_emulator(_openai, module=module, what="OpenAI", options=_options, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
