"""`python -m fishjam_agents_openai.emulator [--port N]`: the emulator as a program, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import sys

from fishjam_agents_openai.emulator.server import Emulator


async def _serve(port: int) -> None:
    emulator = Emulator()
    await emulator.start(port)
    sys.stdout.write(f"OpenAI's HTTP API is emulated at {emulator.base_url}; Ctrl-C ends it.\n")
    sys.stdout.flush()
    try:
        await asyncio.Event().wait()
    finally:
        await emulator.stop()


def main() -> int:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m fishjam_agents_openai.emulator", description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="0 is any that is free")
    try:
        asyncio.run(_serve(parser.parse_args().port))
    except KeyboardInterrupt:
        return 0
    except OSError as error:
        sys.stderr.write(f"error: {error.strerror}: choose another --port\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
