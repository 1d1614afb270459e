"""`python -m fishjam_agents_openai.emulator [--realtime] [--port N]`: as a program, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import sys

from fishjam_agents_openai.emulator.realtime import RealtimeEmulator
from fishjam_agents_openai.emulator.server import Emulator


async def _serve(port: int, realtime: bool) -> None:
    emulator = RealtimeEmulator() if realtime else Emulator()
    await emulator.start(port)
    what = "Realtime" if realtime else "HTTP API"
    sys.stdout.write(f"OpenAI's {what} is emulated at {emulator.base_url} until Ctrl-C.\n")
    sys.stdout.flush()
    try:
        await asyncio.Event().wait()
    finally:
        await emulator.stop()


def main() -> int:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m fishjam_agents_openai.emulator", description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="0 is any that is free")
    parser.add_argument("--realtime", action="store_true", help="the Realtime API in place of the HTTP API")
    arguments = parser.parse_args()
    try:
        asyncio.run(_serve(arguments.port, arguments.realtime))
    except KeyboardInterrupt:
        return 0
    except OSError as error:
        sys.stderr.write(f"error: {error.strerror}: choose another --port\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
