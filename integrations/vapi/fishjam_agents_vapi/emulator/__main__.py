"""`python -m fishjam_agents_vapi.emulator COMMAND...`: run a command against an emulated Vapi."""

from __future__ import annotations

import asyncio
import os
import sys

from .server import VapiEmulator

_USAGE = """usage: python -m fishjam_agents_vapi.emulator COMMAND...

Runs COMMAND with the variables that lead to an emulated Vapi on this machine, for example

    python -m fishjam_agents_vapi.emulator python -m fishjam_agents simulate config.yaml \\
        --caller audio_fixtures/caller.wav --out out

Without COMMAND it prints the variables and runs until Ctrl-C."""


async def _serve(command: list[str]) -> int:
    async with VapiEmulator() as emulator:
        if not command:
            for name, value in emulator.environment.items():
                print(f"export {name}={value}", flush=True)  # noqa: T201 - a program
            await asyncio.Event().wait()
        environment = {**os.environ, **emulator.environment}
        try:
            process = await asyncio.create_subprocess_exec(*command, env=environment)
        except OSError as error:
            print(  # noqa: T201 - a program
                f"error: cannot run {command[0]} ({error.strerror}): give a program with its arguments",
                file=sys.stderr,
            )
            return 2
        return await process.wait()


def main() -> int:
    """Run the program.

    Returns:
        The exit code of COMMAND.
    """
    command = sys.argv[1:]
    if command[:1] in (["-h"], ["--help"]):
        print(_USAGE)  # noqa: T201 - a program
        return 0
    try:
        return asyncio.run(_serve(command))
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
